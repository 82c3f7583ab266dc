"""Confusion networks: word confidences and minimum Bayes risk decoding (Xu, Povey, Mangu, Zhu 2011)."""

from typing import NamedTuple

import numba
import numpy as np

from asrdistill.decode.lattice import NOTHING, Lattice

ROUNDS = 20  # most iterations; each lowers the expected errors, and a few are enough
TIE = 1e-5  # extra cost of an insertion, so that paths with fewer words win ties


class Consensus(NamedTuple):
    """Words with their confidences and mean times in frames, and the expected number of word errors."""

    words: list[str]
    confidences: list[float]
    times: list[tuple[int, int]]
    expected_errors: float


def confidences(lattice: Lattice, lm_weight: float, insertion_penalty: float, words: list[str]) -> Consensus:
    """Posterior probability of each word of a hypothesis."""
    return _aligned(lattice, lm_weight, insertion_penalty, words, 1)


def minimum_risk(lattice: Lattice, lm_weight: float, insertion_penalty: float) -> Consensus:
    """The words with the fewest expected errors, starting from the best path's."""
    _, best = lattice.best(lm_weight, insertion_penalty)
    return _aligned(lattice, lm_weight, insertion_penalty, [word.word for word in best], ROUNDS)


def _aligned(lattice: Lattice, lm_weight: float, insertion_penalty: float, words: list[str], rounds: int) -> Consensus:
    """Align all paths with the words; in each further round with the most probable word of each slot."""
    number = {word: index for index, word in enumerate(lattice.words)}
    posterior = np.exp(lattice.log_posteriors(lm_weight, insertion_penalty))
    hypothesis = [*(number[word] for word in words), NOTHING]
    kinds, word = np.unique(np.append(lattice.word, hypothesis), return_inverse=True)
    arc_word, row, nothing = word[: len(lattice.word)], word[len(lattice.word) : -1], word[-1]
    while True:
        slots = np.full(2 * len(row) + 1, nothing)
        slots[1::2] = row
        errors, share, starts, ends = _align(
            lattice.source, lattice.target, arc_word, posterior, lattice.time, slots, nothing, len(kinds)
        )
        rounds -= 1
        better = share.argmax(1)
        changed = better[better != nothing]
        if rounds == 0 or (len(changed) == len(row) and (changed == row).all()):
            break
        row = changed
    chosen = np.arange(1, len(slots), 2), row
    mass = np.maximum(share[chosen], 1e-300)
    times = np.rint(np.stack([starts[chosen], ends[chosen]], 1) / mass[:, None]).astype(int)
    found = [lattice.words[kinds[word]] for word in row]
    return Consensus(found, np.minimum(share[chosen], 1.0).tolist(), [(a, b) for a, b in times.tolist()], float(errors))


@numba.njit(cache=True)
def _align(source, target, word, posterior, time, slots, nothing, kinds):
    """Align all paths with the slots (Q,): expected errors, and (Q, kinds) shares and sums of times by word.

    posterior (A,) of arcs; word (A,) and slots are numbers below `kinds`, `nothing` among them.
    """
    nodes, count = len(time), len(slots)
    mass = np.zeros(nodes)  # of the paths through a node
    mass[0] = 1.0
    for arc in range(len(source)):
        mass[target[arc]] += posterior[arc]
    errors = np.zeros((nodes, count + 1))  # expected errors of a node's paths against the first q slots
    for q in range(count):
        errors[0, q + 1] = errors[0, q] + _one(nothing, slots[q], nothing)
    here = np.empty(count + 1)
    for arc in range(len(source)):  # in the order of sources: all that comes into a source has been added
        n = target[arc]
        _follow(errors[source[arc]], word[arc], slots, nothing, here)
        part = posterior[arc] / max(mass[n], 1e-300)
        for q in range(count + 1):
            errors[n, q] += part * here[q]
    share, starts, ends = np.zeros((count, kinds)), np.zeros((count, kinds)), np.zeros((count, kinds))
    behind = np.zeros((nodes, count + 1))  # mass of the paths whose alignment is at (node, q), from the end
    behind[nodes - 1, count] = 1.0
    left = np.empty(count + 1)
    for arc in range(len(source) - 1, -1, -1):
        s, n, w = source[arc], target[arc], word[arc]
        part = posterior[arc] / max(mass[n], 1e-300)
        if part == 0.0:
            continue
        before = errors[s]
        _follow(before, w, slots, nothing, here)
        for q in range(count + 1):
            left[q] = part * behind[n, q]
        for q in range(count, 0, -1):
            if left[q] == 0.0:
                continue
            slot = slots[q - 1]
            if here[q] == before[q - 1] + _one(w, slot, nothing):
                behind[s, q - 1] += left[q]
                share[q - 1, w] += left[q]
                if w != nothing:
                    starts[q - 1, w] += left[q] * time[s]
                    ends[q - 1, w] += left[q] * time[n]
            elif here[q] == before[q] + _one(w, nothing, nothing):
                behind[s, q] += left[q]
            else:
                left[q - 1] += left[q]
                share[q - 1, nothing] += left[q]
        behind[s, 0] += left[0]
    for q in range(count, 0, -1):
        behind[0, q - 1] += behind[0, q]
        share[q - 1, nothing] += behind[0, q]
    return errors[nodes - 1, count], share, starts, ends


@numba.njit(cache=True)
def _follow(before, word, slots, nothing, out):
    """Fill `out` (Q + 1,): expected errors after an arc with `word` against the first q slots, from those before it."""
    extra = _one(word, nothing, nothing)
    out[0] = before[0] + extra
    for q in range(1, len(out)):
        slot = slots[q - 1]
        together = before[q - 1] + _one(word, slot, nothing)
        out[q] = min(together, before[q] + extra, out[q - 1] + _one(nothing, slot, nothing))


@numba.njit(cache=True)
def _one(word, slot, nothing):
    """Cost of aligning a word with a slot."""
    if word == slot:
        return 0.0
    return 1.0 + TIE if slot == nothing else 1.0
