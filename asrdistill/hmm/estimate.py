"""Estimation of Gaussian mixtures from aligned frames: accumulate, update, split."""

import heapq
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

from asrdistill.hmm.gmm import Mixtures, expand
from asrdistill.parallel import Sums

POWER = 0.25  # Gaussians per senone are proportional to its frames to this power
MIN_OCCUPANCY = 10.0  # frames; Gaussians with fewer are removed
VARIANCE_FLOOR = 0.01  # of the global variance
CHUNK = 2048  # frames multiplied at once
NOTHING = np.float32(1e-10)  # smaller posteriors count as 0, which saves most of the sums
PERTURB = 0.01  # standard deviations that the halves of a split Gaussian move apart


@dataclass
class Statistics(Sums):
    """Sums over frames.

    occupancy (G,), sums (G, 2D) of posterior · [x, x²]; stays, leaves (S,): frames after which the senone is kept or
    left; loglike: total log-likelihood.
    """

    occupancy: np.ndarray
    sums: np.ndarray
    stays: np.ndarray
    leaves: np.ndarray
    loglike: float = 0.0
    left_out: tuple[str, ...] = ()

    @classmethod
    def zeros(cls, mixtures: Mixtures) -> "Statistics":
        gaussians, dimension = mixtures.means.shape
        senones = len(mixtures.first) - 1
        sums = np.zeros((gaussians, 2 * dimension))
        return cls(np.zeros(gaussians), sums, np.zeros(senones), np.zeros(senones))

    @property
    def frames(self) -> float:
        return self.stays.sum() + self.leaves.sum()


def accumulate(mixtures: Mixtures, x: np.ndarray, senone: np.ndarray) -> Statistics:
    """Statistics of frames x (T, D) with senones (T,)."""
    stats = Statistics.zeros(mixtures)
    posteriors, stats.loglike = responsibilities(mixtures, x, senone)
    _add_frames(posteriors, mixtures.first, expand(x), senone, stats.occupancy, stats.sums)
    return stats


def responsibilities(mixtures: Mixtures, x: np.ndarray, senone: np.ndarray) -> tuple[np.ndarray, float]:
    """(posteriors (T, most Gaussians of a senone) float32 of the Gaussians of each frame's senone, log-likelihood)."""
    posteriors = np.zeros((len(x), np.diff(mixtures.first).max()), np.float32)
    linear, constant = mixtures.linear
    loglike = _fill_posteriors(linear, constant[:, 0], mixtures.first, expand(x), senone, posteriors)
    return posteriors, loglike


def precisions(mixtures: Mixtures, x: np.ndarray, senone: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(T, D) each, float32: sums over the Gaussians of posterior / variance, and of posterior · mean / variance."""
    inverse = (1 / mixtures.variances).astype(np.float32)
    pulled = (mixtures.means / mixtures.variances).astype(np.float32)
    posteriors, _ = responsibilities(mixtures, x, senone)
    weight, pull = np.zeros(x.shape, np.float32), np.zeros(x.shape, np.float32)
    _weigh(posteriors, mixtures.first, senone, inverse, weight)
    _weigh(posteriors, mixtures.first, senone, pulled, pull)
    return weight, pull


# Matrix products per senone would be thousands of tiny ones. Reassociation lets the compiler vectorise sums.
SUMS: Any = {"cache": True, "fastmath": {"reassoc", "contract"}}


@numba.njit(**SUMS)
def _fill_posteriors(linear, constant, first, expanded, senone, posteriors):
    loglike = 0.0
    for t in range(len(expanded)):
        begin, count = first[senone[t]], first[senone[t] + 1] - first[senone[t]]
        top = np.float32(-np.inf)
        for k in range(count):
            score = constant[begin + k]
            for d in range(expanded.shape[1]):
                score += linear[begin + k, d] * expanded[t, d]
            posteriors[t, k] = score
            top = max(top, score)
        total = np.float32(0)
        for k in range(count):
            posteriors[t, k] = np.exp(posteriors[t, k] - top)
            total += posteriors[t, k]
        for k in range(count):
            share = posteriors[t, k] / total
            posteriors[t, k] = share if share > NOTHING else 0
        loglike += top + np.log(total)
    return loglike


@numba.njit(**SUMS)
def _add_frames(posteriors, first, expanded, senone, occupancy, sums):
    for t in range(len(expanded)):
        begin, end = first[senone[t]], first[senone[t] + 1]
        for g in range(begin, end):
            p = posteriors[t, g - begin]
            if p == 0:
                continue
            occupancy[g] += p
            for d in range(expanded.shape[1]):
                sums[g, d] += p * expanded[t, d]


@numba.njit(**SUMS)
def _weigh(posteriors, first, senone, of_gaussian, out):
    """Add to out (T, D) the rows of (G, D) of each frame's Gaussians, weighted by posteriors."""
    for t in range(len(out)):
        begin, end = first[senone[t]], first[senone[t] + 1]
        for g in range(begin, end):
            for d in range(out.shape[1]):
                out[t, d] += posteriors[t, g - begin] * of_gaussian[g, d]


def weighted_products(weight: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(D, E, E) float64: for each column d of weight (T, D), the sum over the frames of weight · x xᵀ, x (T, E)."""
    size = x.shape[1]
    a, b = np.triu_indices(size)
    total = np.zeros((weight.shape[1], len(a)))
    for begin in range(0, len(x), CHUNK):
        block = np.ascontiguousarray(x[begin : begin + CHUNK].T)  # whole rows are multiplied faster than columns
        total += weight[begin : begin + CHUNK].T @ (block[a] * block[b]).T
    out = np.empty((weight.shape[1], size, size))
    out[:, a, b] = out[:, b, a] = total
    return out


def count_transitions(alignment: np.ndarray, senones: int) -> tuple[np.ndarray, np.ndarray]:
    """Counts of self loops and of leaving, per senone: alignment (T,) -> two (S,)."""
    stays = np.append(alignment[1:] == alignment[:-1], False)
    return np.bincount(alignment[stays], minlength=senones), np.bincount(alignment[~stays], minlength=senones)


def update(mixtures: Mixtures, stats: Statistics, floor: np.ndarray) -> Mixtures:
    """Maximum-likelihood Gaussians; variances at least `floor` (D,).

    Removes Gaussians of fewer than MIN_OCCUPANCY frames; each senone keeps its heaviest, unchanged if too rare.
    """
    senone, dimension = mixtures.senone, mixtures.means.shape[1]
    enough = stats.occupancy >= MIN_OCCUPANCY
    heaviest = np.zeros_like(enough)
    for begin, end in zip(mixtures.first[:-1], mixtures.first[1:], strict=True):
        heaviest[begin + np.argmax(stats.occupancy[begin:end])] = True
    share = np.maximum(stats.occupancy, 1e-10)[:, None]
    means = np.where(enough[:, None], stats.sums[:, :dimension] / share, mixtures.means)
    variances = np.where(enough[:, None], stats.sums[:, dimension:] / share - means**2, mixtures.variances)
    keep = enough | heaviest
    occupancy = np.maximum(stats.occupancy, 1e-10) * keep
    total = np.bincount(senone, occupancy)
    return Mixtures(
        np.log(occupancy[keep] / total[senone[keep]]),
        means[keep],
        np.maximum(variances[keep], floor),
        np.concatenate([[0], np.cumsum(np.bincount(senone[keep]))]),
    )


def self_loops(stays: np.ndarray, leaves: np.ndarray, before: np.ndarray) -> np.ndarray:
    """(S,) self-loop log-probabilities; rare senones keep those of `before`."""
    seen = stays + leaves
    probability = np.clip(stays / np.maximum(seen, 1), 0.01, 0.99)
    return np.where(seen >= MIN_OCCUPANCY, np.log(probability), before)


def grow(mixtures: Mixtures, occupancy: np.ndarray, target: int, rng: np.random.Generator) -> Mixtures:
    """Split the heaviest Gaussians of senones until there are `target`; occupancy (S,) in frames.

    The next Gaussian goes to the senone with the most frames ^ POWER per Gaussian.
    """
    wanted = np.diff(mixtures.first)
    queue = [(-(frames**POWER) / have, s) for s, (frames, have) in enumerate(zip(occupancy, wanted, strict=True))]
    heapq.heapify(queue)
    missing = target - mixtures.gaussians
    while missing > 0 and queue:
        _, s = heapq.heappop(queue)
        if occupancy[s] >= 2 * MIN_OCCUPANCY * (wanted[s] + 1):
            wanted[s] += 1
            missing -= 1
            heapq.heappush(queue, (-(occupancy[s] ** POWER) / wanted[s], s))
    mixtures_of = [_split(mixtures, s, count, rng) for s, count in enumerate(wanted)]
    weights, means, variances = (np.concatenate(arrays) for arrays in zip(*mixtures_of, strict=True))
    return Mixtures(weights, means, variances, np.concatenate([[0], np.cumsum(wanted)]))


def _split(
    mixtures: Mixtures, s: int, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log weights, means, variances of senone s, with `count` Gaussians."""
    rows = slice(mixtures.first[s], mixtures.first[s + 1])
    weights, means, variances = mixtures.log_weights[rows], mixtures.means[rows], mixtures.variances[rows]
    while len(weights) < count:
        k = np.argmax(weights)
        step = PERTURB * np.sqrt(variances[k]) * rng.standard_normal(means.shape[1])
        weights = np.append(weights, weights[k] - np.log(2))
        weights[k] = weights[-1]
        means = np.vstack([means, means[k] + step])
        means[k] -= step
        variances = np.vstack([variances, variances[k]])
    return weights, means, variances
