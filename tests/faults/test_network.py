"""A hostile HTTP server, and archives that are bombs or have impossible names: one sentence each, in bounded time."""

import contextlib
import gzip
import io
import socket
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from asrdistill import fetch
from asrdistill.fetch import Remote
from tests.refusals import refused

Answer = Callable[[socket.socket], None]


@contextlib.contextmanager
def server(answer: Answer) -> Iterator[str]:
    """The URL of a file for which `answer` writes to the connection, whatever is asked."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                threading.Thread(target=talk, args=(connection,), daemon=True).start()

        def talk(connection: socket.socket) -> None:
            with contextlib.suppress(OSError), connection:
                connection.recv(1 << 16)
                answer(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/file"
        listening.shutdown(socket.SHUT_RDWR)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    for name, value in {"PAUSE": 0.0, "TRIES": 2, "TIMEOUT": 0.3}.items():
        monkeypatch.setattr(fetch, name, value)


def of(text: str, body: bytes = b"") -> Answer:
    return lambda connection: connection.sendall(text.replace("\n", "\r\n").encode("latin-1") + body)


def for_ever(block: bytes, pause: float = 0.0, head: bytes = b"") -> Answer:
    def answer(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(block)
            time.sleep(pause)

    return answer


HEAD = "HTTP/1.1 200 OK\nContent-Length: {}\n\n"
HOSTILE: dict[str, Answer] = {
    "nothing": of(""),
    "no HTTP": of("SSH-2.0-x\n"),
    "long status line": of("HTTP/1.1 200 " + "x" * 100_000),
    "status that is no number": of("HTTP/1.1 2²0 OK\n\n"),
    "endless headers": for_ever(b"X-Header: y\r\n", head=b"HTTP/1.1 200 OK\r\n"),
    "slow headers": for_ever(b"X", 0.1, b"HTTP/1.1 200 OK\r\nX: "),
    "endless 100 Continue": for_ever(b"HTTP/1.1 100 Continue\r\n\r\n", 0.01),
    "circle": of("HTTP/1.1 302 Found\nLocation: /file\n\n"),
    "file URL": of("HTTP/1.1 302 Found\nLocation: file:///etc/passwd\n\n"),
    "other size": of(HEAD.format(5), b"12345"),
    "huge size": of(HEAD.format("9" * 5000), b"12345"),
    "more than said": of("HTTP/1.1 200 OK\n\n", b"x" * 5000),
    "range that is no number": of("HTTP/1.1 206 Partial\nContent-Range: bytes ²-3/4\n\n"),
    "bad chunks": of("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n", b"zz\r\nxx\r\n"),
    "negative chunk": of("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n", b"-5\r\nxxxxx\r\n"),
    "a byte now and then": for_ever(b"x", 0.05, b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
    "silence": lambda connection: time.sleep(2),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_server_is_named_in_bounded_time(tmp_path, case):
    with server(HOSTILE[case]) as url:
        begin = time.monotonic()
        with refused(url):
            fetch.fetch(Remote(url, 1000), tmp_path / "file")
        assert time.monotonic() - begin < 20
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize("length", ["-1", "²", "x", "", "1e3", "9" * 5000, "1, 2"])
def test_size_that_is_no_number_is_refused(length):
    with server(of(f"HTTP/1.1 200 OK\nContent-Length: {length}\n\n")) as url, refused(url):
        fetch.size_of(url)


def packed(path: Path, /, *members: tuple[str, bytes], kind: bytes = tarfile.REGTYPE, **headers: str) -> Path:
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size, info.type, info.pax_headers = len(content), kind, headers
            tar.addfile(info, io.BytesIO(content))
    return path


NAMES = [".", "", "./", "x" * 300, "a/" + "y" * 5000, "..", "a/../../b", "/etc/x", "a\\b"]


@pytest.mark.parametrize("name", NAMES)
def test_impossible_names_of_members_are_refused(tmp_path, name):
    archive = packed(tmp_path / "a.tar.gz", (name, b"content"))
    (tmp_path / "out").mkdir()
    with refused(archive):
        fetch.extract(archive, tmp_path / "out")
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path != archive]


def test_name_with_nul_and_file_where_a_folder_must_be_are_refused(tmp_path):
    (tmp_path / "out").mkdir()
    for number, archive in enumerate(
        [
            packed(tmp_path / "nul.tar.gz", ("x", b"1"), path="a\0b"),
            packed(tmp_path / "twice.tar.gz", ("x", b"1"), ("x/y", b"2")),
            packed(tmp_path / "again.tar.gz", ("z/y", b"1"), ("z", b"2")),
        ]
    ):
        with refused(archive):
            fetch.extract(archive, tmp_path / "out")
        assert number < 3


def test_bombs_are_refused_before_they_fill_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "EXTRA", 1 << 20)
    (tmp_path / "out").mkdir()
    archive = packed(tmp_path / "zeros.tar.gz", ("zeros", bytes(1 << 25)))
    with refused(archive):
        fetch.extract(archive, tmp_path / "out")
    assert sum(path.stat().st_size for path in (tmp_path / "out").iterdir()) < 1 << 22
    announced = tarfile.TarInfo("large")
    announced.size = 1 << 60
    archive.write_bytes(gzip.compress(announced.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 16)))
    with refused(archive):
        fetch.extract(archive, tmp_path / "out")
    long_name = tarfile.TarInfo("././@LongLink")
    long_name.type, long_name.size = tarfile.GNUTYPE_LONGNAME, 1 << 30
    archive.write_bytes(gzip.compress(long_name.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 25)))
    with refused(archive):
        fetch.extract(archive, tmp_path / "out")


def test_sparse_members_are_refused(tmp_path):
    archive = packed(tmp_path / "a.tar.gz", ("x", b""), **{"GNU.sparse.size": str(1 << 50), "GNU.sparse.map": "0,0"})
    (tmp_path / "out").mkdir()
    with refused(archive):
        fetch.extract(archive, tmp_path / "out")


def test_archive_whose_checksum_is_wrong_is_refused(tmp_path):
    archive = packed(tmp_path / "a.tar.gz", ("x", b"content"))
    content = bytearray(archive.read_bytes())
    content[-5] ^= 1
    archive.write_bytes(content)
    (tmp_path / "out").mkdir()
    with refused(archive):
        fetch.extract(archive, tmp_path / "out")
