"""Stages: folders that are either whole and up to date, or not there.

:func:`make` works in ``.NAME.partial`` beside the folder and renames it when it is whole. ``.done`` in it holds the
hash of options and inputs; a stage whose hash still matches is skipped. After a kill the same command resumes.
"""

import contextlib
import dataclasses
import fcntl
import os
import platform
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypedDict

from safetensors import SafetensorError

from asrdistill import __version__
from asrdistill.config import hash_fields
from asrdistill.errors import UserError, log
from asrdistill.files import hash_of, make_folder, sha256, write_json
from asrdistill.reader import Count, Time, read_json

MARKER = ".done"


class UnwritableError(UserError):
    """A folder that the system does not let us make."""


def make(out: Path, work: Callable[[Path], object], verb: str, options: Any, inputs: Sequence[Path]) -> bool:
    """Make the folder `out` by ``work(partial folder)`` unless it is up to date; returns whether work was done.

    options  a dataclass or mapping of what decides the result
    inputs   files and folders that it is made from
    """
    out = Path(out)
    settings = hash_fields(options) if dataclasses.is_dataclass(options) else dict(options)
    recipe = {"verb": verb, "options": settings, "inputs": [fingerprint(path) for path in inputs]}
    wanted = hash_of(recipe)
    if _is_current(out, wanted):
        if any(path.exists() for path in _beside(out)):  # left by a run that was killed when it was done
            with contextlib.suppress(OSError, UserError), _locked(out):
                shutil.rmtree(_beside(out)[1], ignore_errors=True)
        return False
    start = time.time()
    try:
        with _locked(out):
            if _is_current(out, wanted):  # made by another process since
                return False
            if out.exists() and not marker(out) and not (out.is_dir() and not any(out.iterdir())):
                raise UserError(f"{out} exists, but no stage made it; give another name or move it away")
            partial = _open_partial(out, wanted)
            work(partial)
            _complete(partial, out, wanted, recipe, inputs, start)
    except (OSError, SafetensorError) as error:  # a full disk is either, depending on what was written
        parts = (error.strerror, error.filename) if isinstance(error, OSError) else (error,)
        reason = ": ".join(str(part) for part in parts if part)
        raise UnwritableError(f"{out} could not be made ({reason})") from error
    log.info("%s: done in %.1f s", out, time.time() - start)
    return True


def _is_current(out: Path, wanted: str) -> bool:
    current = marker(out).get("hash") == wanted
    if current:
        log.info("%s: up to date", out)
    return current


def _beside(out: Path) -> tuple[Path, Path]:
    """The lock of a folder, and where its predecessor stands for a moment."""
    return out.with_name(f".{out.name}.lock"), out.with_name(f".{out.name}.old")


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Keep a second process from making the same folder; the lock ends with the process that holds it."""
    make_folder(out.parent)
    path, _ = _beside(out)
    while True:
        with open(path, "w") as handle:
            try:
                fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # forked workers do not share it
            except OSError:
                raise UserError(f"{out} is being made by another process; wait for it or stop it") from None
            if not (path.exists() and os.path.samestat(path.stat(), os.fstat(handle.fileno()))):
                continue  # removed by its last holder since we opened it
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def _complete(
    partial: Path, out: Path, wanted: str, recipe: dict[str, Any], inputs: Sequence[Path], start: float
) -> None:
    """Write the marker and give the folder its name."""
    record = {
        "hash": wanted,
        **recipe,
        "inputs": [str(path) for path in inputs],
        "stage": os.environ.get("ASRDISTILL_STAGE", recipe["verb"]),
        "start": start,
        "end": time.time(),
        "peak_mb": peak_mb(),
        "environment": environment(),
    }
    write_json(partial / MARKER, record)
    (partial / ".wanted").unlink()
    _, old = _beside(out)
    shutil.rmtree(old, ignore_errors=True)
    if out.exists():
        os.replace(out, old)
    os.replace(partial, out)
    shutil.rmtree(old, ignore_errors=True)


class _Hash(TypedDict):
    hash: str


class Marker(_Hash, total=False):
    """Content of ``.done``: how a folder was made."""

    verb: str
    inputs: list[str]
    options: dict[str, Any]
    stage: str
    start: Time
    end: Time
    peak_mb: Count
    environment: dict[str, str]


def marker(folder: Path) -> dict[str, Any]:
    """Contents of the folder's ``.done``; empty if there is none."""
    path = Path(folder) / MARKER
    return read_json(path, Marker) if path.is_file() else {}


def fingerprint(path: Path) -> str:
    """Hash of an input: of a stage's marker, a file, or the files of a folder."""
    path = Path(path)
    if path.is_file():
        return sha256(path)
    if not path.is_dir():
        raise UserError(f"{path} does not exist; run the stage that makes it first")
    if done := marker(path):
        return done["hash"]
    files = sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith("."))
    return hash_of({p.name: sha256(p) for p in files})


def _open_partial(out: Path, wanted: str) -> Path:
    """The partial folder: what an interrupted run of the same work left, or an empty one."""
    partial = out.with_name(f".{out.name}.partial")
    note = partial / ".wanted"
    if not (note.is_file() and note.read_text() == wanted):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        note.write_text(wanted)
    return partial


def empty(partial: Path) -> None:
    """Remove what an interrupted run left in a partial folder, for work that does not continue it."""
    for path in partial.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != ".wanted":
            path.unlink()


def remove(out: Path) -> None:
    """Remove a stage's folder, which is whole up to its end: what a killed run leaves goes with the next one."""
    _, old = _beside(out)
    shutil.rmtree(old, ignore_errors=True)
    with contextlib.suppress(FileNotFoundError):
        os.replace(out, old)
    shutil.rmtree(old, ignore_errors=True)


def peak_mb() -> int:
    """Largest resident size so far of this process or one of its finished workers, in MB."""
    per_mb = 1 << 20 if sys.platform == "darwin" else 1 << 10  # bytes there, kilobytes here
    return max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) // per_mb


def environment() -> dict[str, str]:
    """Where a result was made: commit, versions, processor, date."""
    torch = sys.modules.get("torch")
    return {
        "commit": _commit() or __version__,
        "python": platform.python_version(),
        "torch": torch.__version__ if torch else "",
        "cpu": _cpu_name(),
        "date": time.strftime("%Y-%m-%d"),
    }


def _commit() -> str:
    """Commit of the checkout that this package is part of; empty if it is installed elsewhere."""
    checkout = Path(__file__).resolve().parents[1]
    if not (checkout / ".git").exists():  # another repository may surround an installed package
        return ""
    git = subprocess.run(["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return git.stdout.strip()


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return f"{line.split(':', 1)[1].strip()}, {os.cpu_count()} cores"
    return f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
