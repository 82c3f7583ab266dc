"""asrdistill batch: many commands in a few processes."""

import io
import sys
from pathlib import Path

import pytest

from asrdistill.cli import main
from asrdistill.data.directory import read_table


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "said"
    folder.mkdir()
    for name, value in {"wav.scp": "true |", "text": "hello", "utt2spk": "a"}.items():
        (folder / name).write_text(f"a-1 {value}\n")
    return folder


def test_commands_in_turn_may_need_what_others_of_them_make(data, tmp_path, monkeypatch):
    lines = f"combine {data} '{tmp_path}/a b'\ncombine '{tmp_path}/a b' {tmp_path}/c\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
    assert main(["batch", "-", "--jobs", "1"]) == 0
    assert read_table(tmp_path / "c/text") == {"a-1": "hello"}


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_first_command_that_fails_is_named(jobs, data, tmp_path, capsys):
    commands = tmp_path / "commands"
    commands.write_text(f"combine {data} {tmp_path}/a\ncombine {tmp_path}/none {tmp_path}/b\n")
    assert main(["batch", str(commands), "--jobs", str(jobs)]) == 2
    assert f"'combine {tmp_path}/none {tmp_path}/b' failed" in capsys.readouterr().err
    assert (tmp_path / "a/text").is_file()


def test_nothing_is_done_after_a_command_in_turn_that_failed(data, tmp_path, capsys):
    commands = tmp_path / "commands"
    commands.write_text(f"train --no-such-option\ncombine {data} {tmp_path}/a\n")
    assert main(["batch", str(commands), "--jobs", "1"]) == 2
    assert "'train --no-such-option' failed" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("jobs", [1, 2])
def test_commands_that_are_joined_run_in_turn_until_one_fails(jobs, data, tmp_path, capsys):
    there, commands = tmp_path / "a && b", tmp_path / "commands"
    joined = [f"{data} '{there}'", f"'{there}' {tmp_path}/c", f"none {tmp_path}/d", f"{data} {tmp_path}/e"]
    commands.write_text(f"combine {data} {tmp_path}/x\n" + " && ".join(f"combine {pair}" for pair in joined))
    assert main(["batch", str(commands), "--jobs", str(jobs)]) == 2
    assert "failed" in capsys.readouterr().err
    assert read_table(tmp_path / "c/text") == read_table(tmp_path / "x/text") == {"a-1": "hello"}
    assert not (tmp_path / "e").exists()
