"""Bootstrap over utterances (Bisani and Ney 2004): intervals of the word error rate, and paired comparisons.

A system of several seeds counts with the mean of its seeds' errors in each utterance.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asrdistill.errors import UserError
from asrdistill.scoring.wer import Scores

RESAMPLES = 10_000
_BLOCK = 1 << 20  # draws held at once


@dataclass(frozen=True)
class Comparison:
    """Word error rate of system a minus that of b, in points; `p` is the one-sided p-value of a < b."""

    difference: float
    ci95: tuple[float, float]
    p: float


def interval(seeds: Sequence[Scores], resamples: int = RESAMPLES, seed: int = 0) -> tuple[float, float]:
    """95 % bootstrap interval of the word error rate (percent) of a system of one or several seeds."""
    sums = resample(np.stack([mean_errors(seeds), seeds[0].words], 1), resamples, seed)
    return _middle(_percent(sums[:, 0], sums[:, 1]))


def compare(a: Sequence[Scores], b: Sequence[Scores], resamples: int = RESAMPLES, seed: int = 0) -> Comparison:
    """Paired bootstrap of two systems, each of one or several seeds, on the same utterances.

    p counts the observed difference, so that it is never 0 (Davison and Hinkley 1997, section 4.2).
    """
    if a[0].utterances != b[0].utterances:
        raise UserError("two systems can be compared only on the same utterances")
    errors, words = mean_errors(a) - mean_errors(b), a[0].words
    sums = resample(np.stack([errors, words], 1), resamples, seed)
    differences = _percent(sums[:, 0], sums[:, 1])
    # a sum of thirds may miss 0 by a rounding error, and a tie must not count for a
    ties_or_worse = int((differences > -1e-9).sum())
    observed = float(100 * errors.sum() / words.sum())
    return Comparison(observed, _middle(differences), (1 + ties_or_worse) / (1 + resamples))


def mean_errors(seeds: Sequence[Scores]) -> np.ndarray:
    """(U,) errors of each utterance, the mean over the seeds."""
    if any(scores.utterances != seeds[0].utterances for scores in seeds):
        raise UserError("the seeds of a system must be scored on the same utterances")
    return np.mean([scores.errors for scores in seeds], axis=0)


def resample(columns: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Sums (R, C) of the rows (U, C) of R draws with replacement, in constant memory."""
    rng = np.random.default_rng(seed)
    rows = len(columns)
    block = max(1, _BLOCK // rows)
    sums = []
    for first in range(0, resamples, block):
        draws = rng.integers(rows, size=(min(block, resamples - first), rows))
        sums.append(np.stack([column[draws].sum(1) for column in columns.T], 1))
    return np.concatenate(sums)


def _percent(errors: np.ndarray, words: np.ndarray) -> np.ndarray:
    return 100 * errors / np.maximum(words, 1)


def _middle(values: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(values, (2.5, 97.5))
    return float(low), float(high)
