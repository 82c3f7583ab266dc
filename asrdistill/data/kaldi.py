"""Kaldi archives (ark, scp) of matrices and integer vectors, read and written one utterance at a time by kaldiio.

Its extensions (pickle, numpy, audio) and shell commands in scp files are refused, because they can run code.
"""

import gzip
import itertools
import os
import re
import struct
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from kaldiio import matio
from kaldiio.utils import MultiFileDescriptor

from asrdistill.data.archive import FrameArchive
from asrdistill.errors import UserError
from asrdistill.files import atomic

_INTEGER = np.dtype([("size", "i1"), ("value", "<i4")])  # one element of an integer vector, in binary form


def read(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (utterance, array) of an ark, a gzipped ark or an scp, in the file's order.

    Arrays are int32 (T,), float (T,) or float (T, F), decompressed. Raises UserError naming file and utterance for a
    missing or truncated file or a shell command.
    """
    yield from _read_scp(path) if path.suffix == ".scp" else _read_ark(path)


def write(path: Path, arrays: Iterable[tuple[str, np.ndarray]], named: Path | None = None) -> int:
    """Write an ark and, beside it, the scp that names it by its absolute path; returns the number of utterances.

    named  final path of the ark, if not `path`
    """
    final = (named or path).resolve()
    count = 0
    with atomic(path.with_suffix(".scp")) as scp, atomic(path, "wb") as ark:
        for utterance, array in arrays:
            count += 1
            ark.write(f"{utterance} ".encode())
            scp.write(f"{utterance} {final}:{ark.tell()}\n")
            matio.write_array(ark, np.asarray(array))
    return count


def export_features(archive: Path, out: Path) -> int:
    """Write the part `frames` of a float archive as `out` (an ark) and the scp beside it; returns the utterances."""
    source = FrameArchive(archive)
    part: dict[str, Any] = source.meta["parts"].get("frames", {})
    if np.dtype(part.get("dtype", "i4")).kind != "f" or len(part["shape"]) != 1:
        raise UserError(f"{archive} holds {source.meta['kind']}, not a vector of floats for each frame; give features")
    return write(out, ((utterance, np.asarray(source[utterance], np.float32)) for utterance in source))


def _read_ark(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    utterance = None
    with _open(path) as handle:
        while True:
            where = f"the utterance after {utterance}" if utterance else "the first utterance"
            try:
                utterance = matio.read_token(handle)
            except Exception as error:  # of many types, from kaldiio and gzip
                raise _damaged(path, where, error) from None
            if utterance is None:
                return
            yield utterance, _read_array(handle, path, utterance)


def _read_scp(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Entries of one ark are usually adjacent, so it stays open."""
    for ark, entries in itertools.groupby(_entries(path), key=lambda entry: entry[1]):
        with _open(ark) as handle:
            for utterance, _, offset in entries:
                handle.seek(offset)
                yield utterance, _read_array(handle, ark, utterance)


def _entries(path: Path) -> Iterator[tuple[str, Path, int]]:
    """(utterance, ark, offset) of each line of an scp; a relative path counts from here or from the scp's folder."""
    with _open(path) as handle:
        for number, line in enumerate(handle, 1):
            found = re.fullmatch(r"(\S+)\s+(\S.*?)(?::(\d+))?", line.decode("utf-8-sig", errors="replace").rstrip())
            if not found:
                raise UserError(f"{path}, line {number} is not 'utterance file:offset'; make it again")
            utterance, name, offset = found.groups()
            if name.startswith("|") or name.endswith("|"):
                raise UserError(
                    f"{path}: the entry of utterance {utterance} is a shell command, which is not run; "
                    "write what it gives into an archive first"
                )
            if name.endswith("]"):
                raise UserError(
                    f"{path}: the entry of utterance {utterance} is a range of a matrix; write it out with copy-feats"
                )
            ark = Path(name)
            yield utterance, ark if os.path.isfile(ark) else path.parent / ark, int(offset or 0)


def _open(path: Path) -> IO[bytes]:
    if not os.path.isfile(path):  # also for names that are too long
        raise UserError(f"{path} does not exist; check the path")
    return gzip.open(path) if path.suffix == ".gz" else open(path, "rb")  # type: ignore[return-value]


def _read_array(handle: IO[bytes], path: Path, utterance: str) -> np.ndarray:
    try:
        form = handle.read(3)
        if form == b"\0B\4":  # kaldiio reads these one number at a time
            return _read_integers(handle)
        whole = MultiFileDescriptor(BytesIO(form), handle)
        return matio.read_matrix_or_vector(whole) if form[:2] == b"\0B" else matio.read_ascii_mat(whole)
    except Exception as error:
        raise _damaged(path, f"utterance {utterance}", error) from None


def _read_integers(handle: IO[bytes]) -> np.ndarray:
    (count,) = struct.unpack("<i", handle.read(4))
    data = handle.read(count * _INTEGER.itemsize)
    if len(data) != count * _INTEGER.itemsize:
        raise EOFError(f"{len(data) // _INTEGER.itemsize} of {count} numbers")
    return np.frombuffer(data, _INTEGER)["value"].astype(np.int32)


def _damaged(path: Path, where: str, error: BaseException) -> UserError:
    reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return UserError(f"{path} is cut short or no Kaldi archive: {where} cannot be read ({reason}); make it again")
