"""Downloads that resume and are verified; archives that cannot write outside of their folder."""

import errno
import fcntl
import gzip
import hashlib
import http.client
import os
import re
import shutil
import socket
import tarfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from asrdistill.errors import UserError, log
from asrdistill.reader import reading

BLOCK = 1 << 18  # bytes read at once
TIMEOUT = 60.0  # seconds without a byte
PAUSE = 0.5  # seconds before the second try, doubled for each further one
TRIES = 8  # in a row without a new byte
SLOWEST = 100  # bytes a second over TIMEOUT seconds; a slower connection counts as one without a new byte
EXPANDED, EXTRA = 50, 1 << 27  # an archive unpacks to at most so many times its bytes, and so many more

Advance = Callable[[int], None]  # receives the bytes of each read, negative if they are dropped; may raise to stop


@dataclass(frozen=True)
class Remote:
    """A file on a server; `size` in bytes, `md5` in hexadecimal or empty if none is published."""

    url: str
    size: int
    md5: str = ""


class ConnectionCutError(Exception):
    """The connection broke or the server is busy: worth another try."""


class _Connection(http.client.HTTPConnection):
    """One whose answer must begin within TIMEOUT seconds, however many headers or `100 Continue` come before."""

    def getresponse(self) -> http.client.HTTPResponse:
        watchdog = threading.Timer(TIMEOUT, lambda: self.sock and self.sock.shutdown(socket.SHUT_RDWR))
        watchdog.daemon = True
        watchdog.start()
        try:
            return super().getresponse()
        finally:
            watchdog.cancel()


class _SecureConnection(_Connection, http.client.HTTPSConnection):
    pass


class _Http(urllib.request.HTTPHandler):
    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Connection, request)


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_SecureConnection, request)


def partial_of(path: Path) -> Path:
    """Where a file grows before it is whole."""
    return path.with_name(f".{path.name}.part")


def wrong_of(path: Path) -> Path:
    """Where a file with a wrong checksum is kept."""
    return path.with_name(f"{path.name}.wrong")


def fetch(remote: Remote, path: Path, advance: Advance = lambda count: None) -> None:
    """Fetch a file to `path`, which appears once it is whole and verified.

    Resumes after interruptions. A file with a wrong md5 is kept as NAME.wrong and fetched again once. Raises UserError
    if the server lacks the file, has one of another size, sends nothing in several tries, or a wrong file twice.
    """
    if path.is_file():
        if _is_right(remote, path):
            return
        advance(-path.stat().st_size)
        _set_aside(path, path)
    partial = partial_of(path)
    for _ in range(2):
        with open(partial, "ab") as handle:
            _lock(handle, path)
            _append_rest(remote, handle, advance)
            os.fsync(handle.fileno())
            if _is_right(remote, partial):
                os.replace(partial, path)
                if not remote.md5:
                    log.info("%s: no md5 is published; only its size (%d bytes) was checked", path, remote.size)
                return
            _set_aside(partial, path)
        advance(-remote.size)
    raise UserError(f"{remote.url} does not have the md5 {remote.md5} (kept as {wrong_of(path)}); try another --mirror")


def size_of(url: str) -> int:
    """Size in bytes that the server reports."""
    failures = 0
    while True:
        try:
            with _open(urllib.request.Request(url, method="HEAD")) as response:
                length = response.headers.get("Content-Length", "")
            if (size := _number(length)) is None:
                raise UserError(f"{url}: the server does not report its size; try another --mirror")
            return size
        except ConnectionCutError as cut:
            failures += 1
            _wait(url, failures, cut)


def answers(url: str) -> bool:
    """Whether a server has the file, asked once."""
    try:
        with _open(urllib.request.Request(url, method="HEAD")):
            return True
    except (ConnectionCutError, UserError):
        return False


def require_space(folder: Path, needed: int, what: str) -> None:
    """Raise UserError unless `needed` bytes are free where `folder` is or will be."""
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
    advance: Advance = lambda count: None,
) -> None:
    """Unpack a .tar.gz into the existing folder; `place` maps a member's name to its path in the folder.

    Raises UserError for a damaged archive, links, devices, names that lead out of the folder or cannot be written, and
    contents that are many times larger than the archive, or than the space there is.
    """
    with reading(archive, "delete it and fetch it again"), gzip.open(archive) as unpacked:
        counted: Any = _Counted(archive, unpacked)
        with tarfile.open(fileobj=counted, mode="r|", bufsize=1 << 20) as tar:
            for member in tar:
                advance(0)
                target = folder / place(_safe_name(archive, member))
                require_space(folder, member.size, f"{archive}, {member.name}")
                try:
                    if member.isdir():
                        target.mkdir(parents=True, exist_ok=True)
                    elif content := tar.extractfile(member):
                        target.parent.mkdir(parents=True, exist_ok=True)
                        with open(target, "wb") as out:
                            shutil.copyfileobj(content, out, BLOCK)
                except (OSError, ValueError) as error:  # a name that is too long, a file where a folder must be, …
                    if isinstance(error, gzip.BadGzipFile) or getattr(error, "errno", 0) == errno.ENOSPC:
                        raise
                    reason = getattr(error, "strerror", None) or error
                    raise UserError(
                        f"{archive} holds {member.name[:100]}, which cannot be written ({reason})"
                    ) from None
        while counted.read(BLOCK):  # up to the checksum
            pass


class _Counted:
    """What an archive unpacks to; raises UserError if that is many times its own size."""

    def __init__(self, archive: Path, unpacked: Any):
        self.archive, self.unpacked = archive, unpacked
        self.left = EXPANDED * archive.stat().st_size + EXTRA

    def read(self, size: int) -> bytes:
        block = self.unpacked.read(min(size, self.left + 1))
        self.left -= len(block)
        if self.left < 0:
            raise UserError(f"{self.archive} unpacks to over {EXPANDED} times its size; do not use this archive")
        return block


def _safe_name(archive: Path, member: tarfile.TarInfo) -> PurePosixPath:
    name = PurePosixPath(member.name)
    regular = (member.isfile() and not member.issparse()) or member.isdir()
    nameless = not name.parts and not member.isdir()
    if not regular or nameless or name.is_absolute() or ".." in name.parts or "\\" in member.name:
        what = "would leave its folder" if regular else "is a link, a device or sparse"
        raise UserError(f"{archive} holds {member.name[:100]}, which {what}; do not use this archive")
    return name


def md5_of(path: Path) -> str:
    """Hexadecimal MD5 of a file."""
    state = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as handle:
        while block := handle.read(1 << 20):
            state.update(block)
    return state.hexdigest()


def _is_right(remote: Remote, path: Path) -> bool:
    return path.stat().st_size == remote.size and remote.md5 in ("", md5_of(path))


def _set_aside(found: Path, path: Path) -> None:
    log.warning("%s is not the expected file: it is kept as %s", path, wrong_of(path).name)
    os.replace(found, wrong_of(path))


def _lock(handle: IO[bytes], path: Path) -> None:
    """Keep a second process from writing to the same file; the lock ends with the process."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise UserError(f"{path} is being fetched by another process; wait for it or stop it") from None


def _append_rest(remote: Remote, handle: IO[bytes], advance: Advance) -> None:
    """Append what the open file lacks of the remote one, over as many connections as bring new bytes."""
    if handle.tell() > remote.size:  # of another file of this name
        advance(-handle.tell())
        handle.seek(0)
        handle.truncate()
    failures = 0
    while (before := handle.tell()) < remote.size:
        problem, begun, slow = ConnectionCutError("the connection was cut"), time.monotonic(), False
        try:
            for block in _blocks(remote, before):
                if handle.tell() + len(block) > remote.size:
                    raise _wrong_size(remote, "more")
                handle.write(block)
                handle.flush()
                advance(len(block))
                seconds = time.monotonic() - begun
                slow = seconds > TIMEOUT and handle.tell() - before < SLOWEST * seconds
                if slow and handle.tell() < remote.size:
                    raise ConnectionCutError(f"only {(handle.tell() - before) / seconds:.0f} bytes a second")
        except ConnectionCutError as cut:
            problem = cut
        failures = 0 if handle.tell() > before and not slow else failures + 1
        if failures:
            advance(0)
            _wait(remote.url, failures, problem)


def _blocks(remote: Remote, start: int) -> Iterator[bytes]:
    """Bytes of the file from `start` on. Of a server that ignores the range, the first `start` bytes are skipped."""
    request = urllib.request.Request(remote.url, headers={"Range": f"bytes={start}-"} if start else {})
    with _open(request) as response:
        begin, total = _extent(response)
        if total not in (None, remote.size):
            raise _wrong_size(remote, total)
        if begin not in (0, start):
            raise ConnectionCutError(f"the server sends from byte {begin}, not from {start}")
        surplus = start - begin
        while block := _read(response):
            if len(block) > surplus:
                yield block[surplus:]
            surplus = max(0, surplus - len(block))


def _wrong_size(remote: Remote, found: int | str | None) -> UserError:
    return UserError(f"{remote.url} has {found} bytes instead of {remote.size}; try another --mirror")


def _extent(response: http.client.HTTPResponse) -> tuple[int, int | None]:
    """(first byte that is sent, size of the whole file if known)"""
    if response.status == 206:
        found = re.fullmatch("bytes ([0-9]{1,18})-[0-9]+/([0-9]{1,18}|[*])", response.headers.get("Content-Range", ""))
        if not found:
            raise ConnectionCutError("the server does not report the range it sends")
        return int(found[1]), None if found[2] == "*" else int(found[2])
    return 0, _number(response.headers.get("Content-Length", ""))


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else None


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read1(BLOCK)  # what is there: waiting for more would lose it if killed
    except http.client.IncompleteRead as error:
        return error.partial
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionCutError(str(error)) from None


def _open(request: urllib.request.Request) -> http.client.HTTPResponse:
    """The server's answer; raises ConnectionCutError if another try may help, UserError otherwise."""
    url = request.full_url
    try:
        return urllib.request.build_opener(_Http, _Https).open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code in (408, 429) or error.code >= 500:
            raise ConnectionCutError(f"HTTP status {error.code}") from None
        raise UserError(f"{url}: the server answers {error.code} ({error.reason}); check --mirror") from None
    except ValueError:
        raise UserError(f"{url} is not a URL; give one like https://www.openslr.org/resources") from None
    except (OSError, http.client.HTTPException) as error:  # URLError is an OSError
        raise ConnectionCutError(str(getattr(error, "reason", error)) or type(error).__name__) from None


def _wait(url: str, failures: int, cut: ConnectionCutError) -> None:
    """Pause before another try; raises UserError after TRIES failures."""
    if failures >= TRIES:
        raise UserError(
            f"{url} cannot be fetched ({cut}, {failures} times in a row); check the network or try another --mirror, "
            "and run the command again to resume"
        )
    log.info("%s: %s; trying again", url, cut)
    time.sleep(PAUSE * 2 ** (failures - 1))
