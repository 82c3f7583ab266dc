"""One reader for files that other programs may have written: text tables, JSON, YAML, .npy, safetensors.

Content is checked for type, shape, range and encoding here. All functions raise UserError that names the file, what
is wrong in it, and a remedy.
"""

import functools
import gzip
import json
import lzma
import math
import struct
import types
import typing
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import Annotated, Any, Literal, TypeVar
from zipfile import BadZipFile

import numpy as np
from safetensors import SafetensorError, safe_open

from asrdistill.errors import UserError

T = TypeVar("T")

DEEPEST = 200  # lists and mappings within each other
WIDEST = 100_000  # values of a YAML file, aliases followed
BYTES = 1 << 28  # of a JSON file; a YAML file has at most a hundredth
AGAIN = "make it again"
DAMAGE = (  # what parsers raise for content that they do not expect
    *(ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError, SyntaxError, AssertionError),
    *(
        EOFError,
        OSError,
        MemoryError,
        zlib.error,
        lzma.LZMAError,
        SafetensorError,
        struct.error,
        TokenError,
        BadZipFile,
    ),
)

Count = Annotated[int, (0, 1 << 53)]
Positive = Annotated[float, (1e-9, 1e9)]
Time = Annotated[float, (-1e11, 1e11)]  # seconds since 1970
NAMES: dict[Any, str] = {int: "int (a whole number)", float: "float (a finite number)", str: "str (text)"}
NAMES |= {bool: "bool (true or false)", list: "list", dict: "mapping (key: value)"}


class Record(dict[str, Any]):
    """Fields of a file; one that is missing is an error that names the file."""

    source = "a file"

    def __missing__(self, key: str) -> Any:
        raise UserError(f"{self.source} lacks '{key}'; make it again")


@contextmanager
def reading(path: Path, remedy: str = AGAIN) -> Iterator[None]:
    """Turn what a parser of the block raises for missing or damaged content into UserError that names the file."""
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path} is missing; check the path, or {remedy}") from None
    except DAMAGE as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else one_line(error) or type(error).__name__
        raise UserError(f"{path} is damaged ({reason}); {remedy}") from None


def one_line(error: object, limit: int = 120) -> str:
    """A library's message in one short line, without its full stop."""
    text = " ".join(str(error).split())
    return (text if len(text) <= limit else text[:limit] + "…").rstrip(".")


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a text file without line ends and byte order mark; NAME.gz and NAME.xz are unpacked.

    Raises UserError if it is missing, damaged or not UTF-8, also for NUL and carriage returns within a line.
    """
    path = Path(path)
    unpack: Any = {".gz": gzip.open, ".xz": lzma.open}.get(path.suffix, open)
    with reading(path, "copy or make it again"), unpack(path, "rb") as file:
        for number, octets in enumerate(file, 1):
            line = decoded(octets, f"{path}, line {number}").rstrip("\r\n")
            if "\0" in line or "\r" in line:
                what = "NUL characters (is it UTF-16, or damaged?)" if "\0" in line else "a carriage return within it"
                raise UserError(f"{path}, line {number} has {what}; convert it to UTF-8 text with ends of lines")
            yield line


def decoded(octets: bytes, where: str) -> str:
    """UTF-8 text, without a byte order mark; raises UserError that names `where` for other encodings."""
    try:
        return octets.decode().removeprefix("\ufeff")  # several times as fast as utf-8-sig
    except UnicodeDecodeError:
        found = " (it is UTF-16)" if octets[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        raise UserError(f"{where} is not UTF-8 text{found}; convert it, for example with iconv") from None


def read_text(path: Path) -> str:
    """A text file as a whole, with LF as ends of lines; raises UserError as :func:`read_lines` does."""
    return "".join(f"{line}\n" for line in read_lines(path))


def parse_lines(path: Path, parse: Callable[[str], T], form: str) -> Iterator[T]:
    """Yield ``parse(line)`` for every line of a text file.

    A ValueError of `parse` becomes a UserError that names the line and the expected `form`.
    """
    for number, line in enumerate(read_lines(path), 1):
        try:
            value = parse(line)
        except (ValueError, OverflowError, LookupError):
            raise UserError(f"{path}, line {number}: '{line[:60]}' is not '{form}'; correct it") from None
        yield value


def read_json(path: Path, form: Any = dict) -> Any:
    """Content of a JSON file that has the type `form`, as :func:`conform` has it."""
    path = Path(path)
    try:
        if path.stat().st_size > BYTES:
            raise ValueError(f"more than {BYTES >> 20} MB")
        value = json.loads(decoded(path.read_bytes(), str(path)))
        _check_size(value, BYTES)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; make it first, or check the path") from None
    except (ValueError, RecursionError, OSError) as error:
        raise UserError(f"{path} is not valid JSON ({one_line(error)}); make it again") from None
    return conform(value, form, str(path))


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file that holds one mapping of plain values; raises UserError otherwise."""
    import yaml

    path = Path(path)
    try:
        if path.stat().st_size > BYTES // 100:
            raise ValueError(f"more than {BYTES // 100 >> 20} MB")
        values = yaml.safe_load(decoded(path.read_bytes(), f"configuration {path}"))
        _check_size(values, WIDEST)
    except FileNotFoundError:
        raise UserError(f"configuration {path} does not exist; check the path") from None
    except (yaml.YAMLError, *DAMAGE) as error:
        where = f", line {mark.line + 1}" if (mark := getattr(error, "problem_mark", None)) else ""
        reason = one_line(getattr(error, "problem", None) or error)
        raise UserError(f"configuration {path}{where} is not valid YAML: {reason}; correct it") from None
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise UserError(f"configuration {path} must be a list of 'key: value' lines")
    return values


def _check_size(value: Any, most: int) -> None:
    """Raise ValueError if lists and mappings are nested too deeply, or hold too many values."""
    stack, count = [(value, 0)], 0
    while stack:
        value, depth = stack.pop()
        count += len(value) if isinstance(value, dict | list) else 1
        if depth > DEEPEST or count > most:
            raise ValueError("it is nested too deeply" if depth > DEEPEST else "it holds too many values")
        if isinstance(value, dict | list):
            inner = value.values() if isinstance(value, dict) else value
            stack += [(item, depth + 1) for item in inner if isinstance(item, dict | list)]


def conform(value: Any, form: Any, source: str, key: str = "") -> Any:
    """`value`, if it has the type `form`; raises UserError that names the `key` in `source` otherwise.

    form  of int, float (finite), str, bool, list, dict, Any, Literal, unions, Annotated[number, (least, most)], or a
          TypedDict, which becomes a Record; its further keys are kept as they are

    Whole numbers, and texts such as 1e-3 (YAML 1.1), become float where one is wanted.
    """
    origin, inside = typing.get_origin(form) or form, typing.get_args(form)
    where = f"'{key}' in {source}" if key else source
    if origin is Any:
        return value
    if typing.is_typeddict(form):
        record, before = Record(conform(value, dict, source, key)), f"{key}." if key else ""
        record.source = where
        for name, kind in _hints(form).items():
            if name in record or name in form.__required_keys__:
                record[name] = conform(record[name], kind, source, before + name)
        return record
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in inside:
            return None
        kinds = [kind for kind in inside if kind is not type(None)]
        fitting = [kind for kind in kinds if isinstance(value, typing.get_origin(kind) or kind)]
        return conform(value, (fitting or kinds)[0], source, key)
    if origin is Annotated:
        least, most = inside[1]
        if not least <= (number := conform(value, inside[0], source, key)) <= most:
            raise UserError(f"{where} must be {least:g} to {most:g}, not {_shown(value)}; correct it")
        return number
    if origin is Literal:
        if value not in inside:
            raise UserError(f"{where} must be one of {', '.join(map(str, inside))}, not {_shown(value)}")
        return value
    if origin is float and isinstance(value, int | str | float) and not isinstance(value, bool):
        try:
            value = float(value)
        except (ValueError, OverflowError):
            value = _shown(value)
    wrong = not isinstance(value, origin) or (origin is int and (isinstance(value, bool) or abs(value) >= 1 << 63))
    if wrong or (origin is float and not math.isfinite(value)):
        raise UserError(f"{where} must be a {NAMES.get(origin, origin.__name__)}, not {_shown(value)}")
    if origin is list and inside:
        return [conform(item, inside[0], source, f"{key}[{n}]") for n, item in enumerate(value)]
    if origin is dict and not key:
        value = Record(value)
        value.source = source
    if origin is dict and inside:
        return {name: conform(item, inside[1], source, f"{key}.{name}".strip(".")) for name, item in value.items()}
    return value


_hints = functools.cache(functools.partial(typing.get_type_hints, include_extras=True))


def _shown(value: Any) -> str:
    return (
        f"a {type(value).__name__}" if isinstance(value, dict | list) and len(value) > 5 else one_line(repr(value), 60)
    )


def read_array(
    path: Path, dtype: Any = None, shape: Sequence[int | None] | None = None, mode: Any = None, remedy: str = AGAIN
) -> np.ndarray:
    """Array of a .npy file in C order, mapped into memory if `mode` is one of np.load's.

    dtype, shape  None: any; an array never holds Python's objects
    """
    with reading(path, remedy):
        found = np.load(path, mmap_mode=mode, allow_pickle=False)  # a pickle can run code
        if not isinstance(found, np.ndarray):
            raise ValueError("it is an archive of several arrays")
        if dtype is not None and found.dtype != dtype:
            raise ValueError(f"its numbers are {found.dtype}")
        wanted = found.shape if shape is None else shape
        if len(found.shape) != len(wanted) or any(b not in (None, a) for a, b in zip(found.shape, wanted, strict=True)):
            raise ValueError(f"its shape is {found.shape}")
        if not found.flags.c_contiguous:
            raise ValueError("it is in Fortran's order")
    return found


def read_tensors(
    path: Path, remedy: str = AGAIN, wanted: Mapping[str, str] | None = None, logarithms: Sequence[str] = ()
) -> dict[str, np.ndarray]:
    """Arrays of a safetensors file; floats must be finite, those of `logarithms` finite or -inf.

    wanted  arrays that must be there: name -> type and number of dimensions, such as f4/2 for a matrix of float32, f/2
            for one of any float
    """
    with reading(path, remedy):
        with safe_open(path, "np") as file:
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        for name, dimensions in (wanted or {}).items():
            kind, size = found[name].dtype.kind, found[name].dtype.itemsize
            if dimensions not in (form := f"{kind}{size}/{found[name].ndim}", f"{kind}/{found[name].ndim}"):
                raise ValueError(f"{name} is {form} (type and dimensions) instead of {dimensions}")
        for name, array in found.items():
            if array.dtype.kind == "f" and not np.isfinite(np.exp(array) if name in logarithms else array).all():
                raise ValueError(f"{name} is not finite")
    return found
