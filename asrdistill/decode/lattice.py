"""Word lattices: all word sequences within the lattice beam, with exact scores; see docs/internals.md.

Paths lead from node 0 to the last node. A path's score is the sum over its arcs of
acoustic + lm_weight · (lm + pronunciation) + insertion_penalty per word. Arcs are sorted by source and lead upwards.
"""

import heapq
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numba
import numpy as np

from asrdistill.core import DOUBLES, DOUBLES_OUT, FLAG, INTS, INTS_OUT, SIZE, Kernel
from asrdistill.decode.lm import Grammar
from asrdistill.decode.search import ARRIVALS, MERGES, RECORDS, Scales, SearchState, logprobs, next_word
from asrdistill.decode.tree import SILENCE, Tree
from asrdistill.decode.words import Word

NOTHING = -1  # the word of an arc that has none: silence, or the way out
LEAST = -1e-4  # ln P(</s>) of an end, so that the four decimals of SLF tell it from one inside a word, which has 0
WHOLE, CUT = -2, -3  # the leaf of an arc into the last node: after the end of a word, or inside of one

ARCS = SIZE, INTS, INTS, DOUBLES, SIZE  # arcs, source, target, score, nodes
_best = Kernel("core_lattice_best", None, *ARCS, DOUBLES_OUT, INTS_OUT)
_sum_forward = Kernel("core_lattice_forward", None, *ARCS, DOUBLES_OUT)
_sum_backward = Kernel("core_lattice_backward", None, *ARCS, FLAG, DOUBLES_OUT)


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
    tree: Tree, grammar: Grammar, search: SearchState, scales: Scales, words: Sequence[str], ends: tuple[Any, Any, bool]
) -> Lattice:
    """The lattice of the utterance that was just searched with a lattice beam.

    `ends`: result of :func:`asrdistill.decode.search.final_paths`.
    """
    origins, scores, whole = ends
    records, merges = search.records[: search.counts[RECORDS]], search.merges[: search.counts[MERGES]]
    arrivals = search.arrivals[: search.counts[ARRIVALS]]
    out = np.zeros(len(origins), arrivals.dtype)  # the arrivals at the end
    out["record"], out["leaf"], out["back"], out["score"] = len(records), WHOLE if whole else CUT, origins, scores
    lowest = scores.max(initial=-np.inf) - scales.lattice_beam
    source, target, leaf, score = _collect(np.concatenate([arrivals, out]), merges, records, lowest)
    order = np.lexsort((target, source))
    source, target, leaf, score = source[order], target[order], leaf[order], score[order]
    # nodes: the records, and the last node
    state = np.append(records["state"], np.int32(0))
    time = np.append(records["end"], records["end"].max())
    quiet = np.append(tree.leaf["word"][records["leaf"]] == SILENCE, False)
    quiet[0] = False
    word = np.where(leaf >= 0, tree.leaf["word"][leaf], NOTHING).astype(np.int32)
    token = np.where(word >= 0, tree.leaf["token"][leaf], np.where(leaf == WHOLE, grammar.end, -1)).astype(np.int32)
    lm = logprobs(grammar, state[source], token)
    lm = np.where(leaf == WHOLE, np.minimum(lm, LEAST), lm)
    pronunciation = np.where(word >= 0, tree.leaf["logprob"][leaf], 0.0)
    silence = (leaf >= 0) & (word < 0)
    pronunciation += np.where(silence, scales.silence / scales.lm_weight, 0.0)
    pronunciation += np.where((token >= 0) & ~quiet[source], scales.no_silence / scales.lm_weight, 0.0)
    acoustic = score - scales.lm_weight * (lm + pronunciation) - scales.insertion_penalty * (word >= 0)
    return Lattice(words, time.astype(np.int32), source, target, word, acoustic, lm, pronunciation).trimmed()


@numba.njit(cache=True)
def _collect(arrivals, merges, records, lowest):
    """Arcs (source node, target node, leaf, score) on paths of at least `lowest`.

    Arrivals stand in the order of time; the last ones lead to the record after all others, the end. From the end
    backwards, what lies beyond a record is known when the paths into it are opened: its merges, newest first, are
    taken apart while they are good enough.
    """
    nodes = len(records) + 1
    beyond = np.full(nodes, -np.inf)
    beyond[nodes - 1] = 0.0
    gap_of = np.full(len(merges), np.inf)
    source, target, leaves, scores = [np.int32(0)], [np.int32(0)], [np.int32(0)], [0.0]
    for place in range(len(arrivals) - 1, -1, -1):
        arrival = arrivals[place]
        there, back = arrival.record, arrival.back
        slack = arrival.score + beyond[there] - lowest
        if not slack >= 0:
            continue
        origins = {np.int32(0): 0.0}
        origins.clear()
        waiting = [np.int64(0)]
        waiting.clear()
        if back >= 0:
            origins[back] = 0.0
        else:
            gap_of[-1 - back] = 0.0
            heapq.heappush(waiting, np.int64(back))  # the newest merge is the lowest number
        while len(waiting) > 0:
            number = -1 - heapq.heappop(waiting)
            merge, gap = merges[number], gap_of[number]
            gap_of[number] = np.inf
            for origin, more in ((merge.first, gap), (merge.other, gap + merge.gap)):
                if more > slack:
                    continue
                if origin >= 0:
                    if origin not in origins or more < origins[origin]:
                        origins[origin] = more
                else:
                    if gap_of[-1 - origin] == np.inf:
                        heapq.heappush(waiting, np.int64(origin))
                    gap_of[-1 - origin] = min(gap_of[-1 - origin], more)
        for here, gap in origins.items():
            value = arrival.score - gap - records[here].score
            beyond[here] = max(beyond[here], value + beyond[there])
            source.append(np.int32(here))
            target.append(np.int32(there))
            leaves.append(arrival.leaf)
            scores.append(value)
    return (
        np.array(source, np.int32)[1:],
        np.array(target, np.int32)[1:],
        np.array(leaves, np.int32)[1:],
        np.array(scores)[1:],
    )


@numba.njit(cache=True)
def _expand(grammar, source, target, token, time):
    """Split nodes by the state of a language model: (time of the nodes, source, target, arc it came from, ln P)."""
    nodes = len(time)
    first = np.searchsorted(source, np.arange(nodes + 1))
    number = {(np.int64(0) << 32) + grammar.start: 0}
    copies = [[np.int32(0)] for _ in range(nodes)]  # of a node: its states, each after the first dummy
    copies[0].append(np.int32(grammar.start))
    number[np.int64(nodes - 1) << 32] = 0  # one last node, reached or not
    copies[nodes - 1].append(np.int32(0))
    sources, targets, arcs, logprobs = [(np.int64(0), 0)], [(np.int64(0), 0)], [0], [0.0]
    for node in range(nodes):
        for k in range(1, len(copies[node])):
            state = copies[node][k]
            for arc in range(first[node], first[node + 1]):
                logprob, after = 0.0, np.int64(state)
                if token[arc] >= 0:
                    logprob, after = next_word(grammar, state, token[arc])
                if target[arc] == nodes - 1:
                    after = np.int64(0)
                key = (np.int64(target[arc]) << 32) + after
                if key not in number:
                    number[key] = len(copies[target[arc]]) - 1
                    copies[target[arc]].append(np.int32(after))
                sources.append((np.int64(node), k - 1))
                targets.append((np.int64(target[arc]), number[key]))
                arcs.append(arc)
                logprobs.append(logprob)
    begin = np.zeros(nodes + 1, np.int32)
    for node in range(nodes):
        begin[node + 1] = begin[node] + len(copies[node]) - 1
    new_time = np.empty(begin[nodes], np.int32)
    for node in range(nodes):
        new_time[begin[node] : begin[node + 1]] = time[node]
    count = len(arcs) - 1
    new_source, new_target = np.empty(count, np.int32), np.empty(count, np.int32)
    for k in range(count):
        new_source[k] = begin[sources[k + 1][0]] + sources[k + 1][1]
        new_target[k] = begin[targets[k + 1][0]] + targets[k + 1][1]
    return new_time, new_source, new_target, np.array(arcs)[1:], np.array(logprobs)[1:]


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
