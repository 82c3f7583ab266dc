"""Native kernels: the C library of this folder, called through ctypes.

``core.h`` describes the functions. They know nothing of Python, hold no global state, and read and write only what they
are given; who calls one gives it arrays of the right lengths, and indices that were checked.
"""

import ctypes
from functools import cache
from typing import Any

import numpy as np

from asrdistill.core.build import LIBRARY, digest
from asrdistill.errors import UserError

SIZE, REAL, FLAG, HANDLE, TEXT = ctypes.c_int64, ctypes.c_double, ctypes.c_int32, ctypes.c_void_p, ctypes.c_char_p


def filled(kind: Any) -> Any:
    """The type of an argument that is an array of these elements, without gaps, into which a kernel writes."""
    return np.ctypeslib.ndpointer(kind, flags=("C", "ALIGNED", "WRITEABLE"))


def read(kind: Any) -> Any:
    """The type of an argument that is an array which a kernel reads; it is copied if its elements are of another."""

    class Read:
        @staticmethod
        def from_param(value: Any) -> Any:
            return np.require(value, kind, ("C", "ALIGNED")).ctypes

    return Read


INTS, LONGS, FLOATS, DOUBLES = map(read, (np.int32, np.int64, np.float32, np.float64))
INTS_OUT, LONGS_OUT, FLOATS_OUT, DOUBLES_OUT = map(filled, (np.int32, np.int64, np.float32, np.float64))


def pack(kind: Any, **values: Any) -> Any:
    """A struct of the library (a ctypes.Structure). It keeps its arrays, whose elements are kind.ELEMENTS or int32."""
    made = kind()
    made.kept = {}
    for name, value in values.items():
        if isinstance(value, np.ndarray):
            made.kept[name] = np.require(value, kind.ELEMENTS.get(name, np.int32), ("C", "ALIGNED"))
            value = made.kept[name].ctypes.data
        setattr(made, name, value)
    return made


def copied(address: Any, count: int, kind: Any) -> np.ndarray:
    """A copy of `count` elements that stand in the library's memory."""
    made = np.empty(count, kind)
    if count:
        ctypes.memmove(made.ctypes.data, address, made.nbytes)
    return made


@cache
def library() -> ctypes.CDLL:
    """The library; raises UserError if it is missing, or of other sources than those beside it."""
    try:
        found = ctypes.CDLL(str(LIBRARY))
        found.core_sources.restype = TEXT
        made_from = found.core_sources().decode()
    except (OSError, AttributeError):
        raise UserError(f"the native library {LIBRARY} is missing or cannot be loaded; run tools/install.sh") from None
    if digest() not in ("", made_from):
        raise UserError(f"the native library {LIBRARY} is not of the sources beside it; run tools/install.sh")
    return found


class Kernel:
    """A function of the library, looked up at its first call: its name, result and arguments as in ``core.h``."""

    def __init__(self, name: str, result: Any, *arguments: Any):
        self._name, self._types = name, (result, arguments)
        self._found: Any = None

    def __call__(self, *values: Any) -> Any:
        if self._found is None:
            found = library()[self._name]
            found.restype, found.argtypes = self._types
            self._found = found
        return self._found(*values)
