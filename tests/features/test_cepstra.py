"""Cepstra, compared with Kaldi's MFCC; normalisation; archives for any number of jobs."""

import shutil
from pathlib import Path

import kaldi_native_fbank as knf
import numpy as np
import pytest

from asrdistill.cli import main
from asrdistill.data.archive import FrameArchive, ShardWriter, finish
from asrdistill.data.directory import DataDirectory, Utterance, read_speakers
from asrdistill.features import cepstra as module
from asrdistill.features.cepstra import PRIOR_FRAMES, CepstraOptions, cepstra, make_cepstra
from asrdistill.features.fbank import fbank
from asrdistill.features.options import FbankOptions
from asrdistill.files import write_json
from asrdistill.reader import read_json
from asrdistill.runtime.frontend import frontend_of
from tests.refusals import assert_refused, refused

FBANK = FbankOptions()


def test_cepstra_equal_those_of_kaldi() -> None:
    samples = np.random.default_rng(0).normal(scale=0.1, size=8000).astype(np.float32)
    settings = knf.MfccOptions()
    settings.use_energy = False
    settings.frame_opts.dither = 0
    settings.frame_opts.samp_freq = 8000
    settings.mel_opts.num_bins = FBANK.bins
    settings.mel_opts.low_freq = FBANK.low
    settings.mel_opts.high_freq = FBANK.high
    computer = knf.OnlineMfcc(settings)
    computer.accept_waveform(8000, samples * 32768)
    computer.input_finished()
    theirs = [computer.get_frame(i) for i in range(computer.num_frames_ready)]
    np.testing.assert_allclose(cepstra(fbank([samples], FBANK)[0], CepstraOptions()), theirs, atol=1e-3)


class World:
    """A data directory of three speakers beside a filterbank archive of it."""

    def __init__(self, folder: Path):
        random = np.random.default_rng(0)
        owners = {"a1": "ann", "a2": "ann", "a3": "ann", "b1": "bob", "c1": "cy", "c2": "cy"}
        self.folder, self.fbank = folder, folder / "fbank"
        self.frames = {u: (10 + random.normal(size=(random.integers(5, 20), 40))).astype("f4") for u in owners}
        self.data = DataDirectory(Utterance(id=u, audio=str(folder / f"{u}.wav"), speaker=s) for u, s in owners.items())
        for utterance in owners:
            (folder / f"{utterance}.wav").write_bytes(b"not read")
        self.data.write(folder)
        self.write()

    def add(self, frames: dict[str, np.ndarray]) -> None:
        """More utterances in the archive, not in the data directory."""
        shutil.rmtree(self.fbank)
        self.frames |= frames
        self.write()

    def write(self) -> None:
        self.fbank.mkdir()
        parts = {"frames": ("float32", (40,))}
        writer = ShardWriter(self.fbank, 0, parts)
        for utterance, frames in self.frames.items():
            writer.write(utterance, frames=frames)
        finish(self.fbank, "features", parts, [writer.close()], frame_shift=0.01, features=FBANK.describe())

    def make(self, name: str, jobs: int = 1, **options: object) -> FrameArchive:
        out = self.folder / name
        out.mkdir()
        make_cepstra(self.fbank, read_speakers(self.folder), out, CepstraOptions(**options), jobs)
        return FrameArchive(out, "features")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_each_speaker_has_mean_zero_and_variance_one(world: World) -> None:
    archive = world.make("out")
    for utterances in world.data.speakers.values():
        frames = np.concatenate([archive[utterance] for utterance in utterances]).astype(np.float64)
        np.testing.assert_allclose(frames.mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(frames.std(axis=0), 1, atol=1e-5)
    raw = np.concatenate([cepstra(world.frames[u], CepstraOptions()) for u in ("a1", "a2", "a3")])
    expected = (raw[: len(archive["a1"])] - raw.mean(axis=0)) / raw.std(axis=0)
    np.testing.assert_allclose(archive["a1"], expected, atol=1e-3)


def test_perturbed_copies_are_normalised_as_other_speakers(world: World) -> None:
    plain = world.make("plain")
    copies = {f"speed0.9-{u}": world.frames[u] - 3 for u in ("a1", "a2", "a3")}
    world.add({**copies, "warp1.1-a1": world.frames["a1"] + 5})
    archive = world.make("out")
    for utterance in plain:
        np.testing.assert_array_equal(archive[utterance], plain[utterance])
    for utterance in copies:  # a constant in every bin is one in the cepstra, which the mean of these three takes away
        np.testing.assert_allclose(archive[utterance], plain[utterance.removeprefix("speed0.9-")], atol=1e-3)
    np.testing.assert_allclose(archive["warp1.1-a1"].mean(axis=0), 0, atol=1e-5)
    world.add({"warp1.1-d1": world.frames["a1"]})
    with refused("1 utterances", "warp1.1-d1"):
        world.make("again")


def test_normalisation_per_utterance_and_none(world: World) -> None:
    by_utterance, raw = world.make("utterance", normalise="utterance"), world.make("none", normalise="none")
    np.testing.assert_allclose(by_utterance["c2"].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_array_equal(raw["c2"], cepstra(world.frames["c2"], CepstraOptions()))
    assert raw.meta["features"]["fbank"] == FBANK.describe()
    assert by_utterance.meta["features"]["normalise"] == "utterance"


def test_jobs_do_not_change_a_byte(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "UTTERANCES_PER_SHARD", 2)
    world.make("one", jobs=1)
    world.make("two", jobs=2)
    contents = [{p.name: p.read_bytes() for p in (world.folder / name).iterdir()} for name in ("one", "two")]
    assert contents[0] == contents[1]
    assert {"frames.0.npy", "frames.1.npy"} <= contents[0].keys()


def test_constant_coefficients_become_zero(world: World) -> None:
    fbank_folder = world.folder / "flat"
    fbank_folder.mkdir()
    parts = {"frames": ("float32", (40,))}
    writer = ShardWriter(fbank_folder, 0, parts)
    for utterance in world.frames:
        writer.write(utterance, frames=np.full((3, 40), 7.0))
    finish(fbank_folder, "features", parts, [writer.close()], frame_shift=0.01, features=FBANK.describe())
    world.fbank = fbank_folder
    archive = world.make("out")
    assert all(np.abs(archive[utterance]).max() < 0.1 for utterance in archive)


def test_finished_cepstra_are_not_made_again(world: World) -> None:
    command = ["feats", "cepstra", str(world.fbank), str(world.folder), str(world.folder / "out"), "--jobs", "1"]
    assert main(command) == 0
    written = (world.folder / "out" / "frames.0.npy").stat().st_mtime_ns
    assert main(command) == 0
    assert (world.folder / "out" / "frames.0.npy").stat().st_mtime_ns == written
    assert_refused([*command, "--coefficients", "41"], "41 coefficients", "40 bins", world.fbank)


def test_missing_utterances_are_refused(world: World) -> None:
    world.data.subset(lambda u: u.speaker != "bob").write(world.folder)
    assert_refused(
        ["feats", "cepstra", str(world.fbank), str(world.folder), str(world.folder / "out")], "1 utterances", "b1"
    )
    assert not (world.folder / "out").exists()


def test_cepstra_of_cepstra_are_refused(world: World) -> None:
    world.make("out")
    assert_refused(
        ["feats", "cepstra", str(world.folder / "out"), str(world.folder), str(world.folder / "again")],
        world.folder / "out",
        "cepstra",
        "fbank",
    )


@pytest.mark.parametrize("bins", ["x", [40], None, -1])
def test_settings_of_other_types_are_refused(world: World, bins: object) -> None:
    meta = read_json(world.fbank / "meta.json")
    write_json(world.fbank / "meta.json", meta | {"features": meta["features"] | {"bins": bins}})
    with refused(*["bins", world.fbank][: 1 + (bins != -1)]):
        world.make("out")


def test_floor_holds_up_what_is_below_it():
    frames = np.random.default_rng(0).normal(8, 4, (50, 40)).astype(np.float32)
    plain = cepstra(np.maximum(frames, 10), CepstraOptions())
    np.testing.assert_allclose(cepstra(frames, CepstraOptions(floor=10.0)), plain, rtol=1e-5, atol=1e-4)
    assert not np.allclose(cepstra(frames, CepstraOptions()), plain)


def test_level_is_the_mean_of_the_speakers(world: World) -> None:
    """Planted: speakers' means are far apart, and each frame counts once."""
    world.frames["b1"] += 5
    world.add({})
    options = CepstraOptions(coefficients=4)
    raw = {u: cepstra(frames, options).astype(np.float64) for u, frames in world.frames.items()}
    spread = {s: np.concatenate([raw[u] for u in raw if u[0] == s]).var(0) for s in "abc"}
    level = world.make("out", coefficients=4).meta["level"]
    together = np.concatenate([*raw.values()])
    np.testing.assert_allclose(level["mean"], together.mean(0), atol=1e-4)
    within = np.concatenate([np.tile(spread[u[0]], (len(frames), 1)) for u, frames in raw.items()]).mean(0)
    np.testing.assert_allclose(level["std"], np.sqrt(within), rtol=1e-3)


@pytest.mark.parametrize("size", [80, 999, 8000])
def test_stream_subtracts_the_mean_so_far(size: int, tmp_path: Path) -> None:
    samples = np.random.default_rng(0).normal(scale=0.1, size=8000).astype(np.float32)
    options, mean, std = CepstraOptions(coefficients=3), np.array([1.0, -2, 3]), np.array([2.0, 1, 0.5])
    features = {"type": "cepstra", **options.__dict__, "fbank": FBANK.describe()}
    level = {"mean": mean.tolist(), "std": std.tolist()}
    stream = frontend_of({"features": features, "level": level}, tmp_path).stream()
    found = [stream.accept(samples[at : at + size]) for at in range(0, len(samples), size)]
    raw = cepstra(fbank([samples], FBANK)[0], options)
    slow = [
        (frame - (PRIOR_FRAMES * mean + raw[: t + 1].sum(0)) / (PRIOR_FRAMES + t + 1)) / std
        for t, frame in enumerate(raw)
    ]
    np.testing.assert_allclose(np.concatenate([*found, stream.finish()]), slow, atol=1e-4)


def test_recogniser_makes_cepstra_as_training_did(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).normal(scale=0.1, size=8000).astype(np.float32)
    features = {"type": "cepstra", **CepstraOptions(normalise="none").__dict__, "fbank": FBANK.describe()}
    front = frontend_of({"features": features}, tmp_path)
    plain = cepstra(fbank([samples], FBANK)[0], CepstraOptions())
    np.testing.assert_allclose(front.frames(samples), plain, atol=1e-4)
    features["normalise"] = "speaker"
    level = {"mean": plain.mean(0).tolist(), "std": plain.std(0).tolist()}
    normalised = frontend_of({"features": features, "level": level}, tmp_path).frames(samples)
    np.testing.assert_allclose(normalised[-1], (plain[-1] - plain.mean(0)) / plain.std(0), atol=1e-3)
    with refused(tmp_path / "model"):
        frontend_of({"features": features}, tmp_path / "model")
    with refused(tmp_path / "model"):
        frontend_of({"features": features, "level": {"mean": [0.0], "std": [1.0]}}, tmp_path / "model")
