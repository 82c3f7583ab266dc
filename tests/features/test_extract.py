"""From audio files to an archive: same bytes for any jobs, constant memory, bad audio."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asrdistill.cli import main
from asrdistill.data.archive import FrameArchive
from asrdistill.data.directory import DataDirectory, Utterance
from asrdistill.features import extract
from asrdistill.features.extract import make_fbank
from asrdistill.features.fbank import fbank
from asrdistill.features.options import FbankOptions
from tests.refusals import assert_refused, refused


def write_wavs(folder: Path, utterances: int, seconds: float = 0.3, rate: int = 8000) -> DataDirectory:
    random = np.random.default_rng(0)
    for number in range(utterances):
        samples = random.normal(scale=0.1, size=int(rate * seconds) + 100 * number)
        soundfile.write(folder / f"u{number:02}.wav", samples, rate, "PCM_16")
    paths = sorted(folder.glob("*.wav"))
    data = DataDirectory(Utterance(id=p.stem, audio=str(p), speaker="s") for p in paths)
    data.write(folder)
    return data


def make(data: DataDirectory, out: Path, jobs: int = 1, **options: object) -> FrameArchive:
    out.mkdir()
    make_fbank(data, out, FbankOptions(**options), jobs)
    return FrameArchive(out, "features")


def test_archive_holds_each_utterances_filterbank(tmp_path: Path) -> None:
    data = write_wavs(tmp_path, 5)
    archive = make(data, tmp_path / "out")
    assert archive.utterances == [u.id for u in data]
    for utterance in data:
        (expected,) = fbank([utterance.samples(8000)], FbankOptions())
        np.testing.assert_allclose(archive[utterance.id], expected, atol=1e-4)
    assert archive.meta["frame_shift"] == 0.01
    assert archive.meta["features"] == FbankOptions().describe()


@pytest.mark.slow
def test_jobs_do_not_change_a_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "UTTERANCES_PER_SHARD", 3)
    data = write_wavs(tmp_path, 8)
    for jobs in (1, 2):
        make(data, tmp_path / str(jobs), jobs)
    contents = [{p.name: p.read_bytes() for p in (tmp_path / jobs).iterdir()} for jobs in ("1", "2")]
    assert contents[0] == contents[1]
    assert {"frames.0.npy", "frames.1.npy", "frames.2.npy"} <= contents[0].keys()


def test_other_rates_are_resampled(tmp_path: Path) -> None:
    time = np.arange(16000) / 16000
    soundfile.write(tmp_path / "high.wav", 0.5 * np.sin(2 * np.pi * 1000 * time), 16000, "PCM_16")
    soundfile.write(tmp_path / "low.wav", 0.5 * np.sin(2 * np.pi * 1000 * time[::2] * 1), 8000, "PCM_16")
    paths = sorted(tmp_path.glob("*.wav"))
    archive = make(DataDirectory(Utterance(id=p.stem, audio=str(p), speaker="s") for p in paths), tmp_path / "out")
    assert archive["high"].shape == archive["low"].shape
    loud = archive["low"][0] > archive["low"][0].max() - 4  # the filters around the tone
    np.testing.assert_allclose(archive["high"][5:-5, loud], archive["low"][5:-5, loud], atol=0.05)


def test_memory_does_not_grow_with_the_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "_BATCH_SECONDS", 4)
    data = write_wavs(tmp_path, 6, seconds=2.0)
    make(data, tmp_path / "warm")  # what is allocated once
    peaks = []
    for copies in (1, 5):
        many = DataDirectory(
            Utterance(id=f"{copy}-{u.id}", audio=u.audio, speaker="s") for u in data for copy in range(copies)
        )
        tracemalloc.start()
        make(many, tmp_path / str(copies))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def bad(folder: Path, name: str) -> None:
    path = folder / "u01.wav"
    if name == "short":
        soundfile.write(path, np.zeros(150), 8000, "PCM_16")
    elif name == "nan":
        soundfile.write(path, np.array([0.1, np.nan] * 500), 8000, "FLOAT")
    elif name == "stereo":
        soundfile.write(path, np.zeros((1000, 2)), 8000, "PCM_16")
    elif name == "empty":
        path.write_bytes(b"")
    elif name == "text":
        path.write_text("these are words and no sound")


@pytest.mark.parametrize(
    ("name", "jobs", "names"),
    [
        ("short", "1", ["150 samples", "8000 Hz", "25 ms"]),
        ("short", "2", ["150 samples", "8000 Hz", "25 ms"]),  # out of a worker
        ("nan", "1", ["NaN"]),
        ("stereo", "1", ["2 channels"]),
        ("empty", "1", ["empty"]),
        ("text", "1", ["audio"]),
    ],
)
def test_bad_audio_is_refused_with_its_utterance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, jobs: str, names: list[str]
) -> None:
    monkeypatch.setattr(extract, "UTTERANCES_PER_SHARD", 1)
    write_wavs(tmp_path, 3)
    bad(tmp_path, name)
    assert_refused(["feats", "fbank", tmp_path, tmp_path / "out", "--jobs", jobs], "utterance u01", *names)
    assert not (tmp_path / "out").exists()


def test_missing_audio_is_refused_before_work_starts(tmp_path: Path) -> None:
    write_wavs(tmp_path, 3)
    (tmp_path / "u02.wav").unlink()
    assert_refused(["feats", "fbank", str(tmp_path), str(tmp_path / "out")], tmp_path / "wav.scp", "u02", "u02.wav")
    assert not (tmp_path / ".out.partial").exists()


def test_unknown_configuration_key_is_refused(tmp_path: Path) -> None:
    write_wavs(tmp_path, 1)
    (tmp_path / "fbank.yaml").write_text("bin: 40\n")
    command = ["feats", "fbank", str(tmp_path), str(tmp_path / "out"), "--config", str(tmp_path / "fbank.yaml")]
    assert_refused(command, tmp_path / "fbank.yaml", "'bin'", "'bins'")


def test_configuration_and_flags_reach_the_archive(tmp_path: Path) -> None:
    write_wavs(tmp_path, 2)
    (tmp_path / "fbank.yaml").write_text("bins: 30\nsnip_edges: false\n")
    command = ["feats", "fbank", str(tmp_path), str(tmp_path / "out"), "--config", str(tmp_path / "fbank.yaml")]
    assert main([*command, "--bins", "20", "--jobs", "1"]) == 0
    archive = FrameArchive(tmp_path / "out", "features")
    assert archive["u00"].shape == (30, 20)  # 2400 samples, a frame each 80


def test_empty_data_directory_is_refused(tmp_path: Path) -> None:
    with refused("utterances"):
        make(DataDirectory([]), tmp_path / "out")


def test_all_bad_utterances_are_named_at_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = write_wavs(tmp_path, 4)
    names = [utterance.id for utterance in data]
    for utterance in (data[names[0]], data[names[2]]):
        soundfile.write(utterance.audio, np.zeros((4000, 2)), 8000)
    with refused(names[0], "2 of 4"):
        make(data, tmp_path / "out")
    assert names[2] in caplog.text
