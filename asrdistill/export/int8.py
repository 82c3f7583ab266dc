"""Write a network in 8-bit integers, as :mod:`asrdistill.models.native` runs it; see docs/internals.md."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from asrdistill.core.layers import LARGEST
from asrdistill.export.onnx import ends_of, evened
from asrdistill.models.acoustic import AcousticModel
from asrdistill.models.folder import read_arrays


def write_int8(folder: Path, model: AcousticModel, frames: Iterable[np.ndarray], path: Path) -> None:
    """Write the weights of a model folder as bytes, with scales that are set by the features `frames`, each (T, F)."""
    arrays = read_arrays(folder / "model.safetensors")
    for name, ends in ends_of(model.module, frames).items():
        weight = arrays[f"{name}.weight"]
        units, size = len(weight), model.dimension if name in ("first", "hidden.0") else weight.shape[1]
        weight, ends = weight.reshape(units, -1, size), ends.reshape(2, -1, size).max(1)  # of all frames of a window
        zero = 128 if ends[1].max() > 0 else 0  # bytes of what is never negative begin at 0
        c, _, top = evened(ends.max(0), (weight.transpose(2, 0, 1).reshape(size, -1), weight))
        step, weight = top / (127 if zero else 255), (weight * c).reshape(units, -1)
        steps = np.maximum(np.abs(weight).max(1, keepdims=True) / LARGEST, 1e-30)
        arrays[f"{name}.weight"] = np.round(weight / steps).astype(np.int8)
        arrays[f"{name}.scale"] = (step * steps[:, 0]).astype(np.float32)
        arrays[f"{name}.factor"] = (1 / (step * c)).astype(np.float32)
        arrays[f"{name}.zero"] = np.array([zero], np.uint8)
    path.write_bytes(save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))
