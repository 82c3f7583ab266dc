"""Layers of networks that the compiled library computes: see network.c.

Sizes are checked here, so that no weights or frames lead out of an array.
"""

import ctypes
from typing import Any

import numpy as np

from asrdistill.core import FLAG, HANDLE, SIZE, Kernel, pack

PANEL = 16  # units whose weights stand together
LARGEST = 64  # magnitude of an 8-bit weight: two products with a byte fit into 16 bits
MOST_INPUTS = 1 << 17  # of a layer, so that sums of bytes fit into 32 bits

INSTRUCTIONS = 2  # the largest set that kernels may use: see core.h


class NativeLayer(ctypes.Structure):
    """core_layer of ``core/core.h``."""

    ELEMENTS = {"weight": None, "scale": np.float32, "bias": np.float32}  # noqa: RUF012
    _fields_ = (
        *(("weight", HANDLE), ("scale", HANDLE), ("bias", HANDLE)),
        *(("inputs", SIZE), ("units", SIZE), ("relu", FLAG)),
    )


class NativeRows(ctypes.Structure):
    """core_rows."""

    _fields_ = (("x", HANDLE), ("count", SIZE), ("stride", SIZE), ("add", HANDLE), ("add_stride", SIZE), ("y", HANDLE))


_run = Kernel("core_layer_run", None, FLAG, ctypes.POINTER(NativeLayer), ctypes.POINTER(NativeRows))
_to_bytes = Kernel("core_to_bytes", None, FLAG, HANDLE, SIZE, SIZE, HANDLE, FLAG, HANDLE)
_delayed = Kernel("core_delayed", None, FLAG, HANDLE, *[SIZE] * 5, HANDLE, HANDLE)


class Layer:
    """A linear layer of frames: float32 (T, F) -> (T', units), the frames' windows with a weight for each number.

    weight  (units, inputs) float32; or int8 of at most LARGEST
    bias    (units,) float32, or None
    relu    whether negative outputs become 0
    scale   of int8 (units,): what an output's sum is multiplied by
    factor  of int8 (F,): inputs x become the bytes round(x · factor) + zero, from 0 to 255

    Raises ValueError for sizes that do not fit each other.
    """

    def __init__(
        self,
        weight: np.ndarray,
        bias: np.ndarray | None,
        relu: bool = False,
        scale: np.ndarray | None = None,
        factor: np.ndarray | None = None,
        zero: int = 0,
    ):
        self.units, self.inputs = weight.shape
        panels = -(-self.units // PANEL)
        group = 1 if scale is None else 4  # inputs whose weights of a unit stand together
        quads = -(-self.inputs // group)
        filled = np.zeros((panels * PANEL, quads * group), np.float32 if scale is None else np.int8)
        filled[: self.units, : self.inputs] = weight
        weights = np.ascontiguousarray(filled.reshape(panels, PANEL, quads, group).transpose(0, 2, 1, 3))
        parts = {"weight": weights, "bias": _filled(bias, self.units, panels * PANEL)}
        self.factor, self.zero = None if factor is None else np.array(factor, np.float32), int(zero)
        if scale is not None:
            parts["scale"] = _filled(scale, self.units, panels * PANEL)
            offset = self.zero * weight.astype(np.int64).sum(1)  # of the bytes' zero
            parts["bias"][: self.units] -= (offset * np.asarray(scale, np.float64)).astype(np.float32)
            if factor is None or self.inputs > MOST_INPUTS or np.abs(weight.astype(int)).max(initial=0) > LARGEST:
                raise ValueError("weights of bytes are too large")
        self.struct = pack(NativeLayer, **parts, inputs=self.inputs, units=self.units, relu=relu)

    def __call__(self, x: np.ndarray, step: int = 1, add: np.ndarray | None = None) -> np.ndarray:
        """Outputs of every `step`-th window of frames, float32 (T', units), plus `add` of that shape if it is given."""
        x = np.ascontiguousarray(x, np.float32)
        width = x.shape[1]
        taps, rest = divmod(self.inputs, width)
        count = max(0, (len(x) - taps) // step + 1)
        if rest or step < 1 or (self.factor is not None and len(self.factor) != width):
            raise ValueError(f"a layer of {self.inputs} inputs got frames of {width}")
        y = np.empty((count, self.units), np.float32)
        other: tuple[int | None, int] = None, 0
        if add is not None:
            if add.shape != y.shape or add.dtype != np.float32 or add.strides[1] != 4 or add.strides[0] % 4:
                raise ValueError(f"what is added to outputs of shape {y.shape} has shape {add.shape}")
            other = add.ctypes.data, add.strides[0] // 4
        if self.factor is not None:
            x, frames = np.empty(x.size + 3, np.uint8), x  # four bytes are read at a time
            x[-3:] = 0
            how = self.factor.ctypes.data, self.zero
            _to_bytes(INSTRUCTIONS, frames.ctypes.data, len(frames), width, *how, x.ctypes.data)
        if count:
            _run(INSTRUCTIONS, self.struct, NativeRows(x.ctypes.data, count, step * width, *other, y.ctypes.data))
        return y


def delayed(x: np.ndarray, weight: np.ndarray, dilation: int, step: int) -> np.ndarray:
    """Sums of frames (T, C) that are `dilation` apart, by weights (taps, C): float32 (T', C), one each `step`."""
    x, weight = np.ascontiguousarray(x, np.float32), np.ascontiguousarray(weight, np.float32)
    (taps, channels), reach = weight.shape, (len(weight) - 1) * dilation
    if x.shape[1] != channels or min(dilation, step) < 1:
        raise ValueError(f"weights of {channels} channels got frames of {x.shape[1]}")
    y = np.empty((max(0, -(-(len(x) - reach) // step)), channels), np.float32)
    _delayed(INSTRUCTIONS, x.ctypes.data, len(y), step, dilation, taps, channels, weight.ctypes.data, y.ctypes.data)
    return y


def _filled(numbers: Any, count: int, size: int) -> np.ndarray:
    """The first `count` numbers (0 for None), float32, with zeros up to `size`."""
    out = np.zeros(size, np.float32)
    if numbers is not None:
        if np.shape(numbers) != (count,):
            raise ValueError(f"a layer of {count} units has numbers of shape {np.shape(numbers)}")
        out[:count] = numbers
    return out
