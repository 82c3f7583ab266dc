"""Confusion networks: word confidences and minimum Bayes risk decoding (Xu, Povey, Mangu, Zhu 2011)."""

from typing import NamedTuple

import numpy as np

from asrdistill.core import DOUBLES, DOUBLES_OUT, FLAG, INTS, REAL, SIZE, Kernel
from asrdistill.decode.lattice import NOTHING, Lattice

ROUNDS = 20  # most iterations; each lowers the expected errors, and a few are enough
_align = Kernel(
    *("core_confusion_align", REAL, SIZE, INTS, INTS, INTS, DOUBLES, SIZE, INTS, SIZE, INTS, FLAG, SIZE),
    *(DOUBLES_OUT, DOUBLES_OUT, DOUBLES_OUT),
)


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
    number = {lattice.words[index]: index for index in np.unique(lattice.word).tolist() if index >= 0}
    posterior = np.exp(lattice.log_posteriors(lm_weight, insertion_penalty))
    hypothesis = [*(number[word] if word in number else lattice.words.index(word) for word in words), NOTHING]
    kinds, word = np.unique(np.append(lattice.word, hypothesis), return_inverse=True)
    arc_word, row, nothing = word[: len(lattice.word)], word[len(lattice.word) : -1], word[-1]
    while True:
        slots = np.full(2 * len(row) + 1, nothing)
        slots[1::2] = row
        share, starts, ends = np.zeros((3, len(slots), len(kinds)))
        arcs = len(posterior), lattice.source, lattice.target, arc_word, posterior, len(lattice.time), lattice.time
        errors = _align(*arcs, len(slots), slots, nothing, len(kinds), share, starts, ends)
        if errors < 0:
            raise MemoryError("the confusion network needs more memory than there is; give a narrower lattice beam")
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
