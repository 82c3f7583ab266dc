"""File helpers: atomic writes, checksums. What is read goes through :mod:`asrdistill.reader`."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from asrdistill.errors import UserError

TABLES = Path(__file__).resolve().parent / "tables"  # a link to data/; in a wheel a copy


def make_folder(path: Path) -> None:
    """Make a folder and its parents if they are missing; raises UserError if that fails."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {path}: {error.strerror}; give another path") from None


@contextmanager
def atomic(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a file for writing that gets its name once it is whole; makes its folder."""
    path = Path(path)
    make_folder(path.parent)
    partial = path.with_name(f".{path.name}.partial")
    encoding = None if "b" in mode else "utf-8"
    try:
        with open(partial, mode, encoding=encoding) as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    with atomic(path) as handle:
        handle.write(text)


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as handle:
        state = hashlib.sha256()
        while block := handle.read(1 << 20):
            state.update(block)
        return state.hexdigest()


def hash_of(value: Any) -> str:
    """SHA-256 of a JSON-serialisable value, independent of key order."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def tree_hash(folders: Iterable[Path]) -> str:
    """Hash of the names and sizes of all files below the folders: reading a whole corpus would take too long."""
    return hash_of([file for folder in folders if folder.is_dir() for file in _files(str(folder), "")])


def _files(folder: str, below: str) -> Iterator[tuple[str, int]]:
    """(path, bytes) of each file below a folder, in the order of the paths' parts; `below` stands before each path."""
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.is_dir():
            yield from _files(entry.path, f"{below}{entry.name}/")
        else:
            yield f"{below}{entry.name}", entry.stat().st_size
