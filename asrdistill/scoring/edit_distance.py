"""Edit-distance alignment of hypothesis and reference as sclite's: a substitution costs 4, an insertion or deletion 3.

Traced from the end, a word pair is preferred, then an insertion, then a deletion. Memory is linear in the words.
"""

from collections.abc import Sequence

import numpy as np

from asrdistill.core import INTS, LONGS_OUT, SIZE, Kernel

CELLS = 1 << 22  # bytes of moves that are kept; longer utterances are aligned in parts

_align = Kernel("core_align_words", SIZE, SIZE, INTS, SIZE, INTS, SIZE, LONGS_OUT)

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
    pairs = np.empty((len(ref) + len(hyp), 2), np.int64)
    if (begin := _align(len(ref), ref, len(hyp), hyp, CELLS, pairs)) < 0:
        raise MemoryError
    return pairs[begin:]
