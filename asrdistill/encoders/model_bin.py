"""Reader of CTranslate2's model.bin.

Little-endian: format version, name and revision of the model's kind, variables (name, shape, type, bytes), aliases.
int8 and int16 weights have a scale, by which they were multiplied. Source: CTranslate2's model_spec.py.
"""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from asrdistill.errors import UserError
from asrdistill.reader import reading

_VERSION = 6  # of the format; the fields below are those of 4 to 6
_TYPES = ("<f4", "i1", "<i2", "<i4", "<f2", "bfloat16")


def read_variables(path: Path, kind: str, wanted: Callable[[str], bool]) -> dict[str, np.ndarray]:
    """The variables whose names are `wanted`, as float32; UserError for a model of another `kind` or a damaged one."""
    with reading(path, "fetch or convert the model again"):
        with open(path, "rb") as file:
            (version,) = _unpack(file, "I")
            found = _string(file) if 4 <= version <= _VERSION else f"of format version {version}, not 4 to {_VERSION}"
            if found != kind:
                raise UserError(f"{path} is no {kind.removesuffix('Spec')} model of CTranslate2 (it is {found})")
            stored = _read(file, wanted)
        return {name: _scaled(name, value, stored) for name, value in stored.items() if not name.endswith("_scale")}


def _read(file: BinaryIO, wanted: Callable[[str], bool]) -> dict[str, np.ndarray]:
    _, count = _unpack(file, "II")
    stored = {}
    for _ in range(count):
        name = _string(file)
        (rank,) = _unpack(file, "B")
        *shape, code, length = _unpack(file, f"{rank}IBI")
        if wanted(name):
            stored[name] = _array(file.read(length), _TYPES[code], shape)
        else:
            file.seek(length, 1)
    (aliases,) = _unpack(file, "I")
    for _ in range(aliases):
        name, target = _string(file), _string(file)
        if wanted(name) and target in stored:
            stored[name] = stored[target]
    return stored


def _unpack(file: BinaryIO, form: str) -> tuple[int, ...]:
    return struct.unpack(f"<{form}", file.read(struct.calcsize(f"<{form}")))


def _string(file: BinaryIO) -> str:
    (length,) = _unpack(file, "H")
    return file.read(length)[:-1].decode()  # it ends with a zero byte


def _array(data: bytes, dtype: str, shape: list[int]) -> np.ndarray:
    flat = np.frombuffer(data, "<u2" if dtype == "bfloat16" else dtype)
    if dtype == "bfloat16":  # the upper half of a float32
        flat = (flat.astype(np.uint32) << 16).view(np.float32)
    return flat.reshape(shape)


def _scaled(name: str, value: np.ndarray, stored: dict[str, np.ndarray]) -> np.ndarray:
    scale = stored.get(f"{name}_scale")
    if scale is None:
        return value if value.dtype.kind == "i" else value.astype(np.float32)
    rows = scale.reshape(-1, *[1] * (value.ndim - 1)) if scale.ndim else scale
    return value.astype(np.float32) / rows.astype(np.float32)
