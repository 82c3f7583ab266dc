import hashlib
import os
import resource
import subprocess
import sys

import pytest

from asrdistill.errors import shorten
from asrdistill.files import atomic, hash_of, sha256, write_json, write_text
from asrdistill.reader import read_json
from tests.refusals import refused


def test_a_file_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with atomic(path) as handle:
        handle.write("new")
        handle.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_the_folder_of_a_file_is_made(tmp_path):
    write_text(tmp_path / "new/folder/a.txt", "here")
    assert (tmp_path / "new/folder/a.txt").read_text() == "here"


def test_file_in_place_of_a_folder_is_refused(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    with refused(tmp_path / "a.txt"):
        write_text(tmp_path / "a.txt/new", "here")


def test_failed_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def fail() -> None:
        with atomic(path) as handle:
            handle.write("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_full_disk_leaves_the_old_file(tmp_path):
    """A limit on the size of files acts like a full disk."""
    write_text(tmp_path / "a.txt", "old")
    code = (
        "import resource, sys; from asrdistill.files import write_text\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_text(sys.argv[1] + '/a.txt', 'x' * 5000)\n"
        "except OSError: print('told')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True)
    assert done.stdout == "told\n", done.stderr
    assert (tmp_path / "a.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1000


def test_json_is_read_and_bad_json_refused(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"b": [1, "ä"]})
    assert read_json(path) == {"b": [1, "ä"]}
    path.write_text("{")
    with refused(path, "JSON"):
        read_json(path)
    with refused(tmp_path / "b.json"):
        read_json(tmp_path / "b.json")


def test_hashes(tmp_path):
    content = bytes(range(256)) * 10_000
    (tmp_path / "a").write_bytes(content)
    assert sha256(tmp_path / "a") == hashlib.sha256(content).hexdigest()
    assert hash_of({"a": 1, "b": 2}) == hash_of({"b": 2, "a": 1})
    assert hash_of({"a": 1}) != hash_of({"a": 2})


def test_shorten():
    assert shorten(["a", "b"]) == "a, b"
    assert shorten("abcdef") == "a, b, c and 3 more"
