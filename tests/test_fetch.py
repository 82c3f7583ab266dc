"""Downloads from a flaky server; archives that would leave their folder."""

import gzip
import hashlib
import io
import random
import subprocess
import sys
import tarfile
from pathlib import Path, PurePosixPath

import pytest

from asrdistill import fetch
from asrdistill.fetch import Remote, partial_of, wrong_of
from tests.recipes.flaky_server import FlakyServer
from tests.refusals import assert_names, refused

CONTENT = random.Random(0).randbytes(1_000_000)
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch):
    monkeypatch.setattr(fetch, "PAUSE", 0.0)


@pytest.fixture
def site(tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "file").write_bytes(CONTENT)
    return tmp_path / "site"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "site")


@pytest.mark.parametrize("seed", range(8))
def test_flaky_server_gives_the_whole_file(site, tmp_path, seed):
    counted = []
    with FlakyServer(site, cut=0.7, ignore_range=0.3, busy=0.3, seed=seed) as server:
        fetch.fetch(Remote(f"{server.url}/file", len(CONTENT), MD5), tmp_path / "file", counted.append)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert sum(counted) == len(CONTENT)
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("seed", range(4))
def test_no_byte_is_fetched_twice_where_ranges_are_kept(site, tmp_path, seed):
    with FlakyServer(site, cut=0.8, busy=0.2, seed=seed) as server:
        fetch.fetch(Remote(f"{server.url}/file", len(CONTENT), MD5), tmp_path / "file")
    assert server.bytes_of("file") == len(CONTENT)


def test_server_without_ranges_keeps_the_partial_file(site, tmp_path):
    partial_of(tmp_path / "file").write_bytes(CONTENT[:600_000])
    with FlakyServer(site, ignore_range=1.0) as server:
        fetch.fetch(Remote(f"{server.url}/file", len(CONTENT), MD5), tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.requests == 1


def test_finished_file_is_not_fetched_again(site, tmp_path):
    (tmp_path / "file").write_bytes(CONTENT)
    with FlakyServer(site) as server:
        fetch.fetch(Remote(f"{server.url}/file", len(CONTENT), MD5), tmp_path / "file")
    assert server.requests == 0


def test_longer_partial_file_is_dropped(site, tmp_path):
    partial_of(tmp_path / "file").write_bytes(bytes(2_000_000))
    with FlakyServer(site) as server:
        fetch.fetch(Remote(f"{server.url}/file", len(CONTENT), MD5), tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_wrong_partial_file_is_kept_aside(site, tmp_path, caplog):
    wrong = bytes(600_000)
    partial_of(tmp_path / "file").write_bytes(wrong)
    counted = [len(wrong)]
    with FlakyServer(site) as server:
        fetch.fetch(Remote(f"{server.url}/file", len(CONTENT), MD5), tmp_path / "file", counted.append)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert wrong_of(tmp_path / "file").read_bytes() == wrong + CONTENT[600_000:]
    assert_names(caplog.text, "file.wrong")
    assert sum(counted) == len(CONTENT)


def test_wrong_md5_twice_is_refused(site, tmp_path):
    with FlakyServer(site) as server, refused(f"{server.url}/file", "0" * 32, wrong_of(tmp_path / "file"), "--mirror"):
        fetch.fetch(Remote(f"{server.url}/file", len(CONTENT), "0" * 32), tmp_path / "file")
    assert server.bytes_of("file") == 2 * len(CONTENT)
    assert names(tmp_path) == ["file.wrong"]


def test_missing_md5_is_logged_with_the_size(site, tmp_path, caplog):
    caplog.set_level("INFO", "asrdistill")
    with FlakyServer(site) as server:
        fetch.fetch(Remote(f"{server.url}/file", fetch.size_of(f"{server.url}/file")), tmp_path / "file")
    assert_names(caplog.text, "md5", len(CONTENT))


def test_other_size_is_refused_before_the_download(site, tmp_path):
    with FlakyServer(site) as server, refused(f"{server.url}/file", 1000000, 999999, "--mirror"):
        fetch.fetch(Remote(f"{server.url}/file", 999_999), tmp_path / "file")
    assert partial_of(tmp_path / "file").stat().st_size == 0


def test_missing_file_is_refused(site, tmp_path):
    with FlakyServer(site) as server, refused(f"{server.url}/none", 404, "--mirror"):
        fetch.fetch(Remote(f"{server.url}/none", 10), tmp_path / "none")


@pytest.mark.parametrize("chances", [{"busy": 1.0}, {"cut": 1.0}])
def test_server_without_an_answer_is_refused(site, tmp_path, monkeypatch, chances):
    with FlakyServer(site, **chances) as server:
        monkeypatch.setattr(server, "draw", lambda: ("busy" in chances, False, 0.0))
        with refused(f"{server.url}/file", 8, "--mirror"):
            fetch.fetch(Remote(f"{server.url}/file", len(CONTENT)), tmp_path / "file")


def test_unreachable_server_is_refused(tmp_path):
    with refused("127.0.0.1:9/x", "refused"):
        fetch.size_of("http://127.0.0.1:9/x")


def test_second_process_is_refused(site, tmp_path):
    with open(partial_of(tmp_path / "file"), "ab") as handle:
        fetch._lock(handle, tmp_path / "file")
        with FlakyServer(site) as server, refused(tmp_path / "file", "process"):
            fetch.fetch(Remote(f"{server.url}/file", len(CONTENT)), tmp_path / "file")


def test_full_disk_keeps_the_partial_file(site, tmp_path):
    """The kernel refuses to let the file grow, as on a full disk; with room again the rest is fetched."""
    script = f"""
import resource
from pathlib import Path
from asrdistill.fetch import Remote, fetch
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
fetch(Remote("URL/file", {len(CONTENT)}, "{MD5}"), Path({str(tmp_path / "file")!r}))
"""
    with FlakyServer(site) as server:
        done = subprocess.run([sys.executable, "-c", script.replace("URL", server.url)], capture_output=True, text=True)
        assert "OSError" in done.stderr
        assert not (tmp_path / "file").exists()
        assert partial_of(tmp_path / "file").read_bytes() == CONTENT[:600_000]
        fetch.fetch(Remote(f"{server.url}/file", len(CONTENT), MD5), tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.sent[-1].start == 600_000


def test_too_little_space_is_refused(tmp_path):
    fetch.require_space(tmp_path / "not" / "yet", 1, "x")
    with refused("x and y", "1000000.00 GB", tmp_path / "not" / "yet"):
        fetch.require_space(tmp_path / "not" / "yet", 10**15, "x and y")


def archive(path: Path, *members: tuple[str, bytes, bytes]) -> Path:
    """A .tar.gz of (name, type, content or target of a link)."""
    with tarfile.open(path, "w:gz") as tar:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind == tarfile.REGTYPE:
                info.size = len(content)
            else:
                info.linkname = content.decode()
            tar.addfile(info, io.BytesIO(content))
    return path


def test_files_and_folders_are_unpacked(tmp_path):
    packed = archive(
        tmp_path / "a.tar.gz",
        ("./top", tarfile.DIRTYPE, b""),
        ("top/a", tarfile.REGTYPE, b"A"),
        ("b", b"0", b"B" * 9**6),
    )
    (tmp_path / "out").mkdir()
    fetch.extract(packed, tmp_path / "out", lambda name: PurePosixPath(*name.parts[-1:]))
    assert (tmp_path / "out" / "a").read_bytes() == b"A"
    assert (tmp_path / "out" / "b").read_bytes() == b"B" * 9**6


@pytest.mark.parametrize(
    "member",
    [
        ("../evil", tarfile.REGTYPE, b"x"),
        ("good/../../evil", tarfile.REGTYPE, b"x"),
        ("/tmp/evil", tarfile.REGTYPE, b"x"),
        ("../evil", tarfile.DIRTYPE, b""),
        ("..\\evil", tarfile.REGTYPE, b"x"),
        ("evil", tarfile.SYMTYPE, b"/etc/passwd"),
        ("evil", tarfile.LNKTYPE, b"../other"),
        ("evil", tarfile.CHRTYPE, b""),
        ("evil", tarfile.FIFOTYPE, b""),
    ],
)
def test_paths_outside_the_folder_links_and_devices_are_refused(tmp_path, member):
    packed = archive(tmp_path / "a.tar.gz", ("good", tarfile.REGTYPE, b"x"), member)
    (tmp_path / "out").mkdir()
    with refused(packed, member[0]):
        fetch.extract(packed, tmp_path / "out")
    assert names(tmp_path) == ["a.tar.gz", "out"]
    assert names(tmp_path / "out") == ["good"]


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b[:99] + bytes(99) + b[198:], lambda b: b"no"]
)
def test_damaged_archive_is_refused(tmp_path, damage):
    packed = archive(tmp_path / "a.tar.gz", ("a", tarfile.REGTYPE, CONTENT[:9999]))
    packed.write_bytes(damage(packed.read_bytes()))
    (tmp_path / "out").mkdir()
    with refused(packed):
        fetch.extract(packed, tmp_path / "out")


def test_archive_truncated_between_members_is_refused(tmp_path):
    packed = archive(tmp_path / "a.tar.gz", ("a", tarfile.REGTYPE, bytes(512)), ("b", tarfile.REGTYPE, bytes(512)))
    packed.write_bytes(gzip.compress(gzip.decompress(packed.read_bytes())[:1024]))
    (tmp_path / "out").mkdir()
    fetch.extract(packed, tmp_path / "out")  # tar takes that for its end: it is for the md5 to say
    assert names(tmp_path / "out") == ["a"]
