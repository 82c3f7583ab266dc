"""Edit-distance alignment of hypothesis and reference as sclite's: a substitution costs 4, an insertion or deletion 3.

Traced from the end, a word pair is preferred, then an insertion, then a deletion.
"""

import sys
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

SUBSTITUTION, GAP = 4, 3
_PAIR, _INSERTION, _DELETION = 0, 1, 2
PLAIN = 200_000  # cells that Python fills faster than numba is loaded
_filled = 0  # cells so far in this process

Pair = tuple[str | None, str | None]  # (reference word, hypothesis word); None where there is none


def align_words(reference: Sequence[str], hypothesis: Sequence[str]) -> list[Pair]:
    """Pairs of words in order; (None, word) is an insertion, (word, None) a deletion."""
    pairs = _positions(*_numbered(reference, hypothesis)).tolist()
    return [(reference[i] if i >= 0 else None, hypothesis[j] if j >= 0 else None) for i, j in pairs]


def count_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> tuple[int, int, int]:
    """(insertions, deletions, substitutions) of the hypothesis."""
    ref, hyp = _numbered(reference, hypothesis)
    at = _positions(ref, hyp)
    insertions, deletions = int((at[:, 0] < 0).sum()), int((at[:, 1] < 0).sum())
    paired = at[(at >= 0).all(1)]
    return insertions, deletions, int((ref[paired[:, 0]] != hyp[paired[:, 1]]).sum())


def _numbered(reference: Sequence[str], hypothesis: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    ids: dict[str, int] = {}
    for word in (*reference, *hypothesis):
        ids.setdefault(word, len(ids))
    return tuple(np.array([ids[word] for word in words], dtype=np.int32) for words in (reference, hypothesis))  # type: ignore[return-value]


def _positions(ref: np.ndarray, hyp: np.ndarray) -> np.ndarray:
    """Word numbers (N,), (M,) -> aligned positions (P, 2), -1 where there is no word."""
    global _filled
    _filled += (len(ref) + 1) * (len(hyp) + 1)
    return (_compiled() if _filled > PLAIN or "numba" in sys.modules else _fill)(ref, hyp)


@cache
def _compiled() -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    import numba

    return numba.njit(cache=True)(_fill)


def _fill(ref, hyp):
    """The dynamic programme of :func:`_positions`."""
    n, m = len(ref), len(hyp)
    cost = np.arange(m + 1) * GAP  # of the row above, then of this row
    move = np.full((n + 1, m + 1), _DELETION, dtype=np.int8)
    move[0, 1:] = _INSERTION
    for i in range(1, n + 1):
        corner, cost[0] = cost[0], i * GAP
        for j in range(1, m + 1):
            pair = corner + (0 if ref[i - 1] == hyp[j - 1] else SUBSTITUTION)
            insertion, deletion = cost[j - 1] + GAP, cost[j] + GAP
            best = min(pair, insertion, deletion)
            corner, cost[j] = cost[j], best
            if best == pair:
                move[i, j] = _PAIR
            elif best == insertion:
                move[i, j] = _INSERTION
    pairs = np.full((n + m, 2), -1, dtype=np.int64)
    i, j, at = n, m, n + m
    while i > 0 or j > 0:
        at -= 1
        step = move[i, j]
        if step != _INSERTION:
            i -= 1
            pairs[at, 0] = i
        if step != _DELETION:
            j -= 1
            pairs[at, 1] = j
    return pairs[at:]
