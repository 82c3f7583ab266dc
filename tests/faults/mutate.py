"""Mutations of files: bytes, lines and fields of text, values of JSON, arrays of .npy and safetensors."""

import gzip
import io
import json
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
from safetensors.numpy import load, save

TOKENS = [
    "nan",
    "inf",
    "-inf",
    "-1",
    "0",
    "1e999",
    "1e-999",
    "99999999999999999999",
    "2147483648",
    "4294967296",
    "-0.0",
    "0x10",
    "1_000",
    "١٢",
    "NaN",
    "None",
    "null",
    "true",
    "[]",
    "{}",
    '""',
    "'",
    '"',
    "\\",
    "/",
    "../../etc/passwd",
    "a/../b",
    ".",
    "..",
    "|",
    ";",
    "$(id)",
    "%s",
    "<eps>",
    "<s>",
    "</s>",
    "#0",
    "é",
    "é",
    "\u202e",
    "ß",
    "😀",
]
ODD: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1,
    1 << 63,
    10**400,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "x",
    "1e-3",
    "é\n",
]
ODD += [[], {}, [[]], [None], {"x": 1}, {"type": "fbank"}, ["a", 1], "../..", "/dev/null", "\0", 0.5]
DTYPES = [
    "float16",
    "float64",
    "int8",
    "int32",
    "int64",
    "uint16",
    "uint32",
    "bool",
    "complex64",
    ">f4",
    ">i4",
    "S4",
    "U3",
]


def of_bytes(luck: Random, content: bytes) -> bytes:
    """One to three changes of bytes anywhere, or one of a header."""
    data = bytearray(content)
    for _ in range(luck.randint(1, 3)):
        size = len(data)
        at = luck.randrange(min(size, luck.choice([64, 512, size]) or 1)) if size else 0
        span = min(luck.choice([1, 2, 4, 8, 100]), size - at)
        kind = luck.choice(["flip", "set", "cut", "insert", "double", "zero", "swap", "head"])
        if kind == "flip" and size:
            data[at] ^= 1 << luck.randrange(8)
        elif kind == "set" and size:
            data[at : at + span] = bytes(luck.choice([0, 255, 127, 128, 10, 32, 48, 92]) for _ in range(span))
        elif kind == "cut":
            del data[at:]
        elif kind == "insert":
            data[at:at] = luck.randbytes(span or 1)
        elif kind == "double":
            data[at:at] = data[at : at + 100]
        elif kind == "zero":
            data[at : at + span] = bytes(span)
        elif kind == "swap":
            half = size // 2
            data = data[half:] + data[:half]
        elif kind == "head":
            del data[:span]
    return bytes(data)


def of_text(luck: Random, content: bytes) -> bytes:
    """A change of fields, lines, line ends or the encoding."""
    text = content.decode("utf-8", "replace")
    lines = text.split("\n")
    number = luck.randrange(len(lines))
    cut = "\t" if "\t" in lines[number] else " "
    fields = lines[number].split(cut)
    place = luck.randrange(len(fields))
    kind = luck.choice(
        [
            "token",
            "token",
            "token",
            "drop",
            "double",
            "join",
            "lose",
            "twice",
            "move",
            "end",
            "crlf",
            "cr",
            "bom",
            "latin",
            "utf16",
            "nul",
            "long",
            "blank",
        ]
    )
    if kind == "token":
        fields[place] = luck.choice(TOKENS)
    elif kind == "drop":
        del fields[place]
    elif kind == "double":
        fields.insert(place, fields[place])
    elif kind == "join":
        cut = luck.choice(["", "\u00a0", "\u3000", "\t", "  ", "\v", "\x1c", "\x85"])
    elif kind == "long":
        fields[place] = fields[place] * 5000
    lines[number] = cut.join(fields)
    if kind == "lose":
        del lines[number]
    elif kind == "twice":
        lines.insert(number, lines[number])
    elif kind == "move":
        luck.shuffle(lines)
    elif kind == "end":
        lines = lines[:number]
    elif kind == "blank":
        lines.insert(number, luck.choice(["", " ", "\t", "#", ";;", ";;; x", "\\end\\"]))
    elif kind == "nul":
        lines[number] += "\0"
    text = {"crlf": "\r\n", "cr": "\r"}.get(kind, "\n").join(lines)
    if kind == "latin":
        return (text + "é").encode("latin-1", "replace")
    return text.encode("utf-16" if kind == "utf16" else "utf-8-sig" if kind == "bom" else "utf-8", "replace")


def of_json(luck: Random, content: bytes) -> bytes:
    """One value anywhere is replaced, removed, renamed or nested; or the text is changed."""
    value = json.loads(content)
    places: list[tuple[Any, Any]] = []
    stack = [value]
    while stack:
        node = stack.pop()
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        places += [(node, key) for key in keys]
        stack += [node[key] for key in keys if isinstance(node[key], dict | list)]
    if not places or luck.random() < 0.1:
        return luck.choice([b"", b"{}", b"[]", b"null", b"1", b"[" * 100_000, b'{"a":' * 5000, b"NaN", content[:-3]])
    node, key = luck.choice(places[: luck.choice([10, len(places)])])
    kind = luck.choice(["value", "value", "value", "number", "remove", "deep", "rename", "double"])
    if kind == "value":
        node[key] = luck.choice(ODD)
    elif kind == "number" and isinstance(node[key], int | float):
        node[key] = luck.choice([-node[key], node[key] + 1, node[key] * 1000, node[key] / 3, str(node[key])])
    elif kind == "remove":
        del node[key]
    elif kind == "deep":
        for _ in range(luck.choice([1, 3, 500])):
            node[key] = [node[key]]
    elif kind == "rename" and isinstance(node, dict):
        node[f"{key}x"] = node.pop(key)
    elif kind == "double" and isinstance(node[key], list):
        node[key] = node[key] * 2
    return json.dumps(value).encode()


def _array(luck: Random, array: np.ndarray) -> np.ndarray:
    """An array of other numbers, type, shape or order."""
    array = np.array(array)
    kind = luck.choice(
        [
            "nan",
            "inf",
            "negative",
            "large",
            "dtype",
            "flat",
            "wider",
            "shorter",
            "fortran",
            "empty",
            "scalar",
            "zero",
            "swap",
        ]
    )
    plain = array.dtype.names is None
    if kind in ("nan", "inf", "negative", "large", "zero") and array.size and plain and array.ndim:
        value = {"nan": np.nan, "inf": np.inf, "negative": -1, "large": 60000, "zero": 0}[kind]
        with np.errstate(all="ignore"):
            array.reshape(-1)[luck.randrange(array.size)] = (
                value if array.dtype.kind == "f" else int(np.nan_to_num(value, nan=-9, posinf=1 << 30)) % 127
            )
    elif kind == "dtype" and plain:
        with np.errstate(all="ignore"):
            array = array.astype(luck.choice(DTYPES))
    elif kind == "wider" and array.ndim and plain:
        array = np.concatenate([array, array[..., :1]], axis=-1)
    elif kind == "swap":
        array = array.byteswap()
    else:
        forms = {
            "flat": array.reshape(-1),
            "shorter": array[:-1] if array.ndim else array,
            "empty": array[:0] if array.ndim else array,
        }
        array = (
            {"fortran": np.asfortranarray(array), "scalar": array.reshape(-1)[:1].reshape(())}.get(
                kind, forms.get(kind, array)
            )
            if array.size
            else array
        )
    return array


def of_npy(luck: Random, content: bytes) -> bytes:
    out = io.BytesIO()
    if luck.random() < 0.5:
        return of_bytes(luck, content)
    array = np.load(io.BytesIO(content))
    if luck.random() < 0.1:
        np.savez(out, frames=array)
    elif luck.random() < 0.1:
        np.save(out, np.array([{"a": 1}], object), allow_pickle=True)
    else:
        np.save(out, _array(luck, array))
    return out.getvalue()


def of_tensors(luck: Random, content: bytes) -> bytes:
    if luck.random() < 0.4:
        return of_bytes(luck, content)
    tensors = load(content)
    head = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    name = luck.choice(sorted(tensors))
    kind = luck.choice(["array", "array", "array", "remove", "rename"])
    if kind == "array":
        new = _array(luck, tensors[name])
        tensors[name] = np.ascontiguousarray(
            new if new.dtype.kind in "fiu" and new.dtype.isnative else tensors[name] * 0 - 1
        )
    else:
        value = tensors.pop(name)
        tensors |= {f"{name}x": value} if kind == "rename" else {}
    return save(tensors, head.get("__metadata__"))


def of_gzip(luck: Random, content: bytes) -> bytes:
    if luck.random() < 0.4:
        return of_bytes(luck, content)
    return gzip.compress(of_text(luck, gzip.decompress(content)))


def of_any(luck: Random, content: bytes) -> bytes:
    return luck.choice([of_bytes, of_text])(luck, content)


def of_structure(luck: Random, content: bytes) -> bytes:
    return luck.choice([of_json, of_json, of_json, of_bytes])(luck, content)


KINDS: dict[str, Callable[[Random, bytes], bytes]] = {"json": of_structure, "npy": of_npy, "safetensors": of_tensors}
KINDS |= {"gz": of_gzip} | dict.fromkeys(("wav", "flac", "ogg", "mp3", "ark", "bin"), of_bytes)


def mutated(luck: Random, name: str, content: bytes) -> bytes:
    """`content` of a file called `name`, changed."""
    suffix = name.rpartition(".")[2]
    return KINDS.get("json" if name.endswith(".done") else suffix, of_any)(luck, content)
