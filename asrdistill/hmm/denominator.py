"""Denominator graph of LF-MMI: a phone n-gram expanded to HMM states (Povey et al. 2016); see docs/internals.md.

An *instance* is a phone with all that its senones and successors depend on: the history that ends in it, and the
context classes of its neighbours as far as the trees ask about them.
"""

from collections.abc import Iterable

import numpy as np

from asrdistill.errors import UserError
from asrdistill.hmm.senones import Senones


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


START_FRAMES = 100  # outputs over which the initial probabilities are averaged, as in Kaldi


class DenominatorGraph:
    """N states with a senone each; every state may be the last.

    Of states (N,): senone; initial: probability of starting there; stay: of the self-loop; go_on: of the way to the
    phone's next state; leave: of leaving the phone. Of instances (I,): base: first state; lengths: number of states.
    source, target, weight (A,): arcs without self-loops, sorted by target. links: sorted numbers
    instance · I + next instance, and their probabilities.
    """

    def __init__(self, ngram: PhoneNgram, senones: Senones):
        self.ngram, self.senones = ngram, senones
        self._contexts = np.append(senones.contexts, senones.contexts[0]).astype(np.int64)  # before the first: silence
        self._classes = int(self._contexts.max()) + 1
        table = senones.table
        self._left, self._right = _alike(table), _alike(table.swapaxes(1, 2))
        ended, silence = np.flatnonzero(ngram.end), np.zeros(np.count_nonzero(ngram.end), np.int64)
        right = self._followed(np.append(ngram.source, ended), np.append(ngram.phone, silence))
        self._rights, found = np.unique(right, return_inverse=True)  # history · classes + class of what follows
        share = np.bincount(found, np.append(ngram.probability, ngram.end[ended]))
        history = self._rights // self._classes

        arc, after = _join(ngram.target, history)  # an arc enters an instance for each class that may follow
        before = found[arc]
        self._instances, instance = np.unique(self._instance(after, ngram.source[arc]), return_inverse=True)
        weight = ngram.probability[arc] * share[after] / share[before]
        right, left = np.divmod(self._instances, self._classes)
        phone = ngram.last[history[right]]
        self.lengths = senones.lengths[phone].astype(np.int64)
        self.base = np.cumsum(self.lengths) - self.lengths
        one, entry = _join(right, before)
        key = one * len(self.base) + instance[entry]
        order = np.argsort(key)
        self.links, self.link_weight = key[order], weight[entry][order]

        owner = np.repeat(np.arange(len(self.base)), self.lengths)
        state = np.arange(len(owner)) - self.base[owner]
        self.senone = table[phone[owner], left[owner], (self._rights % self._classes)[right[owner]], state]
        loop = np.exp(senones.self_loop)[self.senone]
        once, last = senones.once[self.senone], state + 1 == self.lengths[owner]
        self.stay = np.where(once, 0.0, loop)
        self.go_on = np.where(last, 0.0, np.where(once, loop, 1 - loop))
        self.leave = np.where(last | once, 1 - loop, 0.0)

        inner, outer = np.flatnonzero(self.go_on), np.flatnonzero(self.leave)
        exit, link = _join(owner[outer], self.links // len(self.base))
        entered = self.base[self.links[link] % len(self.base)]
        source, target = np.append(inner, outer[exit]), np.append(inner + 1, entered)
        weight_of = np.append(self.go_on[inner], self.leave[outer[exit]] * self.link_weight[link])
        order = np.lexsort((source, target))
        self.source, self.target, self.weight = source[order], target[order], weight_of[order]
        begun = ngram.source[arc] == ngram.start
        self.initial = self._initial(np.bincount(self.base[instance[begun]], weight[begun], len(owner)))

    @property
    def summary(self) -> dict[str, float]:
        """For the log and meta.json."""
        sizes = {"histories": len(np.unique(self.ngram.source)), "states": len(self.senone), "arcs": len(self.source)}
        return {**sizes, "perplexity": round(self.ngram.perplexity, 2)}

    def instances(self, phones: np.ndarray) -> np.ndarray:
        """(n,) the instances of an utterance's phones, -1 where the graph has none."""
        history = self.ngram.histories(phones)
        right = find(self._rights, self._followed(history[1:], np.append(phones[1:], 0)))
        found = find(self._instances, self._instance(right, history[:-1]))
        return np.where((history[1:] < 0) | (history[:-1] < 0) | (right < 0), -1, found)

    def _followed(self, history: np.ndarray, phone: np.ndarray) -> np.ndarray:
        """Number of each history together with the class of the phone that follows."""
        return history * self._classes + self._right[self.ngram.last[history], self._contexts[phone]]

    def _instance(self, followed: np.ndarray, source: np.ndarray) -> np.ndarray:
        """Number of each instance: place of the history with what follows, and the class of the phone before."""
        phone = self.ngram.last[self._rights[followed] // self._classes]
        return followed * self._classes + self._left[phone, self._contexts[self.ngram.last[source]]]

    def _initial(self, now: np.ndarray) -> np.ndarray:
        """(N,) how often each state is met in the first outputs of an utterance, from the states `now` of the first."""
        total = np.zeros(len(now))
        for _ in range(START_FRAMES):
            total += now / now.sum()
            come = np.bincount(self.target, now[self.source] * self.weight, len(now))
            now = now / now.sum() * self.stay + come / now.sum()
        return total / START_FRAMES


def _alike(table: np.ndarray) -> np.ndarray:
    """(P + 1, C) first of the classes that give phone p the same senones as class c, from (P, C, C, H); last row: 0."""
    out = np.zeros((len(table) + 1, table.shape[1]), np.int64)
    for p, rows in enumerate(table):
        _, first, found = np.unique(rows.reshape(len(rows), -1), axis=0, return_index=True, return_inverse=True)
        out[p] = first[found.reshape(-1)]
    return out


def _join(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places (i, j) of all pairs with left[i] == right[j], by rising i."""
    order = np.argsort(right, kind="stable")
    first = np.searchsorted(right[order], left)
    count = np.searchsorted(right[order], left, "right") - first
    i = np.repeat(np.arange(len(left)), count)
    return i, order[np.arange(len(i)) + np.repeat(first - np.cumsum(count) + count, count)]
