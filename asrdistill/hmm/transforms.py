"""Estimation of LDA, MLLT and fMLLR transforms."""

from dataclasses import dataclass

import numpy as np

from asrdistill.parallel import Sums

SWEEPS = 20  # over all rows


@dataclass
class Scatter(Sums):
    """Statistics of LDA.

    frames (S,), sums (S, E) of each senone's frames, products (E, E): sum of x xᵀ over all frames
    """

    frames: np.ndarray
    sums: np.ndarray
    products: np.ndarray

    @classmethod
    def collect(cls, x: np.ndarray, senone: np.ndarray, senones: int) -> "Scatter":
        """Of spliced frames x (T, E) of the senones (T,)."""
        x = np.asarray(x, np.float32)
        sums = np.zeros((senones, x.shape[1]))
        order = np.argsort(senone, kind="stable")
        found, starts = np.unique(senone[order], return_index=True)
        sums[found] = np.add.reduceat(x[order], starts, axis=0, dtype=np.float64)
        return cls(np.bincount(senone, minlength=senones).astype(np.float64), sums, (x.T @ x).astype(np.float64))


def lda(scatter: Scatter, size: int) -> np.ndarray:
    """(size, E): the directions in which the senones' means differ most against the variance within (Fisher 1936).

    Within a senone the projected frames have unit covariance on average.
    """
    total = scatter.frames.sum()
    mean = scatter.sums.sum(0) / total
    seen = scatter.frames > 0
    centres = scatter.sums[seen] / scatter.frames[seen, None] - mean
    between = (centres * scatter.frames[seen, None]).T @ centres / total
    within = scatter.products / total - np.outer(mean, mean) - between
    value, vector = np.linalg.eigh(within)
    whiten = vector / np.sqrt(np.maximum(value, 1e-6 * value[-1]))  # columns
    _, rotation = np.linalg.eigh(whiten.T @ between @ whiten)
    return (whiten @ rotation[:, ::-1][:, :size]).T


def mllt(products: np.ndarray, frames: float) -> np.ndarray:
    """The square transform A (D, D) that maximises frames · log |det A| − ½ Σ_d a_d G_d a_dᵀ (Gales 1999).

    products (D, D, D): G_d = sum over Gaussians and frames of posterior / variance_d · (x − mean)(x − mean)ᵀ
    """
    inverse = np.linalg.inv(products)
    transform = np.eye(len(products))
    for _ in range(SWEEPS):
        for d in range(len(products)):
            cofactors = np.linalg.inv(transform)[:, d]
            row = inverse[d] @ cofactors
            transform[d] = row * np.sqrt(frames / (cofactors @ row))
    return transform


def fmllr(products: np.ndarray, pulls: np.ndarray, frames: float) -> np.ndarray:
    """The affine transform W = [A b] (D, D + 1) that makes a speaker's frames most probable (Gales 1998).

    With x̃ = [x 1], products (D, D + 1, D + 1) G_d = Σ posterior / variance_d · x̃ x̃ᵀ and pulls (D, D + 1)
    k_d = Σ posterior · mean_d / variance_d · x̃, it maximises :func:`fmllr_objective`.
    """
    size = len(products)
    inverse = np.linalg.inv(products)
    transform = np.eye(size, size + 1)
    for _ in range(SWEEPS):
        for d in range(size):
            cofactors = np.append(np.linalg.inv(transform[:, :size])[:, d], 0.0)
            across = inverse[d] @ cofactors
            a, b = cofactors @ across, across @ pulls[d]
            roots = (-b + np.sqrt(b * b + 4 * a * frames) * np.array([1, -1])) / (2 * a)
            value = frames * np.log(np.abs(roots * a + b)) - 0.5 * roots**2 * a
            transform[d] = roots[np.argmax(value)] * across + inverse[d] @ pulls[d]
    return transform
