"""Segmentation of recordings of tones, noise and silence with known pauses."""

import itertools
import resource

import numpy as np
import pytest
import soundfile

from asrdistill.cli import main
from asrdistill.data.directory import DataDirectory
from asrdistill.data.options import SegmentOptions
from asrdistill.data.segment import levels, pieces
from asrdistill.reader import read_json
from tests.refusals import assert_refused

RATE = 8000


def voice(seconds: float, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """Something as loud and as uneven as speech: syllables of a quarter of a second on a hum."""
    t = np.arange(round(seconds * rate)) / rate
    swell = 0.05 + np.sin(np.pi * (4 * t % 1)) ** 2
    return 0.2 * swell * np.sin(2 * np.pi * (150 + 40 * np.sin(2 * t)) * t) + quiet(seconds, rate, seed)


def quiet(seconds: float, rate: int = RATE, seed: int = 0) -> np.ndarray:
    return 3e-4 * np.random.default_rng(seed).normal(size=round(seconds * rate))


def spoken(*lengths: float, rate: int = RATE) -> np.ndarray:
    """Speech and pauses of these lengths by turns, beginning with a pause."""
    parts = [(quiet, voice)[i % 2](seconds, rate, i) for i, seconds in enumerate(lengths)]
    return np.concatenate(parts).astype(np.float32)


@pytest.fixture
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("data") / "out"


def segment_recordings(folder, out, *options: str) -> DataDirectory:
    assert main(["data", "segment", str(folder), str(out), "--jobs", "1", *options]) == 0
    return DataDirectory.read(out)


def test_segments_are_the_speech_between_pauses(tmp_path, out):
    soundfile.write(tmp_path / "one.wav", spoken(1, 2, 0.8, 3, 0.3, 1, 2), RATE)
    found = list(segment_recordings(tmp_path, out))
    assert [u.id.split("-")[0] for u in found] == ["one", "one"]
    spans = [(u.start, u.end) for u in found]  # a pause of 0.3 s ends nothing
    assert np.allclose(spans, [(0.8, 3.2), (3.6, 8.3)], atol=0.1)
    assert all(abs(u.duration - (u.end - u.start)) < 1e-6 for u in found)


@pytest.mark.parametrize("noise", [0.0, 0.003, 0.01])
def test_noise_level_does_not_change_the_segments(tmp_path, out, noise):
    samples = spoken(1, 2, 1, 2, 1)
    samples += noise * np.random.default_rng(1).normal(size=len(samples)).astype(np.float32)
    soundfile.write(tmp_path / "one.wav", samples, RATE)
    assert len(segment_recordings(tmp_path, out)) == 2


def test_recordings_whose_words_are_known_stay_whole(tmp_path, out):
    for name in "ab":
        soundfile.write(tmp_path / f"{name}.wav", spoken(1, 2, 0.8, 3, 1), RATE)
    (tmp_path / ".known").write_text("b what is said\nc elsewhere\n")
    data = segment_recordings(tmp_path, out, "--whole", str(tmp_path / ".known"))
    assert [utterance.recording for utterance in data] == ["a", "a", "b"]
    assert data.utterances[-1].duration == pytest.approx(len(spoken(1, 2, 0.8, 3, 1)) / RATE, abs=0.01)


def test_a_known_recording_that_seems_silent_keeps_its_audio(tmp_path, out):
    soundfile.write(tmp_path / "a.wav", spoken(1, 2, 1), RATE)
    soundfile.write(tmp_path / "b.ogg", np.zeros(2 * RATE), RATE)
    (tmp_path / ".known").write_text("\nb hardly audible\n")
    data = segment_recordings(tmp_path, out, "--whole", str(tmp_path / ".known"))
    assert [len(utterance.samples(RATE)) for utterance in data if utterance.recording == "b"] == [2 * RATE]


def test_long_speech_is_cut_where_it_is_quietest():
    level = np.full(2500, -20.0, np.float32)
    level[:100], level[-100:] = -70, -70
    level[990:1000] = -30
    assert pieces(level, SegmentOptions(longest=25, margin=0.0)) == [(99, 2401)]
    first, second = pieces(level, SegmentOptions(longest=20, margin=0.0))
    assert first[1] == second[0]  # nothing is lost
    assert 990 <= first[1] < 1000


def test_no_segment_is_longer_than_the_limit(tmp_path, out):
    soundfile.write(tmp_path / "long.flac", spoken(1, 70, 1), RATE)
    found = list(segment_recordings(tmp_path, out, "--longest", "12"))
    assert all(3 < u.duration <= 12.001 for u in found)
    assert sum(u.duration for u in found) > 69
    assert all(b.start >= a.end - 1e-6 for a, b in itertools.pairwise(found))


@pytest.mark.parametrize("form", ["wav", "flac", "ogg", "mp3"])
def test_formats_channels_and_rates_give_the_same_segments(tmp_path, out, form):
    samples = spoken(1, 2, 1, rate=44100)
    soundfile.write(tmp_path / f"two ears.{form}", np.stack([samples, samples], 1), 44100)
    (found,) = segment_recordings(tmp_path, out)
    assert found.recording == "two_ears"
    assert abs(found.start - 0.8) < 0.1
    assert abs(len(found.samples(16000)) / 16000 - found.duration) < 0.01
    assert (out / "rate").read_text() == "16000\n"


def test_folders_are_speakers(tmp_path, out):
    for name in ("anna/a.wav", "anna/b.wav", "c.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / name, spoken(1, 1, 1), RATE)
    data = segment_recordings(tmp_path, out)
    assert {u.recording: u.speaker for u in data} == {"anna_a": "anna", "anna_b": "anna", "c": "c"}
    assert (out / "rate").read_text() == "8000\n"


def test_files_without_speech_are_left_out_and_named(tmp_path, out, caplog):
    for number in range(60):
        soundfile.write(tmp_path / f"{number}.wav", spoken(0.5, 1, 0.5), RATE)
    (tmp_path / "notes.txt").write_text("what I said")
    (tmp_path / "broken.wav").write_bytes(b"RIFF\0\0\0\0WAVEjunk")
    (tmp_path / "empty.mp3").touch()
    (tmp_path / "headerless.raw").write_bytes(bytes(1000))
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    data = segment_recordings(tmp_path, out)
    assert len(data) == 60
    for name in ("notes.txt", "broken.wav", "empty.mp3", "headerless.raw", "silent.wav"):
        assert name in caplog.text
    record = read_json(out / "segment.json")
    assert len(record["left_out"]) == 5
    assert record["recordings"] == 60


def fails(folder, out, *names: object) -> None:
    assert_refused(["data", "segment", folder, out, "--jobs", 1], *names)
    assert not out.exists()


def test_too_many_unreadable_recordings_are_refused(tmp_path, out):
    for number in range(10):
        soundfile.write(tmp_path / f"{number}.wav", spoken(0.5, 1, 0.5), RATE)
    (tmp_path / "broken.wav").write_bytes(b"RIFF\0\0\0\0WAVEjunk")
    fails(tmp_path, out, "1 of 11", "broken.wav", "--max-left-out")


@pytest.mark.parametrize(
    "samples",
    [np.zeros(20 * RATE), 0.1 * np.sin(np.arange(20 * RATE)), quiet(20), 0.1 * voice(0.1)[: RATE // 10]],
    ids=["silence", "tone", "noise", "a tenth of a second"],
)
def test_recordings_without_speech_are_refused(tmp_path, out, samples):
    soundfile.write(tmp_path / "x.wav", samples, RATE)
    fails(tmp_path, out, "speech", "1 recordings")


def test_folder_without_audio_is_refused(tmp_path, out):
    fails(tmp_path / "none", out, tmp_path / "none")
    (tmp_path / "some").mkdir()
    fails(tmp_path / "some", out, tmp_path / "some")
    (tmp_path / "some/a.txt").write_text("a")
    fails(tmp_path / "some", out, tmp_path / "some", "1 files")


def test_two_files_of_one_recording_name_are_refused(tmp_path, out):
    for name in ("a b.wav", "a_b.wav"):
        soundfile.write(tmp_path / name, spoken(0.5, 1, 0.5), RATE)
    fails(tmp_path, out, "a b.wav", "a_b.wav", "a_b")


def test_one_name_in_two_formats_makes_two_recordings(tmp_path, out):
    for name in ("a.wav", "a.flac"):
        soundfile.write(tmp_path / name, spoken(0.5, 1, 0.5), RATE)
    assert {u.recording for u in segment_recordings(tmp_path, out)} == {"a.wav", "a.flac"}


def test_memory_does_not_grow_with_the_recording(tmp_path):
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as sound:
        minute = spoken(1, 9, 1, 19, 1, 29)
        for _ in range(180):
            sound.write(minute)
    with soundfile.SoundFile(path) as sound:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        measured, seconds = levels(sound, None)
    assert seconds == 3 * 3600
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 60  # the file has 173 MB
    spans = pieces(measured, SegmentOptions())
    assert len(spans) == 180 * 4  # 29 s are two


def test_marks_of_letters_are_kept_in_names(tmp_path, out):
    for name in ("कि", "की", "e\u0301te\u0301"):
        soundfile.write(tmp_path / f"{name}.wav", spoken(1.0, 1.0), RATE)
    assert {u.recording for u in segment_recordings(tmp_path, out)} == {"कि", "की", "été"}
