"""Commands that are killed, and commands on a disk that is full; tools/bench/faults.py has all of them."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.faults.disturb import LINES, attempt, clean, faults_of_disks, faults_of_kills, made

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


MAKING = [line for line in LINES if line.split()[0] not in ("info", "transcribe")]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no folder in which nobody can write")
@pytest.mark.parametrize("line", MAKING)
def test_folder_that_cannot_be_written_is_named(world, line):
    found = attempt(world, line.replace("OUT", "/proc/OUT"))
    assert (found.status, found.traceback) == (2, "")
    assert "/proc" in found.stderr.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("line", ["info DATA", "transcribe RECOGNISER U1.wav", "data subset DATA OUT --utterances 2"])
def test_vanished_working_folder_is_no_traceback(world, line):
    def vanish() -> None:
        os.mkdir("gone")
        os.chdir("gone")
        os.rmdir(world / "gone")

    places = {name.upper(): str(world / name) for name in ("data", "recogniser", "OUT")} | {"U1.wav": f"{world}/u1.wav"}
    for words in (line.split(), [places.get(word, word) for word in line.split()]):
        found = attempt(world, words, vanish)
        assert (found.status in (0, 2), found.traceback) == (True, "")
        clean(world)


@pytest.mark.slow
@pytest.mark.parametrize("line", MAKING[:1] + [line for line in MAKING if "nnet train" in line or "decode run" in line])
def test_two_runs_at_once_end_in_one_result(world, line):
    clean(world)
    assert attempt(world, line).status == 0
    wanted = made(world)
    clean(world)
    command = [sys.executable, "-m", "asrdistill", *line.split()]
    both = [subprocess.Popen(command, cwd=world, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    messages = [each.communicate(timeout=300)[1] for each in both]
    assert "Traceback" not in "".join(messages)
    assert sorted(each.returncode for each in both) in ([0, 0], [0, 2])
    assert made(world) == wanted
    clean(world)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("line", [line for line in MAKING if line.split()[1] in ("train", "fbank", "targets")])
def test_signals_end_commands_quietly_and_the_next_run_continues(world, line, number):
    clean(world)
    assert attempt(world, line).status == 0
    wanted = made(world)
    for _ in range(2):
        clean(world)
        command = [sys.executable, "-m", "asrdistill", *line.split()]
        process = subprocess.Popen(command, cwd=world, stderr=subprocess.PIPE, text=True, start_new_session=True)
        while process.poll() is None and not (world / ".OUT.partial").exists():
            time.sleep(0.01)  # before this, Python may still be loading modules
        time.sleep(random.uniform(0, 1))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        message = process.communicate(timeout=60)[1]
        assert process.returncode in (0, 130, -number), message
        assert "Traceback" not in message
        assert attempt(world, line).status == 0
        assert made(world) == wanted
    clean(world)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["a b", "ä ß", "e\u0301", "💬", "'\"$x", "%s{0}", "..x", "x\ty", "x\ny", "n" * 300, "n" * 250]
)
def test_odd_names_of_folders_are_read_again_or_refused(world, name):
    inside = world / "odd"
    for first, second in (
        ("data subset data OUT --utterances 2", "info OUT"),
        ("data subset fbank OUT --utterances 2", "info OUT"),
    ):
        done = [
            attempt(world, [str(Path("odd") / name) if word == "OUT" else word for word in line.split()])
            for line in (first, second)
        ]
        assert not any(each.traceback for each in done)
        assert {each.status for each in done} in ({0}, {2})
        subprocess.run(["rm", "-rf", inside], check=True)
