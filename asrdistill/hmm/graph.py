"""Utterance graphs for alignment: a left-to-right graph of HMM states per transcript.

             ┌► pronunciation 1 ─┐  ┌►  SIL  ─┐  ┌► …
    ─► [SIL] ┤                   ├──┤         ├──┤
             └► pronunciation 2 ─┘  └─────────┘  └► …

First a graph of phones is made, then its phones become states, once for each pair of neighbours that decides about
senones. Every arc leads to a state of a higher number; self loops are implicit.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numba
import numpy as np

from asrdistill.errors import UserError, shorten
from asrdistill.hmm.senones import Senones
from asrdistill.lang.lexicon import NEVER, Lang


class UtteranceGraph(NamedTuple):
    """N states and A arcs into them. Weights are natural logs, without the senones' transition probabilities."""

    senone: np.ndarray  # (N,) int32
    unit: np.ndarray  # (N,) int32: phone of the graph that the state belongs to; rises along every path
    unit_phone: np.ndarray  # (units,) int32: index into the phones of the senones
    unit_word: np.ndarray  # (units,) int32: place of the word in the utterance, -1 for silence
    first: np.ndarray  # (N + 1,) int32: arcs into state n are first[n] … first[n + 1] - 1
    source: np.ndarray  # (A,) int32: the state that an arc comes from
    weight: np.ndarray  # (A,) float32
    entry: np.ndarray  # (N,) float32: weight of starting in the state
    exit: np.ndarray  # (N,) float32: weight of ending after the state

    def senones(self) -> tuple[np.ndarray, np.ndarray]:
        """The distinct senones, sorted, and the index into them of each state (N,)."""
        found, places = np.unique(self.senone, return_inverse=True)
        return found, places.astype(np.int32)


class GraphCompiler:
    """Makes the graphs of utterances from lexicon and senones.

    compiler = GraphCompiler(lang, senones)
    graph = compiler(["HELLO", "WORLD"])
    """

    def __init__(self, lang: Lang, senones: Senones):
        if missing := sorted(set(lang.phones) - set(senones.phones)):
            raise UserError(f"the model lacks phones of the lexicon: {shorten(missing)}; train it with this lexicon")
        if lang.silence != senones.phones[0]:
            raise UserError(
                f"silence is {senones.phones[0]} in the model, {lang.silence} in the lexicon; use the model's lexicon"
            )
        if senones.ctc:
            raise UserError("the units of a CTC model are no HMM states; align with a model that has these")
        self.lang, self.senones = lang, senones
        self.word_index = {word: index for index, word in enumerate(lang.pronunciations)}
        self._phone_index = {phone: index for index, phone in enumerate(senones.phones)}
        spoken = [lang.pronunciations[word] for word in self.word_index]
        flat = [pronunciation for alternatives in spoken for pronunciation in alternatives]
        self._lexicon = (
            _starts(len(alternatives) for alternatives in spoken),
            np.log([probability for probability, _ in flat]),
            _starts(len(phones) for _, phones in flat),
            np.array([self._phone_index[phone] for _, phones in flat for phone in phones], dtype=np.int32),
            np.log(lang.silence_probability),
            np.log1p(-lang.silence_probability),
        )

    def __call__(self, words: Sequence[str]) -> UtteranceGraph:
        """Graph of words of the lexicon; without words it is one silence."""
        indices = np.array([self.word_index[word] for word in words], dtype=np.int64)
        phone, word, *arcs = _phone_graph(indices, *self._lexicon)
        lengths = self.senones.lengths
        fewest = lengths - ((lengths == 2) & (self.senones.subsampling > 1))  # states that a phone has at least
        inventory = [self.senones.contexts, self.senones.table, lengths, fewest]
        senone, unit, *arcs = _expand(*[phone, *arcs, *inventory])
        return UtteranceGraph(senone, unit, phone, word, *arcs)

    def flat_path(self, words: Sequence[str]) -> np.ndarray:
        """(N,) int32 senones of the first pronunciations with silence at both ends: the flat start."""
        edge = [0] if self.lang.silence_probability > NEVER else []
        phones = [self._phone_index[phone] for word in words for phone in self.lang.pronunciations[word][0][1]]
        phones = [0, *edge, *phones, *edge, 0]  # beyond the ends is silence too
        contexts = self.senones.contexts[phones]
        senones = self.senones.table[phones[1:-1], contexts[:-2], contexts[2:]]  # (phones, states), -1 beyond the last
        return senones[senones >= 0]


def _starts(lengths) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(list(lengths))]).astype(np.int64)


@numba.njit(cache=True)
def _phone_graph(words, word_first, pron_logprob, pron_first, pron_phones, log_sil, log_no_sil):
    """Graph of phones for word indices (n,): phone (0: silence), word (-1: silence), then arcs as in UtteranceGraph."""
    phone, place_of, first, source = _integers(), _integers(), [0], _integers()
    weight, entry, exit = [0.0][:0], [0.0][:0], [0.0][:0]
    ends = _integers()  # last phones of the word before
    for place in range(-1, len(words)):
        before, silence = ends, len(phone) - 1
        if place >= 0:
            ends = _integers()
            for p in range(word_first[words[place]], word_first[words[place] + 1]):
                for k in range(pron_first[p], pron_first[p + 1]):
                    enters = -np.inf
                    if k > pron_first[p]:
                        source.append(len(phone) - 1)
                        weight.append(0.0)
                    else:
                        for end in before:
                            source.append(end)
                            weight.append(log_no_sil + pron_logprob[p])
                        source.append(silence)
                        weight.append(pron_logprob[p])
                        if place == 0:
                            enters = log_no_sil + pron_logprob[p]
                    phone.append(pron_phones[k])
                    place_of.append(place)
                    entry.append(enters)
                    exit.append(-np.inf)
                    first.append(len(source))
                ends.append(len(phone) - 1)
        for end in ends:
            source.append(end)
            weight.append(log_sil)
        phone.append(0)
        place_of.append(-1)
        entry.append(log_sil if place < 0 else -np.inf)
        exit.append(-np.inf)
        first.append(len(source))
    exit[-1] = 0.0
    for end in ends:
        exit[end] = log_no_sil
    return _arrays(phone, place_of, first, source, weight, entry, exit)


@numba.njit(cache=True)
def _expand(phone, first, source, weight, entry, exit, classes, table, lengths, fewest):
    """Graph of states: senone, unit, then arcs as in UtteranceGraph.

    A phone is repeated for each pair of neighbour classes; silence (phone 0, class 0) has no context.
    """
    phones, count = len(phone), table.shape[1]
    left, right = np.zeros((phones, count), np.bool_), np.zeros((phones, count), np.bool_)
    for v in range(phones):
        left[v, 0] |= entry[v] > -np.inf
        right[v, 0] |= exit[v] > -np.inf
        for a in range(first[v], first[v + 1]):
            left[v, classes[phone[source[a]]]] = True
            right[source[a], classes[phone[v]]] = True
    for v in range(phones):
        if phone[v] == 0:
            left[v], right[v] = False, False
            left[v, 0], right[v, 0] = True, True

    last = np.full((phones, count, count), -1, np.int32)  # last state of the phone between two classes
    senone, unit, out_first, out_source = _integers(), _integers(), [0], _integers()
    out_weight, out_entry, out_exit = [0.0][:0], [0.0][:0], [0.0][:0]
    for v in range(phones):
        for before in np.flatnonzero(left[v]):
            for after in np.flatnonzero(right[v]):
                for state in range(lengths[phone[v]]):
                    if state > 0:
                        out_source.append(len(senone) - 1)
                        out_weight.append(0.0)
                    else:
                        for a in range(first[v], first[v + 1]):
                            u = source[a]
                            if phone[v] != 0 and classes[phone[u]] != before:
                                continue
                            side = classes[phone[v]] if phone[u] != 0 else 0
                            for k in np.flatnonzero(left[u]):
                                for n in range(fewest[phone[u]] - 1, lengths[phone[u]]):
                                    out_source.append(last[u, k, side] - lengths[phone[u]] + 1 + n)
                                    out_weight.append(weight[a])
                    out_entry.append(entry[v] if state == 0 and before == 0 else -np.inf)
                    out_exit.append(exit[v] if state + 1 >= fewest[phone[v]] and after == 0 else -np.inf)
                    senone.append(table[phone[v], before, after, state])
                    unit.append(v)
                    out_first.append(len(out_source))
                last[v, before, after] = len(senone) - 1
    return _arrays(senone, unit, out_first, out_source, out_weight, out_entry, out_exit)


@numba.njit(cache=True)
def _arrays(node, unit, first, source, weight, entry, exit):
    return (
        np.array(node, np.int32),
        np.array(unit, np.int32),
        np.array(first, np.int32),
        np.array(source, np.int32),
        np.array(weight, np.float32),
        np.array(entry, np.float32),
        np.array(exit, np.float32),
    )


@numba.njit(cache=True)
def _integers():
    return [0][:0]
