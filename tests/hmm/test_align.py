import itertools
import json

import numpy as np
import pytest

from asrdistill import cli
from asrdistill.data.archive import FrameArchive, check_features
from asrdistill.data.directory import DataDirectory, Utterance
from asrdistill.hmm.align import Summary, align, check_left_out, transcripts
from asrdistill.hmm.gmm import FeatureTransform, Gmm, Mixtures
from asrdistill.hmm.options import AlignOptions
from tests.refusals import assert_names, assert_refused, refused


@pytest.fixture
def model(world, tmp_path):
    """The Gaussians that made the world's features, as a model folder."""
    count, size = world.means.shape
    wide = np.hstack([world.means, np.zeros((count, 2 * size))])
    variances = np.hstack([np.ones((count, size)), np.full((count, 2 * size), 1e6)])  # deltas say nothing
    mixtures = Mixtures(np.zeros(count), wide, variances, np.arange(count + 1))
    (tmp_path / "model").mkdir()
    meta = {"features": {"type": "planted"}, "frame_shift": 0.01}
    Gmm(mixtures, world.senones, meta, FeatureTransform(deltas=2)).write(tmp_path / "model")
    return tmp_path / "model"


def run(world, model, out, *flags):
    folders = [model, world.root / "cepstra", world.root / "data", world.root / "lang", out]
    return cli.main(["ali", "make", *map(str, folders), *flags])


def test_planted_boundaries_are_found(world, model, lang, tmp_path):
    assert run(world, model, tmp_path / "ali", "--jobs", "1") == 0
    archive = FrameArchive(tmp_path / "ali", kind="alignment")
    assert archive.meta["senones"] == world.senones.hash
    assert archive.meta["left_out"] == []
    silence = len(world.senones.silence)
    equal = [
        np.maximum(archive[utterance], silence) == np.maximum(truth, silence)
        for utterance, truth in world.truth.items()
    ]
    assert np.mean(np.concatenate(equal)) > 0.97  # the five silence states sound the same

    words = [line.split() for line in (tmp_path / "ali" / "words.ctm").read_text().splitlines()]
    assert [line[0] for line in words] == sorted(line[0] for line in words)
    assert [line[4] for line in words if line[0] == "utt03"] == world.words["utt03"]
    phones = [line.split() for line in (tmp_path / "ali" / "phones.ctm").read_text().splitlines()]
    mine = [(float(start), float(length)) for utterance, _, start, length, _ in phones if utterance == "utt03"]
    for (start, length), (following, _) in itertools.pairwise(mine):
        assert start + length == pytest.approx(following)
    assert sum(length for _, length in mine) == pytest.approx(0.01 * archive.rows("utt03"))


@pytest.mark.slow
def test_any_number_of_jobs_gives_the_same_bytes(world, model, tmp_path):
    for jobs in "12":
        assert run(world, model, tmp_path / jobs, "--jobs", jobs) == 0
    names = sorted(path.name for path in (tmp_path / "1").iterdir() if path.name != ".done")
    assert "phones.ctm" in names
    assert "senones.json" in names
    assert not [name for name in names if name.startswith("phones.ctm.")]
    for name in names:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes(), name


class Shortened:
    """A scorer that sees the first frames of some utterances only."""

    def __init__(self, scorer, short):
        self.scorer, self.senones, self.short, self.count = scorer, scorer.senones, short, 0

    def loglikes(self, features, senones):
        self.count += 1
        return self.scorer.loglikes(features, senones)[: 3 if self.count <= self.short else None]


def test_utterances_shorter_than_their_hmm_are_left_out_or_refused(world, model, lang, tmp_path, caplog):
    from asrdistill.hmm.gmm import load_gmm

    inputs = (world.root / "cepstra", list(world.words.items()), lang)
    out = tmp_path / "ali"
    out.mkdir()
    with refused("5 of 80", "6.2 %", "utt00", "utt01", "utt02"):
        align(lambda folder: Shortened(load_gmm(folder), 5), model, *inputs, out, AlignOptions(), 1)
    align(lambda folder: Shortened(load_gmm(folder), 5), model, *inputs, out, AlignOptions(max_left_out=10), 1)
    assert_names(caplog.text, "5 of 80")
    archive = FrameArchive(out)
    assert archive.meta["left_out"] == [f"utt0{n}" for n in range(5)]
    assert len(archive) == 75
    assert "utt04" not in (out / "words.ctm").read_text()


def test_too_many_left_out_utterances_are_refused():
    check_left_out([], 10, 0)
    check_left_out(["a"], 20, 5)
    with refused("2 of 20", "a", "b", "--max-left-out"):
        check_left_out(["a", "b"], 20, 5)


def test_summaries_add_up():
    both = Summary(1, 10, 5, -10.0, ("a",)) + Summary(2, 30, 5, -30.0)
    assert both.record() == {"loglike_per_frame": -1.0, "silence_percent": 25.0, "left_out": ["a"]}


@pytest.mark.parametrize(
    ("id", "text", "names"),
    [
        ("utt00", "ab zebra", ["utt00", "'zebra'"]),
        ("utt00", None, ["utt00", "text"]),
        ("other", "ab", ["other", "/cepstra"]),
    ],
)
def test_text_that_does_not_fit_is_refused(world, lang, tmp_path, id, text, names):
    archive = FrameArchive(world.root / "cepstra")
    (tmp_path / "x.wav").touch()
    DataDirectory([Utterance(id, str(tmp_path / "x.wav"), "s", text)]).write(tmp_path)
    with refused(*names):
        transcripts(archive, tmp_path, lang)


def test_hypotheses_replace_the_text(world, lang, tmp_path):
    archive = FrameArchive(world.root / "cepstra")
    (tmp_path / "x.wav").touch()
    DataDirectory(Utterance(id, str(tmp_path / "x.wav"), "s") for id in ("utt01", "utt00")).write(tmp_path)
    heard = {"utt01": [], "utt00": world.words["utt00"], "utt02": []}
    assert transcripts(archive, tmp_path, lang, heard) == [("utt00", world.words["utt00"]), ("utt01", [])]
    del heard["utt00"]
    with refused("utt00"):
        transcripts(archive, tmp_path, lang, heard)


def test_features_of_another_kind_are_refused(world, model):
    archive = FrameArchive(world.root / "cepstra")
    with refused("/cepstra", model, "planted", "cepstra"):
        check_features(archive, {"type": "cepstra"}, model)


def test_word_missing_from_the_lexicon_is_refused(world, model, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "nothing.wav").write_bytes(b"")
    (data / "wav.scp").write_text("utt00 nothing.wav\n")
    (data / "text").write_text("utt00 zebra\n")
    folders = [model, world.root / "cepstra", data, world.root / "lang", tmp_path / "ali"]
    assert_refused(["ali", "make", *map(str, folders)], "'zebra'", "utt00")
    assert not (tmp_path / "ali").exists()
    assert json.loads((model / "meta.json").read_text())["kind"] == "gmm"
