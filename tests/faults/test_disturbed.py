"""Commands that are killed, and commands on a disk that is full; tools/bench/faults.py has all of them."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.disturb import LINES, faults_of_disks, faults_of_kills

KILLED = [line for line in LINES if line.split()[1] in ("subset", "lm", "train", "targets", "run", "tune")]
FULL = [line for line in LINES if line.split()[0] in ("score", "convert", "export", "transcribe", "info")]


@pytest.mark.slow
@pytest.mark.parametrize("line", KILLED)
def test_killed_command_ends_with_the_same_bytes(world, line):
    luck = random.Random()
    found = list(faults_of_kills(world, line, 1, luck, most=4))
    assert len(found) >= 2
    assert not any(found), "\n".join(found)


@pytest.mark.slow
@pytest.mark.parametrize("line", FULL)
def test_full_disk_leaves_no_half_files_and_no_traceback(world, line):
    found = list(faults_of_disks(world, line))
    assert not any(found), "\n".join(found)


def asrdistill(*words: object, **settings: object) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "asrdistill", *map(str, words)], text=True, timeout=300, **settings)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("words", [["--help"], ["info", "data"], ["score", "data/text", "hyp.trn", "--json"]])
def test_standard_output_that_is_full_is_an_error(world, words):
    with open("/dev/full", "w") as full:
        done = asrdistill(*words, cwd=world, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr


@pytest.mark.slow
def test_closed_pipe_ends_quietly(world):
    reader, writer = os.pipe()
    os.close(reader)
    done = asrdistill("info", "data", cwd=world, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_poor_environment_is_enough(world, tmp_path, encoding):
    (tmp_path / "text").write_text("u1 größer\nu2 low\n", encoding="utf-8")
    (tmp_path / "hyp").write_text("u1 größer\nu2 high\n", encoding="utf-8")
    poor = {"PATH": os.defpath, "LANG": "C", "LC_ALL": "C", "PYTHONIOENCODING": encoding}
    done = asrdistill("score", tmp_path / "text", tmp_path / "hyp", "--worst", 2, env=poor, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert "50.0" in done.stdout
    done = asrdistill("lang", "lm", world / "lang", tmp_path / "lm", "--text", world / "lm.txt", env=poor)
    assert done.returncode == 0
