"""Copies at other speeds and volumes and with noise: length, level and senones."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from asrdistill.cli import main
from asrdistill.data.archive import FrameArchive, ShardWriter, finish
from asrdistill.data.directory import DataDirectory, Utterance
from asrdistill.features.extract import make_fbank
from asrdistill.features.options import FbankOptions, frames
from asrdistill.features.perturb import Noise, Perturbation, Perturbations, mixed, nearest, original_id, speed_of
from asrdistill.hmm.senones import Senones
from tests.refusals import assert_refused, refused

from ..conftest import write_archive

OPTIONS = FbankOptions()
SENONES = Senones(["SIL", "A"], {"SIL": [0, 1, 2, 3, 4], "A": [5, 6, 7]}, np.full(8, -0.5))


def write(folder: Path, sounds: dict[str, np.ndarray]) -> DataDirectory:
    folder.mkdir()
    for name, samples in sounds.items():
        soundfile.write(folder / f"{name}.wav", samples, 8000, "FLOAT")
    data = DataDirectory(Utterance(id=u, audio=str(folder / f"{u}.wav"), speaker=u[0]) for u in sounds)
    data.write(folder)
    return data


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(0)
    return write(tmp_path / "data", {f"{s}-{i}": 0.1 * rng.normal(size=4000 + 400 * i) for i in range(4) for s in "xy"})


def make(data: DataDirectory, out: Path, copies: Perturbations, jobs: int = 1) -> FrameArchive:
    out.mkdir()
    make_fbank(data, out, OPTIONS, jobs, copies=copies)
    return FrameArchive(out, "features")


def test_copies_are_named_for_original_and_speed():
    for copy in (
        Perturbation("speed", 0.9),
        Perturbation("volume", 0.125),
        Perturbation("snr", snr=(-5, 20.5)),
        Perturbation("warp", 1.05),
    ):
        assert copy.name("joe-A1") != "joe-A1"
        assert original_id(copy.name("joe-A1")) == "joe-A1"
        assert speed_of(copy.name("joe-A1")) == (0.9 if copy.kind == "speed" else 1)
    assert original_id("speedy-1") == "speedy-1"
    assert speed_of("joe") == 1


@pytest.mark.parametrize("speed", [0.9, 1.1, 1.25])
def test_speed_changes_the_number_of_frames(data, tmp_path, speed):
    archive = make(data, tmp_path / "out", Perturbations(speeds=(speed,)))
    for utterance in data:
        samples = len(utterance.samples(8000))
        assert archive.rows(f"speed{speed:g}-{utterance.id}") == frames(round(samples / speed), OPTIONS)


def test_speed_moves_a_tone():
    tone = np.sin(2 * np.pi * 1000 * np.arange(8000) / 8000).astype(np.float32)
    faster = Perturbation("speed", 1.25).samples(Utterance("u", "", "s"), tone, 8000, None)
    spectrum = np.abs(np.fft.rfft(faster[1000:5000]))
    assert len(faster) == 6400
    assert spectrum.argmax() * 8000 / 4000 == pytest.approx(1250, abs=2)


@pytest.mark.parametrize("speed", [0.8, 0.9, 1.0, 1.1, 1.3])
@pytest.mark.parametrize("snip", [True, False])
def test_senones_of_a_copy_are_those_at_the_same_moment(speed, snip):
    """Planted: a click in the original; where a frame of the copy holds it, so does the frame that it is taken from."""
    options = FbankOptions(snip_edges=snip)
    samples = 16000
    there, count = frames(samples, options), frames(round(samples / speed), options)
    found = nearest(count, there, speed, options)
    middle = options.window / 2 if snip else options.shift / 2
    moments = np.arange(there) * options.shift + middle  # of the original's frames, in its samples
    for frame in range(count):
        moment = (frame * options.shift + middle) * speed
        assert abs(moments[found[frame]] - moment) <= np.abs(moments - moment).min() + 1e-6
    if speed == 1:
        assert found.tolist() == list(range(there))


def test_copies_of_an_alignment(data, tmp_path):
    copies = Perturbations(warps=(1.0, 0.95), speeds=(0.5,), volumes=(0.3,), snr=(10, 10))
    features = make(data, tmp_path / "features", copies)
    labels = {u: np.arange(features.rows(u), dtype=np.int32) % 8 for u in (v.id for v in data)}
    del labels["y-3"]
    write_archive(tmp_path / "ali", "alignment", labels, "<i4", senones=SENONES.hash, frame_shift=0.01)
    SENONES.write(tmp_path / "ali")
    assert main(["ali", "expand", str(tmp_path / "ali"), str(tmp_path / "features"), str(tmp_path / "out")]) == 0
    found = FrameArchive(tmp_path / "out", "alignment")
    assert len(found) == 5 * 7
    for name in found:
        assert found.rows(name) == features.rows(name)
    for prefix in ("", "warp0.95-", "volume0.3-", "snr10to10-"):
        np.testing.assert_array_equal(found[f"{prefix}x-1"], labels["x-1"])
    slow = found["speed0.5-x-1"]  # each senone twice, but for the edges, where a window is longer than its shift
    steps = np.diff(slow)
    assert set(steps[2:-2].tolist()) <= {0, 1, -7}
    assert (steps[2:-2] == 0).mean() == pytest.approx(0.5, abs=0.05)
    aligned = [str(tmp_path / "out"), str(tmp_path / "features")]
    train = [
        "nnet",
        "train",
        aligned[1],
        aligned[0],
        str(tmp_path / "m"),
        "--epochs",
        "1",
        "--width",
        "8",
        "--layers",
        "1",
    ]
    assert main(train) == 0


def test_phones_of_a_copy_belong_to_its_senones(data, tmp_path):
    """As asrdistill ali make writes alignments: the phone of each frame beside its senone."""
    features = make(data, tmp_path / "features", Perturbations(speeds=(0.8,)))
    (tmp_path / "ali").mkdir()
    parts = {"frames": ("int32", ()), "phones": ("int16", ())}
    writer = ShardWriter(tmp_path / "ali", 0, parts)
    for utterance in data:
        senones = np.arange(features.rows(utterance.id)) // 3 % 8
        writer.write(utterance.id, frames=senones, phones=senones // 2)
    meta = {"senones": SENONES.hash, "frame_shift": 0.01}
    finish(tmp_path / "ali", "alignment", parts, [writer.close()], **meta)
    SENONES.write(tmp_path / "ali")
    assert main(["ali", "expand", str(tmp_path / "ali"), str(tmp_path / "features"), str(tmp_path / "out")]) == 0
    found = FrameArchive(tmp_path / "out", "alignment")
    assert len(found) == 2 * len(data)
    for name in found:
        np.testing.assert_array_equal(found.part(name, "phones"), found[name] // 2)


def test_volume_adds_its_logarithm_to_the_features(data, tmp_path):
    archive = make(data, tmp_path / "out", Perturbations(volumes=(0.5,)))
    np.testing.assert_allclose(archive["volume0.5-x-2"] - archive["x-2"], 2 * np.log(0.5), atol=1e-3)


@pytest.mark.parametrize("decibels", [-5.0, 0.0, 20.0])
def test_noise_is_added_at_the_wanted_snr(decibels):
    rng = np.random.default_rng(0)
    speech, noise = rng.normal(size=8000).astype(np.float32), 7 * rng.normal(size=8000).astype(np.float32)
    added = mixed(speech, noise, decibels) - speech
    assert 10 * np.log10(np.mean(speech**2) / np.mean(added**2)) == pytest.approx(decibels, abs=0.01)


def snrs(data, source: Noise, low: float, high: float) -> list[float]:
    found = []
    for utterance in data:
        speech = utterance.samples(8000)
        noise = source.add(utterance, speech, 8000, (low, high)) - speech
        found.append(10 * np.log10(np.mean(speech**2) / np.mean(noise**2)))
    return found


@pytest.mark.parametrize("babble", [True, False])
def test_snrs_lie_in_the_range_and_differ(data, tmp_path, babble):
    noise = write(tmp_path / "noise", {"hum": np.sin(np.arange(900)), "hiss": np.random.default_rng(1).normal(size=99)})
    source = Noise(data.utterances if babble else noise.utterances, babble, 0, False)
    found = snrs(data, source, 5, 15)
    assert 5 - 0.01 <= min(found) < max(found) <= 15.01
    assert len(set(np.round(found, 3))) == len(data)
    assert snrs(data, Noise(source.sources, babble, 1, False), 5, 15) != found


@pytest.mark.slow
def test_noise_depends_on_the_utterance_and_the_seed_and_not_on_jobs(data, tmp_path, monkeypatch):
    monkeypatch.setattr("asrdistill.features.extract.UTTERANCES_PER_SHARD", 3)
    one, two = (make(data, tmp_path / str(jobs), Perturbations(snr=(0, 10)), jobs) for jobs in (1, 2))
    other = make(data, tmp_path / "other", Perturbations(snr=(0, 10), seed=1))
    assert one.hash == two.hash != other.hash
    few = make(DataDirectory(data.utterances[:3]), tmp_path / "few", Perturbations(snr=(0, 10), noise=data))
    again = make(data, tmp_path / "again", Perturbations(snr=(0, 10), noise=data))
    np.testing.assert_array_equal(few["snr0to10-x-1"], again["snr0to10-x-1"])


def test_impossible_perturbations_are_refused(data, tmp_path):
    def fails(names: list, *flags: object, source: Path = tmp_path / "data") -> None:
        assert_refused(["feats", "fbank", source, tmp_path / "out", "--jobs", 1, *flags], *names)

    fails(["speed", "-1"], "--speeds", "-1")
    fails(["volume", 0], "--volumes", 0)
    fails(["speed0.9", "twice"], "--speeds", 0.9, 0.9)
    fails(["--snr"], "--noise", tmp_path / "data")
    fails(["20", "10"], "--snr", 20, 10)
    write(tmp_path / "silence", {"a": np.zeros(500)})
    fails([tmp_path / "silence" / "a.wav"], "--snr", 0, 9, "--noise", tmp_path / "silence")
    write(tmp_path / "alone", {"a": np.ones(500)})
    fails(["a", "babble", "--noise"], "--snr", 0, 9, source=tmp_path / "alone")
    fails(["utterance a", "speed 9"], "--speeds", 9, source=tmp_path / "alone")


def test_silence_stays_silence(data):
    source = Noise(data.utterances, True, 0, False)
    silent = np.zeros(1000, np.float32)
    assert not Perturbation("snr", snr=(0, 1)).samples(data.utterances[0], silent, 8000, source).any()


def test_doubled_copy_is_refused():
    with refused("1", "twice"):
        Perturbations(warps=(1.0,), speeds=(1.0,)).each()
