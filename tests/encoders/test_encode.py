"""Encoder frames as features: a teacher on them, its soft targets, a student on filterbanks."""

import re
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asrdistill.cli import main
from asrdistill.data.archive import FrameArchive
from asrdistill.data.directory import DataDirectory, Utterance
from asrdistill.encoders import archive as module
from asrdistill.encoders.archive import InterpolatedStream, _middle, interpolate
from asrdistill.encoders.factory import open_encoder
from asrdistill.features.options import FbankOptions, frames
from tests.conftest import Corpus
from tests.refusals import assert_refused

RATE = 8000
SHORT = 0.1  # seconds of the shortest utterance


class Clock:
    """An encoder whose frames say what time it is in their middle."""

    def __init__(self, shift: float, centre: float):
        self.shift, self.centre = shift, centre

    def frames(self, waveform: np.ndarray) -> np.ndarray:
        return (self.centre + self.shift * np.arange(waveform.size))[:, None].astype(np.float32)


@pytest.mark.parametrize(("shift", "centre"), [(0.02, 0.0), (0.02, 0.0125), (0.0125, 0.03)])
@pytest.mark.parametrize("snip_edges", [True, False])
def test_each_frame_has_the_encoder_frame_at_its_middle(shift, centre, snip_edges):
    options, encoder = FbankOptions(rate=RATE, snip_edges=snip_edges), Clock(shift, centre)
    middle = _middle(options) + 0.01 * np.arange(30)
    assert middle[0] == (0.0125 if snip_edges else 0.005)  # the middle of 25 ms, or of 10 ms
    found = interpolate(encoder.frames(np.zeros(40)), encoder, middle)[:, 0]
    np.testing.assert_allclose(found, middle.clip(centre, centre + 39 * shift), atol=1e-6)


@pytest.mark.parametrize(
    ("ahead", "seconds"), [*(("", s) for s in (0.02, 0.3, 24.99, 25.0, 30.03, 71.2)), ("+0.5", 7.7)]
)
def test_piece_by_piece_is_the_same_as_at_once(whispers, ahead, seconds):
    rng = np.random.default_rng(0)
    encoder, waveform = (
        open_encoder(f"whisper:{whispers()}{ahead}"),
        rng.normal(size=round(16_000 * seconds)).astype(np.float32),
    )
    stream, parts, at = InterpolatedStream(encoder, 0.0125, 0.01), [], 0
    while at < len(waveform):
        parts.append(stream.accept(waveform[at : (at := at + int(rng.integers(0, 90_000)))]))
    found = np.concatenate([*parts, stream.finish()])
    rows = frames(len(waveform), FbankOptions(rate=16_000, low=20, high=7_600))
    middle = 0.0125 + 0.01 * np.arange(rows)
    assert found.shape == (rows, encoder.dimension)
    if rows:
        np.testing.assert_allclose(found, interpolate(encoder.frames(waveform), encoder, middle), atol=1e-5)


@pytest.fixture
def world(tmp_path: Path, whispers) -> Path:
    """Ten utterances: data, their fbank, an alignment over the toy inventory, the encoder's name in `encoder`."""
    (tmp_path / "data").mkdir()
    rng = np.random.default_rng(0)
    seconds = {f"u{n}": 0.5 + 0.11 * n for n in range(9)} | {"u9": SHORT}
    for name, length in seconds.items():
        samples = rng.normal(size=round(RATE * length)) * 0.1
        soundfile.write(tmp_path / "data" / f"{name}.wav", samples, RATE, "PCM_16")
    data = DataDirectory(Utterance(u, str(tmp_path / "data" / f"{u}.wav"), "s") for u in seconds)
    data.write(tmp_path / "data")
    run(tmp_path, "feats fbank", "data", "fbank")
    corpus = Corpus(tmp_path / "toy")
    labels = {
        u: rng.integers(0, corpus.senones.count, frames(round(RATE * s), FbankOptions())) for u, s in seconds.items()
    }
    corpus.write_alignment(tmp_path / "ali", labels)
    (tmp_path / "encoder").write_text(f"whisper:{whispers()}")
    return tmp_path


def run(world: Path, command: str, *words: str, jobs: int | None = 1) -> None:
    """A command; of its words those without a digit at the beginning, a dash or a colon are folders of the world."""
    plain = re.compile(r"-|[0-9]|whisper:")
    paths = [word if plain.match(word) else str(world / word) for word in words]
    assert main([*command.split(), *paths, *([] if jobs is None else ["--jobs", str(jobs)])]) == 0


def encoder(world: Path) -> str:
    return (world / "encoder").read_text()


NET = ("--epochs", "1", "--layers", "1", "--width", "8", "--left", "2", "--right", "1")


@pytest.mark.slow
def test_encoded_features_have_the_frames_of_the_fbank(world):
    run(world, "feats encode", encoder(world), "fbank", "data", "encoded", jobs=2)
    fbank, encoded = FrameArchive(world / "fbank"), FrameArchive(world / "encoded", "features")
    assert {u: encoded.rows(u) for u in encoded} == {u: fbank.rows(u) for u in fbank}
    assert encoded["u3"].dtype == np.float16
    assert encoded["u3"].shape[1] == 16
    assert encoded.frames_of == fbank.hash == fbank.frames_of != encoded.hash
    run(world, "nnet train", "encoded", "ali", "head", *NET, jobs=None)
    run(world, "nnet evaluate", "head", "encoded", "ali", "frames")
    run(world, "distill targets", "head", "encoded", "store", "--keep", "5")
    run(world, "nnet train", "fbank", "ali", "student", "--soft-targets", "store", *NET, jobs=None)
    other = encoder(world) + "@1"
    run(world, "feats encode", other, "fbank", "data", "first_layer")
    arguments = [
        "nnet",
        "evaluate",
        str(world / "head"),
        str(world / "first_layer"),
        str(world / "ali"),
        str(world / "x"),
    ]
    assert_refused(arguments, world / "first_layer", world / "head", "layer 1", 3)


def test_copies_have_the_soft_targets_and_frames_of_the_clean_originals(world):
    run(world, "feats encode", encoder(world), "fbank", "data", "encoded")
    run(world, "feats fbank", "data", "copied", "--warps", "1", "0.9", "--speeds", "0.5", "--volumes", "0.3")
    run(world, "nnet train", "encoded", "ali", "head", *NET, jobs=None)
    run(world, "distill targets", "head", "encoded", "store", "--keep", "5")
    for what in ("ali", "store", "encoded"):
        run(world, "ali expand", what, "copied", f"{what}_copies", jobs=None)
    copied, store, clean = (FrameArchive(world / name) for name in ("copied", "store_copies", "store"))
    assert set(store) == set(copied)
    assert store.meta["feature_hash"] == copied.hash
    for part in ("ids", "logp", "rest"):
        np.testing.assert_array_equal(store.part("warp0.9-u4", part), clean.part("u4", part))
        slow, plain = store.part("speed0.5-u4", part), clean.part("u4", part)
        assert len(slow) == copied.rows("speed0.5-u4")
        np.testing.assert_array_equal(slow[40], plain[19])  # 0.5 (40 + 1.25) - 1.25 = 19.4, in frames
    run(world, "nnet train", "copied", "ali_copies", "student", "--soft-targets", "store_copies", *NET, jobs=None)
    run(world, "nnet train", "encoded_copies", "ali_copies", "other_head", *NET, jobs=None)


def test_a_subset_of_both_still_fits(world):
    run(world, "feats encode", encoder(world), "fbank", "data", "encoded")
    for what in ("encoded", "fbank"):
        run(world, "data subset", what, f"few_{what}", "--utterances", "4", jobs=None)
    few, fbank = FrameArchive(world / "few_encoded"), FrameArchive(world / "few_fbank")
    assert set(few) == set(fbank)
    assert few.frames_of == fbank.frames_of != FrameArchive(world / "fbank").hash


def test_jobs_and_a_kill_do_not_change_a_byte(world, monkeypatch):
    monkeypatch.setattr(module, "SHARD_UTTERANCES", 3)
    run(world, "feats encode", encoder(world), "fbank", "data", "whole")
    written = []
    keep = module._write_shard

    def killed(*task):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(task[-1].number)
        return keep(*task)

    monkeypatch.setattr(module, "_write_shard", killed)
    arguments = [encoder(world), *(str(world / name) for name in ("fbank", "data", "again"))]
    assert main(["feats", "encode", *arguments, "--jobs", "1"]) == 130
    assert not (world / "again").exists()
    monkeypatch.setattr(module, "_write_shard", lambda *task: written.append(task[-1].number) or keep(*task))
    run(world, "feats encode", encoder(world), "fbank", "data", "again")
    assert written == [0, 1, 2, 3]  # none twice
    contents = [
        {p.name: p.read_bytes() for p in (world / name).iterdir() if p.name != ".done"} for name in ("whole", "again")
    ]
    assert contents[0] == contents[1]
    assert "shard.0.json" not in contents[0]


def test_memory_does_not_grow_with_the_corpus(world, monkeypatch):
    monkeypatch.setattr(module, "SHARD_UTTERANCES", 4)
    data = DataDirectory.read(world / "data")
    peaks = []
    for times in (1, 8):
        many = [Utterance(f"{u.id}-{k}", u.audio, "s") for u in data for k in range(times)]
        folder = world / f"times{times}"
        folder.mkdir()
        DataDirectory(many).write(folder)
        run(world, "feats fbank", f"times{times}", f"fbank{times}")
        tracemalloc.start()
        run(world, "feats encode", encoder(world), f"fbank{times}", f"times{times}", f"encoded{times}")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] + 100_000


def test_bad_inputs_are_refused(world):
    def fails(names: list, *words: str) -> None:
        arguments = [w if w.startswith(("whisper", "torchaudio")) else str(world / w) for w in words]
        assert_refused(["feats", "encode", *arguments, world / "out", "--jobs", 1], *names)
        assert not (world / "out").exists()

    name = encoder(world)
    fails(["'whisperer'", "whisper:tiny.en"], "whisperer", "fbank", "data")
    fails(["model.bin"], f"whisper:{world}", "fbank", "data")
    run(world, "feats encode", name, "fbank", "data", "encoded")
    fails(["whisper", "fbank"], name, "encoded", "data")
    run(world, "feats fbank", "data", "copied", "--warps", "1", "0.9")
    fails(["10 utterances", world / "copied", "warp0.9-u0", "ali expand"], name, "copied", "data")
    soundfile.write(world / "data" / "u3.wav", np.zeros(2 * RATE), RATE, "PCM_16")
    fails(["utterance u3", "81 frames", 198, world / "fbank"], name, "fbank", "data")
