"""Word lattices: all word sequences within the lattice beam, with exact scores; see docs/internals.md.

Paths lead from node 0 to the last node. A path's score is the sum over its arcs of
acoustic + lm_weight · (lm + pronunciation) + insertion_penalty per word. Arcs are sorted by source and lead upwards.
"""

import ctypes
import heapq
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from asrdistill.core import DOUBLES, DOUBLES_OUT, FLAG, HANDLE, INTS, INTS_OUT, SIZE, Kernel
from asrdistill.decode.lm import Grammar
from asrdistill.decode.search import Arcs, Scales, SearchState, native_grammar
from asrdistill.decode.tree import SILENCE, Tree
from asrdistill.decode.words import Word

NOTHING = -1  # the word of an arc that has none: silence, or the way out
LEAST = -1e-4  # ln P(</s>) of an end, so that the four decimals of SLF tell it from one inside a word, which has 0
WHOLE, CUT = -2, -3  # the leaf of an arc into the last node: after the end of a word, or inside of one

ARCS = SIZE, INTS, INTS, DOUBLES, SIZE  # arcs, source, target, score, nodes
_best = Kernel("core_lattice_best", None, *ARCS, DOUBLES_OUT, INTS_OUT)
_sum_forward = Kernel("core_lattice_forward", None, *ARCS, DOUBLES_OUT)
_sum_backward = Kernel("core_lattice_backward", None, *ARCS, FLAG, DOUBLES_OUT)
_split = Kernel("core_lattice_expand", ctypes.POINTER(Arcs), HANDLE, SIZE, INTS, INTS, INTS, SIZE, INTS_OUT)
_free_arcs = Kernel("core_arcs_free", None, ctypes.POINTER(Arcs))


class Lattice(NamedTuple):
    """V nodes and A arcs; log-probabilities are natural."""

    words: Sequence[str]
    time: np.ndarray  # (V,) int32: the frame before which a node stands
    source: np.ndarray  # (A,) int32, rising
    target: np.ndarray  # (A,) int32, each above its source
    word: np.ndarray  # (A,) int32: index into words, or NOTHING
    acoustic: np.ndarray  # (A,) float64: log-likelihood with transition probabilities, unscaled
    lm: np.ndarray  # (A,) float64: ln P of the n-gram model
    pronunciation: np.ndarray  # (A,) float64: ln P of the pronunciation, and of silence or none before it

    def scores(self, lm_weight: float, insertion_penalty: float) -> np.ndarray:
        """Each arc's share of its paths' scores, (A,)."""
        return self.acoustic + lm_weight * (self.lm + self.pronunciation) + insertion_penalty * (self.word >= 0)

    def best(self, lm_weight: float, insertion_penalty: float) -> tuple[float, list[Word]]:
        """Score and words of the best path."""
        scores = self.scores(lm_weight, insertion_penalty)
        best, came = _best_paths(self.source, self.target, scores, len(self.time))
        path, node = [], len(self.time) - 1
        while node > 0:
            path.append(came[node])
            node = self.source[came[node]]
        return best[-1], [self._word(arc, scores) for arc in reversed(path) if self.word[arc] >= 0]

    def _word(self, arc: int, scores: np.ndarray) -> Word:
        start, end = self.time[self.source[arc]], self.time[self.target[arc]]
        return Word(self.words[self.word[arc]], int(start), int(end), float(scores[arc]))

    def spelled(self, word: int) -> str:
        return self.words[word] if word >= 0 else ""

    def n_best(self, lm_weight: float, insertion_penalty: float, count: int) -> list[tuple[float, list[str]]]:
        """The `count` best different word sequences with their scores, best first.

        Best-first search over partial paths by the best score that they can still reach. Of paths to a node with the
        same words only the first counts.
        """
        scores = self.scores(lm_weight, insertion_penalty)
        ahead = _backward(self.source, self.target, scores, len(self.time), False)
        first = np.searchsorted(self.source, np.arange(len(self.time) + 1))
        waiting: list[tuple[float, int, tuple[int, ...], float]] = [(-ahead[0], 0, (), 0.0)]
        seen: set[tuple[int, tuple[int, ...]]] = set()
        found: list[tuple[float, list[str]]] = []
        while waiting and len(found) < count:
            _, node, words, score = heapq.heappop(waiting)
            if (node, words) in seen:
                continue
            seen.add((node, words))
            if node == len(self.time) - 1:
                found.append((score, [self.words[word] for word in words]))
            for arc in range(first[node], first[node + 1]):
                target, word, there = int(self.target[arc]), int(self.word[arc]), score + scores[arc]
                longer = (*words, word) if word >= 0 else words
                heapq.heappush(waiting, (-(there + ahead[target]), target, longer, there))
        return found

    def log_posteriors(self, lm_weight: float, insertion_penalty: float) -> np.ndarray:
        """ln of each arc's share of all paths, (A,), where a path weighs exp(score / lm_weight)."""
        scores = self.scores(lm_weight, insertion_penalty) / lm_weight
        before = _forward(self.source, self.target, scores, len(self.time))
        after = _backward(self.source, self.target, scores, len(self.time), True)
        return before[self.source] + scores + after[self.target] - after[0]

    def rescored(self, grammar: Grammar, tokens: Mapping[str, int]) -> "Lattice":
        """The lattice with the exact probabilities of another language model.

        `tokens` numbers the model's words. Words that it lacks are its ``<unk>``; if it has none, paths with such words
        are left out. Raises ValueError if that leaves no path.
        """
        unknown = tokens.get("<unk>", -1)
        token = np.array([tokens.get(word, unknown) for word in self.words], np.int32)
        last = len(self.time) - 1
        arc_token = np.where(self.word >= 0, token[self.word], -1)
        arc_token[(self.target == last) & (self.lm != 0)] = grammar.end
        usable = (self.word < 0) | (arc_token >= 0)
        time, source, target, arc, lm = _expand(
            grammar, self.source[usable], self.target[usable], arc_token[usable], self.time
        )
        arc = np.flatnonzero(usable)[arc]
        rest = {name: getattr(self, name)[arc] for name in ("word", "acoustic", "pronunciation")}
        return self._replace(time=time, source=source, target=target, lm=lm, **rest).trimmed()

    def trimmed(self) -> "Lattice":
        """Without the arcs and nodes that lie on no path; raises ValueError if there is no path."""
        free, nodes = np.zeros(len(self.source)), len(self.time)
        reached = _best_paths(self.source, self.target, free, nodes)[0] > -np.inf
        leads = _backward(self.source, self.target, free, nodes, False) > -np.inf
        if not leads[0]:
            raise ValueError("no path is left in the lattice")
        keep, used = reached[self.source] & leads[self.target], reached & leads
        number = np.cumsum(used, dtype=np.int32) - 1
        arrays = {name: getattr(self, name)[keep] for name in ("word", "acoustic", "lm", "pronunciation")}
        source, target = number[self.source[keep]], number[self.target[keep]]
        return self._replace(time=self.time[used], source=source, target=target, **arrays)


def build(
    tree: Tree, grammar: Grammar, search: SearchState, scales: Scales, words: Sequence[str], whole: bool
) -> Lattice:
    """The lattice of the utterance that was just searched with a lattice beam.

    `whole`: result of :meth:`asrdistill.decode.search.SearchState.finals`.
    """
    records = search.records()
    source, target, leaf, score = search.arcs(WHOLE if whole else CUT)
    order = np.lexsort((target, source))
    source, target, leaf, score = source[order], target[order], leaf[order], score[order]
    # nodes: the records, and the last node
    state = np.append(records["state"], np.int32(0))
    time = np.append(records["end"], records["end"].max())
    quiet = np.append(tree.leaf["word"][records["leaf"]] == SILENCE, False)
    quiet[0] = False
    word = np.where(leaf >= 0, tree.leaf["word"][leaf], NOTHING).astype(np.int32)
    token = np.where(word >= 0, tree.leaf["token"][leaf], np.where(leaf == WHOLE, grammar.end, -1)).astype(np.int32)
    lm = search.logprobs(state[source], token, word)
    lm = np.where(leaf == WHOLE, np.minimum(lm, LEAST), lm)
    pronunciation = np.where(word >= 0, tree.leaf["logprob"][leaf], 0.0)
    silence = (leaf >= 0) & (word < 0)
    pronunciation += np.where(silence, scales.silence / scales.lm_weight, 0.0)
    pronunciation += np.where((token >= 0) & ~quiet[source], scales.no_silence / scales.lm_weight, 0.0)
    acoustic = score - scales.lm_weight * (lm + pronunciation) - scales.insertion_penalty * (word >= 0)
    return Lattice(words, time.astype(np.int32), source, target, word, acoustic, lm, pronunciation).trimmed()


def _expand(grammar: Grammar, source: np.ndarray, target: np.ndarray, token: np.ndarray, time: np.ndarray) -> Any:
    """Split nodes by the state of a language model: (time of the nodes, source, target, arc it came from, ln P)."""
    copies, native = np.empty(len(time), np.int32), native_grammar(grammar)
    found = _split(ctypes.byref(native), len(source), source, target, token, len(time), copies)
    if not found:
        raise MemoryError("the rescored lattice needs more memory than there is; give a narrower lattice beam")
    arrays = found.contents.arrays()
    _free_arcs(found)
    return np.repeat(time, copies), *arrays


def _best_paths(source: np.ndarray, target: np.ndarray, scores: np.ndarray, nodes: int) -> Any:
    """Score of the best path to each node, and the arc by which it comes."""
    best, came = np.empty(nodes), np.empty(nodes, np.int32)
    _best(len(source), source, target, scores, nodes, best, came)
    return best, came


def _forward(source: np.ndarray, target: np.ndarray, scores: np.ndarray, nodes: int) -> np.ndarray:
    """ln of the sum over all paths from the start to each node."""
    total = np.empty(nodes)
    _sum_forward(len(source), source, target, scores, nodes, total)
    return total


def _backward(source: np.ndarray, target: np.ndarray, scores: np.ndarray, nodes: int, summed: bool) -> np.ndarray:
    """Score of the best path from each node to the end, or ln of the sum over all paths."""
    total = np.empty(nodes)
    _sum_backward(len(source), source, target, scores, nodes, summed, total)
    return total
