"""GMM acoustic models: mixtures of diagonal Gaussians per senone, in flat arrays.

A GMM folder holds ``meta.json``, ``senones.json``, ``gmm.safetensors`` and ``front.safetensors``.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypedDict

import numba
import numpy as np
from safetensors.numpy import save

from asrdistill.data.archive import Settings
from asrdistill.errors import UserError
from asrdistill.features.context import add_deltas, splice
from asrdistill.files import atomic, hash_of, write_json
from asrdistill.hmm.senones import Senones
from asrdistill.reader import Count, Positive, read_json, read_tensors, reading

FILE = "front.safetensors"  # of a FeatureTransform
BLOCK = 256  # frames scored at once, whose (G, BLOCK) scores fit into the cache


@dataclass(frozen=True)
class FeatureTransform:
    """Appends deltas, or splices ±`splice` frames and multiplies by `matrix` (D, (2 · splice + 1) · F)."""

    deltas: int = 0
    splice: int = 0
    matrix: np.ndarray | None = None

    def vectors(self, features: np.ndarray) -> np.ndarray:
        """(T, F) -> (T, D) float32"""
        if self.matrix is None:
            return add_deltas(features, order=self.deltas)
        return splice(np.asarray(features, np.float32), self.splice, self.splice) @ self.matrix.astype(np.float32).T

    def size(self, features: int) -> int:
        """D, for features of F dimensions."""
        return (self.deltas + 1) * features if self.matrix is None else len(self.matrix)

    def describe(self) -> dict[str, Any]:
        """Settings that archives of vectors store."""
        transform = None if self.matrix is None else hash_of(self.matrix.tolist())
        return {"deltas": self.deltas, "splice": self.splice, "transform": transform}

    def write(self, folder: Path) -> None:
        """Write ``front.safetensors`` into the folder."""
        transform = np.zeros((0, 0)) if self.matrix is None else self.matrix
        arrays = {"transform": np.ascontiguousarray(transform), "context": np.array([self.deltas, self.splice])}
        with atomic(Path(folder) / FILE, "wb") as handle:
            handle.write(save(arrays))

    @classmethod
    def read(cls, folder: Path) -> "FeatureTransform":
        """Read it; raises UserError if it is missing or damaged."""
        path = Path(folder) / FILE
        arrays = read_tensors(path, "make the folder again", {"transform": "f8/2", "context": "i8/1"})
        with reading(path, "make the folder again"):
            transform, (deltas, context) = arrays["transform"], arrays["context"].tolist()
            if not (0 <= deltas <= 4 and 0 <= context <= 100):
                raise ValueError(f"deltas {deltas}, splice {context}")
        return cls(deltas, context, transform if transform.size else None)


@dataclass(frozen=True)
class Mixtures:
    """S mixtures of G Gaussians in total; senone s has first[s] … first[s + 1] - 1.

    log_weights (G,), means (G, D), variances (G, D): float64; first (S + 1,): int64
    """

    log_weights: np.ndarray
    means: np.ndarray
    variances: np.ndarray
    first: np.ndarray

    @property
    def gaussians(self) -> int:
        """G"""
        return len(self.means)

    @property
    def senone(self) -> np.ndarray:
        """(G,) senone of each Gaussian."""
        return np.repeat(np.arange(len(self.first) - 1), np.diff(self.first))

    @cached_property
    def linear(self) -> tuple[np.ndarray, np.ndarray]:
        """(G, 2D) and (G, 1), float32: log (weight x density) = linear · [x, x²] + constant."""
        precision = 1 / self.variances
        constant = np.log(2 * np.pi * self.variances) + self.means**2 * precision
        constant = self.log_weights - 0.5 * constant.sum(1)
        linear = np.hstack([self.means * precision, -0.5 * precision])
        return linear.astype(np.float32), constant.astype(np.float32)[:, None]

    def loglikes(self, x: np.ndarray, senones: np.ndarray | None = None) -> np.ndarray:
        """Log-likelihoods (T, S) float32 of the frames x (T, D), or (T, len(senones)) of these senones only."""
        linear, constant, first = *self.linear, self.first
        if senones is not None:
            sizes = np.diff(first)[senones]
            bounds = np.concatenate([[0], np.cumsum(sizes)])
            rows = np.repeat(first[senones] - bounds[:-1], sizes) + np.arange(bounds[-1])
            linear, constant, first = linear[rows], constant[rows], bounds
        out = np.empty((len(x), len(first) - 1), dtype=np.float32)
        for begin in range(0, len(x), BLOCK):
            scores = linear @ expand(x[begin : begin + BLOCK]).T + constant
            out[begin : begin + BLOCK] = log_sum_exp(scores, first).T
        return out


def expand(x: np.ndarray) -> np.ndarray:
    """(T, D) -> (T, 2D) float32: [x, x²]"""
    size = x.shape[1]
    both = np.empty((len(x), 2 * size), np.float32)
    both[:, :size] = x
    np.square(both[:, :size], out=both[:, size:])
    return both


def log_sum_exp(scores: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Log of summed exponentials of runs of rows: (G, T) float32, first (S + 1,) -> (S, T).

    Overwrites `scores` with exp(score - maximum of its run).
    """
    top = np.empty((len(first) - 1, scores.shape[1]), dtype=np.float32)
    total = np.empty_like(top)
    _subtract_maximum(scores, first, top)
    np.exp(scores, out=scores)  # numpy's is vectorised, numba's is not
    _sum_runs(scores, first, total)
    return top + np.log(total)


@numba.njit(cache=True)
def _subtract_maximum(scores: np.ndarray, first: np.ndarray, top: np.ndarray) -> None:
    frames = scores.shape[1]
    for run in range(len(first) - 1):
        for t in range(frames):
            top[run, t] = scores[first[run], t]
        for row in range(first[run] + 1, first[run + 1]):
            for t in range(frames):
                top[run, t] = max(top[run, t], scores[row, t])
        for row in range(first[run], first[run + 1]):
            for t in range(frames):
                scores[row, t] -= top[run, t]


@numba.njit(cache=True)
def _sum_runs(values: np.ndarray, first: np.ndarray, total: np.ndarray) -> None:
    frames = values.shape[1]
    for run in range(len(first) - 1):
        for t in range(frames):
            total[run, t] = values[first[run], t]
        for row in range(first[run] + 1, first[run + 1]):
            for t in range(frames):
                total[run, t] += values[row, t]


class _Meta(TypedDict, total=False):
    kind: str
    features: Settings
    frame_shift: Positive
    parameters: Count


@dataclass
class Gmm:
    """A GMM-HMM with the settings of its features (`meta`) and their transform.

    Features of type "fmllr" are used as they are; `transform` then makes the vectors before adaptation.
    """

    mixtures: Mixtures
    senones: Senones
    meta: dict[str, Any]
    transform: FeatureTransform

    @property
    def parameters(self) -> int:
        """Number of trained values: means, variances, weights."""
        return self.mixtures.means.size + self.mixtures.variances.size + self.mixtures.log_weights.size

    def vectors(self, features: np.ndarray) -> np.ndarray:
        """(T, F) -> (T, D): input vectors of the Gaussians."""
        adapted = self.meta["features"]["type"] == "fmllr"
        found, wanted = features.shape[1], self.mixtures.means.shape[1]
        if not adapted and self.transform.matrix is not None:
            wanted = self.transform.matrix.shape[1] // (2 * self.transform.splice + 1)
        elif not adapted:
            found *= self.transform.deltas + 1
        if found != wanted:
            raise UserError(f"the GMM takes vectors of {wanted} values, not of {found}; give its own features")
        return features if adapted else self.transform.vectors(features)

    def loglikes(self, features: np.ndarray, senones: np.ndarray | None = None) -> np.ndarray:
        """Features (T, F) float32 -> log-likelihoods (T, S) float32, or (T, len(senones)) of these senones only."""
        return self.mixtures.loglikes(self.vectors(features), senones)

    def write(self, folder: Path) -> None:
        """Write the model into the existing folder."""
        m = self.mixtures
        arrays = {"log_weights": m.log_weights, "means": m.means, "variances": m.variances, "first": m.first}
        with atomic(Path(folder) / "gmm.safetensors", "wb") as handle:
            handle.write(save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))
        self.senones.write(folder)
        self.transform.write(folder)
        counts = {"senones": self.senones.count, "gaussians": m.gaussians, "parameters": self.parameters}
        write_json(Path(folder) / "meta.json", {**self.meta, "kind": "gmm", **counts})


def load_gmm(folder: Path) -> Gmm:
    """Read a GMM folder; raises UserError if it is not one, or damaged."""
    folder = Path(folder)
    meta = read_json(folder / "meta.json", _Meta)
    if meta.get("kind") != "gmm":
        raise UserError(f"{folder} holds a {meta.get('kind')}; give the folder of a GMM")
    senones = Senones.read(folder)
    path = folder / "gmm.safetensors"
    wanted = {"log_weights": "f8/1", "means": "f8/2", "variances": "f8/2", "first": "i8/1"}
    arrays = read_tensors(path, "train the model again", wanted, ["log_weights"])
    mixtures, transform = Mixtures(*(arrays[name] for name in wanted)), FeatureTransform.read(folder)
    first, means, size = mixtures.first, mixtures.means, mixtures.gaussians
    sound = len(first) == senones.count + 1 and (first[0], first[-1]) == (0, size)
    sound = sound and bool((np.diff(first) > 0).all()) and len(mixtures.log_weights) == size
    sound = sound and mixtures.variances.shape == means.shape and bool((mixtures.variances > 0).all())
    if not (sound and (transform.matrix is None or len(transform.matrix) == means.shape[1])):
        raise UserError(f"{path} is damaged or of other senones or features; train the model again")
    return Gmm(mixtures, senones, meta, transform)
