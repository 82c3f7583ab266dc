"""Input vectors of a GMM: features with deltas, or spliced and projected."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from asrdistill.features.context import add_deltas, splice
from asrdistill.files import atomic, hash_of
from asrdistill.reader import read_tensors, reading

FILE = "front.safetensors"


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
