"""Phone n-gram whose every history is a state of its own: no back-off arcs, no smoothing; see docs/internals.md."""

from collections.abc import Iterable

import numpy as np

from asrdistill.errors import UserError


class PhoneNgram:
    """Relative frequencies of phones after H histories; a history is the longest kept run of last phones.

    last    (H,) last phone of each history; P, the number of phones, at an utterance's beginning
    start   the history at an utterance's beginning
    source, phone, target   (A,) history, phone that follows, and the history after it
    probability   (A,) of the phone
    end     (H,) probability that the utterance ends; with those of the phones 1
    perplexity    of the phones and ends that it was estimated from

    At most `histories` of 2 to order - 1 phones are kept, the most frequent ones, and all of one phone. Raises
    UserError for an order below 2 or one that is too high for so many phones.
    """

    def __init__(self, sequences: Iterable[np.ndarray], phones: int, order: int, histories: int):
        if not 2 <= order <= 1 + int(62 / np.log2(phones + 1)):
            raise UserError(f"an n-gram of {phones} phones cannot have order {order}; set phone_order to 2, 3 or 4")
        self.order, self.boundary = order, phones
        bounds = np.full(order - 1, phones)
        stream = np.concatenate([part for phones_of in sequences for part in (bounds, phones_of)] + [bounds])
        spoken = stream[order - 1 :] != phones  # a history is of interest before a phone, and before the first bound
        events = np.flatnonzero(spoken | np.append(False, spoken[:-1]))
        follows = stream[order - 1 :][events]
        self._kept: list[np.ndarray] = []
        seen = [np.unique(code[events], return_counts=True) for code in self._codes(stream)]
        counts = -np.sort(-np.concatenate([[0], *(times for _, times in seen[1:])]))  # falling
        least = counts[histories] + 1 if histories < len(counts) else 1
        self._kept = [codes[times >= (least if n else 1)] for n, (codes, times) in enumerate(seen)]
        self.last = np.concatenate([codes % (phones + 1) for codes in self._kept])
        state = self.histories(stream[order - 1 :])[events]
        self.start = int(state[0])
        ends = follows == phones
        key = state * (phones + 1) + follows
        _, first, times = np.unique(key, return_index=True, return_counts=True)
        probability = times / np.bincount(state, minlength=len(self.last))[state[first]]
        self.perplexity = float(np.exp(-(times * np.log(probability)).sum() / times.sum()))
        spoken = ~ends[first]
        self.end = np.zeros(len(self.last))
        self.end[state[first[~spoken]]] = probability[~spoken]
        self.source, self.phone, self.probability = state[first[spoken]], follows[first[spoken]], probability[spoken]
        self.target = state[first[spoken] + 1]

    def histories(self, phones: np.ndarray) -> np.ndarray:
        """(n + 1,) the history before each of an utterance's n phones, and after the last; -1 for one never seen."""
        stream = np.append(np.full(self.order - 1, self.boundary), phones)
        found, before = np.full(len(phones) + 1, -1), 0
        for codes, kept in zip(self._codes(stream), self._kept, strict=True):
            place = find(kept, codes)
            found[place >= 0] = before + place[place >= 0]
            before += len(kept)
        return found

    def _codes(self, stream: np.ndarray) -> Iterable[np.ndarray]:
        """For n = 1, …, order - 1: a number for the n phones before each place from order - 1 on, and the end."""
        code = np.zeros(len(stream) - self.order + 2, np.int64)
        for n in range(1, self.order):
            code = code + stream[self.order - 1 - n : len(stream) - n + 1] * (self.boundary + 1) ** (n - 1)
            yield code


def find(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Places of numbers in a sorted array, -1 where it lacks them."""
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, place, -1) if len(keys) else np.full(len(wanted), -1)
