"""Stages: complete or absent, also after a kill, a full disk or beside a second process."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from asrdistill import stage
from asrdistill.errors import UserError
from tests.refusals import refused


@dataclass(frozen=True)
class Options:
    bins: int = 40


def make(out: Path, work=None, options=None, inputs=()) -> bool:
    def write(folder: Path) -> None:
        (folder / "result").write_text("whole")

    return stage.make(out, work or write, verb="test", options=options or Options(), inputs=list(inputs))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_work_is_done_once(tmp_path):
    out = tmp_path / "out"
    assert make(out)
    assert names(out) == [".done", "result"]
    assert not make(out, work=lambda folder: pytest.fail("done before"))
    assert names(tmp_path) == ["out"]


def test_work_is_done_again_when_options_or_inputs_change(tmp_path):
    out, source = tmp_path / "out", tmp_path / "source.txt"
    source.write_text("one")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "text").write_text("one")
    made = tmp_path / "made"
    make(made)
    inputs = [source, folder, made]
    assert make(out, inputs=inputs)
    assert not make(out, inputs=inputs)
    assert make(out, inputs=inputs, options=Options(bins=23))
    source.write_text("two")
    assert make(out, inputs=inputs)
    (folder / "text").write_text("two")
    assert make(out, inputs=inputs)
    make(made, options=Options(bins=1))
    assert make(out, inputs=inputs)
    assert not make(out, inputs=inputs)
    assert names(tmp_path) == ["folder", "made", "out", "source.txt"]


def test_marker_records_the_work(tmp_path):
    (tmp_path / "in.txt").write_text("x")
    make(tmp_path / "out", inputs=[tmp_path / "in.txt"])
    done = stage.marker(tmp_path / "out")
    assert done["verb"] == "test"
    assert done["options"] == {"bins": 40}
    assert done["inputs"] == [str(tmp_path / "in.txt")]
    assert done["end"] >= done["start"]
    assert done["peak_mb"] > 0
    assert done["environment"]["python"]
    assert stage.marker(tmp_path) == {}


def test_missing_input_is_refused_before_work_starts(tmp_path):
    with refused(tmp_path / "data"):
        make(tmp_path / "out", inputs=[tmp_path / "data"], work=lambda folder: pytest.fail("must not start"))
    assert names(tmp_path) == []


def test_failed_work_leaves_the_old_result(tmp_path):
    out = tmp_path / "out"
    make(out)

    def fail(folder: Path) -> None:
        (folder / "result").write_text("half")
        raise UserError("utterance 7 is bad")

    with refused("utterance 7"):
        make(out, work=fail, options=Options(bins=23))
    assert (out / "result").read_text() == "whole"
    assert not make(out)
    assert make(out, options=Options(bins=23))


def test_only_the_same_work_is_resumed(tmp_path):
    out = tmp_path / "out"

    def stop(folder: Path) -> None:
        (folder / "checkpoint").write_text("7")
        raise KeyboardInterrupt

    found = []

    def go_on(folder: Path) -> None:
        found.append((folder / "checkpoint").exists())

    for options in (Options(), Options(bins=23)):
        with pytest.raises(KeyboardInterrupt):
            make(out, work=stop)
        assert not out.exists()
        assert make(out, work=go_on, options=options)
        assert names(out)[0] == ".done"
        for path in (*out.iterdir(), out):
            path.rmdir() if path.is_dir() else path.unlink()
    assert found == [True, False]


def test_a_folder_that_no_stage_made_is_not_replaced(tmp_path):
    out = tmp_path / "thesis"
    out.mkdir()
    assert make(out)  # an empty one is free
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "chapter1").write_text("years of work")
    with refused(mine):
        make(mine)
    assert (mine / "chapter1").read_text() == "years of work"
    with refused(mine / "chapter1"):
        make(mine / "chapter1")


SCRIPT = """
import os, resource, sys, time
from pathlib import Path
from asrdistill import stage
from asrdistill.cli import UserError

def work(folder):
    for i in range(5):
        (folder / f"part{i}").write_text(str(i) * 1000)
        if sys.argv[2] == "slow" and i == 2:
            print("ready", flush=True)
            time.sleep(60)

if sys.argv[2] == "small disk":
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
try:
    stage.make(Path(sys.argv[1]), work, verb="test", options={}, inputs=[])
except UserError as error:
    print("told:", error, flush=True)
    sys.exit(2)
"""


def start(*arguments: object) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", SCRIPT, *map(str, arguments)], stdout=subprocess.PIPE, text=True)


def finish(*arguments: object) -> tuple[int, str]:
    process = start(*arguments)
    output, _ = process.communicate(timeout=60)
    return process.returncode, output


def test_killed_work_is_repeated_to_the_same_bytes(tmp_path):
    out = tmp_path / "out"
    process = start(out, "slow")
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists()
    assert finish(out, "fast") == (0, "")
    assert finish(tmp_path / "undisturbed", "fast") == (0, "")
    for i in range(5):
        assert (out / f"part{i}").read_bytes() == (tmp_path / "undisturbed" / f"part{i}").read_bytes()
    assert names(tmp_path) == ["out", "undisturbed"]


def test_second_process_waits(tmp_path):
    first = start(tmp_path / "out", "slow")
    assert first.stdout.readline() == "ready\n"
    status, output = finish(tmp_path / "out", "fast")
    first.kill()
    first.wait()
    assert status == 2
    assert "is being made by another process" in output
    assert finish(tmp_path / "out", "fast")[0] == 0


@pytest.mark.parametrize("size", [10, 500, 4000])
def test_full_disk_is_refused_and_leaves_nothing(tmp_path, size):
    """The limit is met by the first note, by the work, or by nothing."""
    status, output = finish(tmp_path / "out", "small disk", size)
    if size == 4000:
        assert status == 0
        return
    assert status == 2
    assert "out could not be made (" in output
    assert output.count("\n") == 1
    assert not (tmp_path / "out").exists()
    assert finish(tmp_path / "out", "fast")[0] == 0


def test_full_disk_under_a_weights_file_is_refused(tmp_path):
    def write(folder: Path) -> None:
        save_file({"weight": np.zeros(3)}, folder / "not" / "there.safetensors")

    with refused(tmp_path / "out"):
        make(tmp_path / "out", work=write)


def test_kill_between_the_two_renames_is_repaired(tmp_path, monkeypatch):
    """The old result has given way, the new one has not come yet."""
    out = tmp_path / "out"
    make(out)
    replace = os.replace

    def once(source, target):
        if Path(target) == out:
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", once)
    with pytest.raises(KeyboardInterrupt):
        make(out, options=Options(bins=23))
    monkeypatch.undo()
    assert not out.exists()
    assert make(out, options=Options(bins=23))
    assert names(tmp_path) == ["out"]


def test_folder_whose_removal_is_killed_can_be_made_again(tmp_path, monkeypatch):
    out = tmp_path / "out"

    def work(folder: Path) -> None:
        stage.empty(folder)
        (folder / "below").mkdir()
        assert names(folder) == [".wanted", "below"]

    make(out, work)

    def interrupted(*args, **named):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "rmdir", interrupted)
    with pytest.raises(KeyboardInterrupt):
        stage.remove(out)
    monkeypatch.undo()
    assert not out.exists()
    assert make(out, work)
    stage.remove(out)
    assert names(tmp_path) == []


def test_stage_names_come_from_the_recipe(tmp_path, monkeypatch):
    monkeypatch.setenv("ASRDISTILL_STAGE", "3 features")
    make(tmp_path / "out")
    assert stage.marker(tmp_path / "out")["stage"] == "3 features"
    assert time.time() - stage.marker(tmp_path / "out")["end"] < 60
