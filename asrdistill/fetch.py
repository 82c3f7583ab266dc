"""Files from the network, whole or not there: a cut is taken up where it happened, what came is verified, and
nothing that is unpacked can leave its folder."""

import fcntl
import hashlib
import http.client
import logging
import os
import re
import shutil
import tarfile
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from asrdistill.errors import UserError

log = logging.getLogger("asrdistill")

BLOCK = 1 << 18  # bytes that are read, written and counted at once, at most
TIMEOUT = 60.0  # seconds without a byte that count as a cut
PAUSE = 0.5  # seconds before the second try; each further one waits twice as long
TRIES = 8  # without one new byte
RANGE_TRIES = 3  # of a server that sends the whole file in the place of its rest, before we take that

Advance = Callable[[int], None]  # told of every number of bytes that came; may raise to stop the work


@dataclass(frozen=True)
class Remote:
    """A file on a server: where, how many bytes, its md5 in hexadecimal (empty where none is published)."""

    url: str
    size: int
    md5: str = ""


class CutError(Exception):
    """The connection broke, or the server had no answer this time: worth another try."""


class RangeIgnoredError(CutError):
    """The server sends the file from its beginning, though we asked for the rest."""


def nothing(count: int) -> None:
    """An :data:`Advance` for nobody."""


def partial_of(path: Path) -> Path:
    """Where a file grows before it is whole."""
    return path.with_name(f".{path.name}.part")


def wrong_of(path: Path) -> Path:
    """Where a file is kept that is not what it should be."""
    return path.with_name(f"{path.name}.wrong")


def fetch(remote: Remote, path: Path, advance: Advance = nothing) -> None:
    """Fetch a file to `path`, a name that it gets once it is whole and verified.

    What an earlier call left of it, killed at any moment, is not fetched again. A file with a wrong md5 is kept
    as NAME.wrong and fetched again once. Where no md5 is published, the size is all that is checked, which
    is said. Raises UserError when the server lacks the file, has one of another size, gives no new byte in
    several tries, or sends a wrong one twice.
    """
    if path.is_file():
        if _is_right(remote, path):
            return
        advance(-path.stat().st_size)
        _set_aside(path, path, "is another file than the one wanted")
    partial = partial_of(path)
    for _ in range(2):
        with open(partial, "ab") as handle:
            _lock(handle, path)
            _append_rest(remote, handle, advance)
            os.fsync(handle.fileno())
            if right := _is_right(remote, partial):
                os.replace(partial, path)
            else:
                _set_aside(partial, path, f"does not have the md5 {remote.md5}")
        if right:
            if not remote.md5:
                log.info("%s: no md5 is published, so its size (%d bytes) is all that was checked", path, remote.size)
            return
        advance(-remote.size)
    raise UserError(
        f"{remote.url} came twice with another md5 than {remote.md5} (kept as {wrong_of(path)}); try another --mirror"
    )


def size_of(url: str) -> int:
    """Bytes of the file on the server, which is asked for that alone."""
    failures = 0
    while True:
        try:
            with _open(urllib.request.Request(url, method="HEAD")) as response:
                length = response.headers.get("Content-Length", "")
            if not length.isdigit():
                raise UserError(f"{url}: the server does not say how large it is; try another --mirror")
            return int(length)
        except CutError as cut:
            failures += 1
            _wait(url, failures, cut)


def answers(url: str) -> bool:
    """Whether a server has the file, asked once."""
    try:
        with _open(urllib.request.Request(url, method="HEAD")):
            return True
    except (CutError, UserError):
        return False


def require_space(folder: Path, needed: int, what: str) -> None:
    """Raise UserError unless so many bytes are free where `folder` is or will be."""
    existing = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.is_dir())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise UserError(
            f"{what}: {needed / 1e9:.2f} GB are needed in {folder}, but only {free / 1e9:.2f} GB are free; "
            "make room or give another folder"
        )


def extract(
    archive: Path,
    folder: Path,
    place: Callable[[PurePosixPath], PurePosixPath] = lambda name: name,
    advance: Advance = nothing,
) -> None:
    """Unpack the files of a .tar.gz into the existing folder; `place` says where in it a member goes.

    Raises UserError for a member that is neither file nor folder, or whose name leads out of the folder, and
    for an archive that is damaged.
    """
    try:
        with tarfile.open(archive, "r|gz", bufsize=1 << 20) as tar:
            for member in tar:
                advance(0)
                target = folder / place(_safe_name(archive, member))
                if member.isdir():
                    target.mkdir(parents=True, exist_ok=True)
                elif content := tar.extractfile(member):
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with open(target, "wb") as out:
                        shutil.copyfileobj(content, out, BLOCK)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise UserError(f"{archive} cannot be unpacked ({error}); delete it and fetch it again") from None


def md5_of(path: Path) -> str:
    """Hexadecimal MD5 of a file's bytes."""
    state = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as handle:
        while block := handle.read(1 << 20):
            state.update(block)
    return state.hexdigest()


def _is_right(remote: Remote, path: Path) -> bool:
    return path.stat().st_size == remote.size and remote.md5 in ("", md5_of(path))


def _set_aside(found: Path, path: Path, reason: str) -> None:
    log.warning("%s %s: it is kept as %s", path, reason, wrong_of(path).name)
    os.replace(found, wrong_of(path))


def _lock(handle: IO[bytes], path: Path) -> None:
    """Keep a second process from writing to the same file; the lock dies with the process that holds it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise UserError(f"{path} is being fetched by another process; wait for it or stop it") from None


def _append_rest(remote: Remote, handle: IO[bytes], advance: Advance) -> None:
    """Append to the open file what it lacks of the remote one, through as many cuts as bring new bytes."""
    if handle.tell() > remote.size:  # of another file that had this name
        advance(-handle.tell())
        handle.seek(0)
        handle.truncate()
    failures = ignored = 0
    while (before := handle.tell()) < remote.size:
        problem = CutError("the connection was cut")
        try:
            for block in _blocks(remote, before, ignored >= RANGE_TRIES):
                if handle.tell() + len(block) > remote.size:
                    raise UserError(_another_size(remote, "more"))
                handle.write(block)
                handle.flush()
                advance(len(block))
        except RangeIgnoredError:
            ignored += 1
            continue
        except CutError as cut:
            problem = cut
        failures = 0 if handle.tell() > before else failures + 1
        if failures:
            advance(0)
            _wait(remote.url, failures, problem)


def _blocks(remote: Remote, start: int, from_beginning: bool) -> Iterator[bytes]:
    """Bytes of the file from `start` on, as far as the connection carries.

    A server that sends all of the file is heard out where `from_beginning` allows it: what we have is dropped
    on the way, rather than what is on disk, so that a cut costs nothing of it.
    """
    request = urllib.request.Request(remote.url, headers={"Range": f"bytes={start}-"} if start else {})
    with _open(request) as response:
        begin, total = _extent(response)
        if total not in (None, remote.size):
            raise UserError(_another_size(remote, total))
        if begin == 0 < start and not from_beginning:
            raise RangeIgnoredError("the server ignores the range")
        if begin not in (0, start):
            raise CutError(f"the server sends from byte {begin}, not from {start}")
        surplus = start - begin
        while block := _read(response):
            if len(block) > surplus:
                yield block[surplus:]
            surplus = max(0, surplus - len(block))


def _another_size(remote: Remote, found: int | str | None) -> str:
    return (
        f"{remote.url} has {found} bytes where {remote.size} are expected: it is another version, or no such file; "
        "try another --mirror"
    )


def _extent(response: http.client.HTTPResponse) -> tuple[int, int | None]:
    """(first byte that is sent, bytes of the whole file where the server says so)"""
    if response.status == 206:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if not found:
            raise CutError("the server does not say which range it sends")
        return int(found[1]), None if found[2] == "*" else int(found[2])
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read1(BLOCK)  # what is there: who waits for more loses it when killed
    except http.client.IncompleteRead as error:
        return error.partial
    except (OSError, http.client.HTTPException) as error:
        raise CutError(str(error)) from None


def _open(request: urllib.request.Request) -> http.client.HTTPResponse:
    """The server's answer; raises CutError where another try may help, and UserError where none does."""
    try:
        return urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code in (408, 429) or error.code >= 500:
            raise CutError(f"HTTP status {error.code}") from None
        raise UserError(
            f"{request.full_url}: the server answers {error.code} ({error.reason}); check --mirror"
        ) from None
    except ValueError:
        raise UserError(f"{request.full_url} is no address; give one like https://www.openslr.org/resources") from None
    except urllib.error.URLError as error:
        raise CutError(str(error.reason)) from None
    except (OSError, http.client.HTTPException) as error:
        raise CutError(str(error) or type(error).__name__) from None


def _wait(url: str, failures: int, cut: CutError) -> None:
    """Give the server time; the UserError when that was of no use too often."""
    if failures >= TRIES:
        raise UserError(
            f"{url} cannot be fetched ({cut}, {failures} times in a row); check the network or try another --mirror, "
            "and run the same command again: it goes on where it is"
        )
    log.info("%s: %s; trying again", url, cut)
    time.sleep(PAUSE * 2 ** (failures - 1))


def _safe_name(archive: Path, member: tarfile.TarInfo) -> PurePosixPath:
    name = PurePosixPath(member.name)
    if not (member.isfile() or member.isdir()):
        raise UserError(f"{archive} holds {member.name}, which is a link or a device; do not use this archive")
    if name.is_absolute() or ".." in name.parts or "\\" in member.name:
        raise UserError(f"{archive} holds {member.name}, which would leave its folder; do not use this archive")
    return name
