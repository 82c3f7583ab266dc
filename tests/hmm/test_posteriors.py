"""Imported posteriors: formats, refusals, decoding, alignment."""

from pathlib import Path

import numpy as np
import pytest

from asrdistill.cli import main
from asrdistill.data import kaldi
from asrdistill.data.archive import FrameArchive
from asrdistill.hmm.senones import Senones, log_priors
from asrdistill.lang.lexicon import Lang
from asrdistill.lang.ngram import train, write_arpa
from asrdistill.reader import read_json
from tests.refusals import assert_names, assert_refused

WORDS = {"ab": [(1.0, ("A", "B"))], "ba": [(1.0, ("B", "A"))], "b": [(1.0, ("B",))]}
TEXTS = {"utt0": "ab ba", "utt1": "b b ab", "utt2": "ba"}


class World:
    """A lexicon, a language model, transcripts, and posteriors in which the transcripts can be heard."""

    def __init__(self, folder: Path):
        rng = np.random.default_rng(0)
        self.lang, self.lm, self.data = folder / "lang", folder / "lm.arpa", folder / "data"
        self.senones, self.alignment = folder / "senones", folder / "alignment"
        lang = Lang.build(WORDS, ["A", "B"])
        for path in (self.lang, self.senones, self.data, self.alignment):
            path.mkdir()
        lang.write(self.lang)
        write_arpa(train(TEXTS.values(), lang.words, 2), self.lm)
        inventory = Senones.monophones(lang)
        inventory.write(self.senones)
        (self.data / "a.wav").touch()
        tables = {"text": TEXTS, "utt2spk": dict.fromkeys(TEXTS, "s"), "wav.scp": dict.fromkeys(TEXTS, "a.wav")}
        for name, table in tables.items():
            (self.data / name).write_text("".join(f"{utterance} {value}\n" for utterance, value in table.items()))
        self.posteriors: dict[str, np.ndarray] = {}
        self.path: dict[str, np.ndarray] = {}
        for utterance, text in TEXTS.items():
            phones = ["SIL", *(phone for word in text.split() for phone in WORDS[word][0][1]), "SIL"]
            path = np.repeat([senone for phone in phones for senone in inventory.states[phone]], 2)
            noise = rng.normal(0, 1, (len(path), inventory.count))
            noise[np.arange(len(path)), path] += 6
            self.path[utterance] = path.astype(np.int32)
            self.posteriors[utterance] = (np.exp(noise) / np.exp(noise).sum(1, keepdims=True)).astype(np.float32)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def ran(*args: object) -> int:
    return main([str(arg) for arg in args])


def decoded(world: World, scores: Path, out: Path) -> dict[str, str]:
    scales = ["--lm-weight", "2", "--jobs", "1"]
    assert ran("decode", "run", scores, scores, world.lang, world.lm, out, *scales) == 0
    lines = (line.partition(" ") for line in (out / "hyp.txt").read_text().splitlines())
    return {utterance: text for utterance, _, text in lines}


@pytest.mark.parametrize("form", ["posteriors", "log-posteriors", "loglikes"])
@pytest.mark.parametrize("suffix", ["ark", "scp", "npz"])
def test_every_form_is_decoded(world, tmp_path, form, suffix):
    priors = np.mean(np.concatenate(list(world.posteriors.values())), axis=0)
    forms = {
        "posteriors": lambda p: p,
        "log-posteriors": lambda p: np.log(p),
        "loglikes": lambda p: np.log(p) - np.log(priors),
    }
    given = {utterance: forms[form](p).astype(np.float32) for utterance, p in world.posteriors.items()}
    source = tmp_path / f"given.{suffix}"
    if suffix == "npz":
        np.savez(source, **given)
    else:
        kaldi.write(tmp_path / "given.ark", given.items())
    options = ["--form", form, *([] if form == "loglikes" else ["--priors", source])]
    assert ran("convert", "posteriors", source, world.senones, tmp_path / "scores", *options) == 0
    archive = FrameArchive(tmp_path / "scores", "loglikes")
    for utterance, p in world.posteriors.items():
        np.testing.assert_allclose(archive[utterance], np.log(p) - np.log(priors), atol=1e-4)
    assert decoded(world, tmp_path / "scores", tmp_path / "out") == TEXTS


def test_one_utterance_in_npy(world, tmp_path):
    np.save(tmp_path / "utt1.npy", world.posteriors["utt1"].astype(np.float16))
    source = tmp_path / "utt1.npy"
    assert ran("convert", "posteriors", source, world.senones, tmp_path / "scores", "--priors", source) == 0
    assert decoded(world, tmp_path / "scores", tmp_path / "out") == {"utt1": TEXTS["utt1"]}


def test_priors_of_an_alignment(world, tmp_path, corpus):
    senones = FrameArchive(corpus.alignment).meta["senones"]
    assert senones == corpus.senones.hash
    even = np.full((4, corpus.senones.count), 1 / corpus.senones.count, np.float32)
    np.save(tmp_path / "utt.npy", even)
    scores = tmp_path / "scores"
    source = [tmp_path / "utt.npy", corpus.alignment]
    assert ran("convert", "posteriors", *source, scores, "--priors", corpus.alignment, "--prior-floor", "0.05") == 0
    counted = np.maximum(np.exp(log_priors(FrameArchive(corpus.alignment), corpus.senones.count)), 0.05)
    np.testing.assert_allclose(FrameArchive(scores)["utt"], np.log(even / counted), atol=1e-5)
    other = [
        "convert",
        "posteriors",
        tmp_path / "utt.npy",
        world.senones,
        tmp_path / "no",
        "--priors",
        corpus.alignment,
    ]
    assert ran(*other) == 2


def test_scores_align_and_tune(world, tmp_path):
    np.savez(tmp_path / "given.npz", **world.posteriors)
    scores, source = tmp_path / "scores", tmp_path / "given.npz"
    assert ran("convert", "posteriors", source, world.senones, scores, "--priors", source) == 0
    assert ran("ali", "make", scores, scores, world.data, world.lang, tmp_path / "ali", "--jobs", "1") == 0
    for utterance, path in world.path.items():
        np.testing.assert_array_equal(FrameArchive(tmp_path / "ali")[utterance], path)
    assert (
        ran("decode", "tune", scores, scores, world.lang, world.lm, world.data, tmp_path / "tune", "--jobs", "1") == 0
    )


@pytest.mark.slow
def test_several_sets_are_decoded_in_one_call(world, tmp_path):
    for name, utterances in (("a", ["utt0"]), ("b", ["utt1", "utt2"])):
        np.savez(tmp_path / f"{name}.npz", **{u: np.log(world.posteriors[u]) for u in utterances})
        scores = tmp_path / f"{name}.npz", world.senones, tmp_path / "sets" / name, "--form", "loglikes"
        assert ran("convert", "posteriors", *scores) == 0
    sets, out = tmp_path / "sets", tmp_path / "out"
    given = sets / "a", sets, world.lang, world.lm, out, "--lm-weight", "2", "--jobs", "2"
    assert_refused(["decode", "run", *given, "--sets", "a", "c"], sets / "c")
    assert ran("decode", "run", *given, "--sets", "a", "b") == 0
    heard = [(out / name / "hyp.txt").read_text() for name in ("a", "b")]
    assert "".join(heard) == "".join(f"{utterance} {text}\n" for utterance, text in TEXTS.items())
    assert sorted(path.name for path in out.iterdir()) == ["a", "b"]
    assert not list(tmp_path.glob(".out*"))  # nor the search graph


def test_partial_hypotheses_are_recorded(world, tmp_path, caplog):
    """No beam is wide enough for a word in two frames, so the best of what there is stands."""
    given = {"utt0": world.posteriors["utt0"][10:12], "utt1": world.posteriors["utt1"]}
    np.savez(tmp_path / "given.npz", **{utterance: np.log(p) for utterance, p in given.items()})
    source = tmp_path / "given.npz", world.senones, tmp_path / "scores", "--form", "loglikes"
    assert ran("convert", "posteriors", *source) == 0
    assert decoded(world, tmp_path / "scores", tmp_path / "out")["utt1"] == TEXTS["utt1"]
    assert read_json(tmp_path / "out/decode.json")["partial"] == ["utt0"]
    assert_names(caplog.text, "1 utterances", "utt0")


def test_a_ctc_model_is_decoded(world, tmp_path):
    units = ["<blk>", "B", "A"]
    spoken = {"utt0": "-A-BBB-BAA", "utt1": "B-B-AB--", "utt2": "BA"}
    given = {}
    for utterance, path in spoken.items():
        columns = [units.index(unit if unit != "-" else "<blk>") for unit in path]
        given[utterance] = np.full((len(path), 3), 0.0, np.float32)  # -inf where a unit is not heard
        given[utterance][np.arange(len(path)), columns] = 1
    np.savez(tmp_path / "ctc.npz", **given)
    (tmp_path / "units.txt").write_text("".join(f"{unit} {number}\n" for number, unit in enumerate(units)))
    assert ran("convert", "posteriors", tmp_path / "ctc.npz", tmp_path / "units.txt", tmp_path / "scores") == 0
    assert decoded(world, tmp_path / "scores", tmp_path / "out") == TEXTS


def at(frame: int, value: float):
    return lambda p: np.where(np.arange(len(p))[:, None] == frame, np.float32(value), p)


BAD = {
    "11 senones": lambda p: p[:, :-1],
    "no frames": lambda p: p[:0],
    "frame 3": at(3, np.nan),
    "frame 2": at(2, 0),
    "frame 0": lambda p: 3 * p,
    "(11,)": lambda p: p[0],
    "int64": lambda p: p.astype(np.int64),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_posteriors_are_refused(world, tmp_path, name):
    np.savez(tmp_path / "bad.npz", utt7=BAD[name](world.posteriors["utt0"]))
    np.savez(tmp_path / "good.npz", **world.posteriors)
    for source, priors in (("bad", "good"), ("good", "bad")):
        given = tmp_path / f"{source}.npz", world.senones, tmp_path / "out", "--priors", tmp_path / f"{priors}.npz"
        assert_refused(["convert", "posteriors", *given], tmp_path / "bad.npz", "utterance utt7", name)


def test_bad_files_are_refused(world, tmp_path):
    good, units = tmp_path / "good.npz", tmp_path / "units"
    np.savez(good, **world.posteriors)
    (tmp_path / "cut.npz").write_bytes(good.read_bytes()[:-1000])
    np.save(tmp_path / "pickle.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "empty.npz")
    units.write_text("<blk> 0\nA 2\n")
    loglikes = "--form", "loglikes"
    for source, senones, options, names in (
        ("cut.npz", world.senones, loglikes, ["cut.npz"]),
        ("pickle.npy", world.senones, loglikes, ["pickle.npy"]),
        ("none.npy", world.senones, loglikes, ["none.npy"]),
        ("empty.npz", world.senones, loglikes, ["empty.npz"]),
        ("good.npz", world.senones, (), ["--priors"]),
        ("good.npz", world.senones, (*loglikes, "--priors", good), ["--priors", "priors"]),
        ("good.npz", units, (), [units, "line 2", "'A 2'"]),
    ):
        assert_refused(["convert", "posteriors", tmp_path / source, senones, tmp_path / "out", *options], *names)


def test_other_senones_and_other_kinds_are_refused(world, tmp_path, corpus):
    np.savez(tmp_path / "given.npz", **world.posteriors)
    inventory, other = Senones.read(world.senones), tmp_path / "other"
    other.mkdir()
    Senones(inventory.phones, inventory.states | {"A": inventory.states["A"][::-1]}, inventory.self_loop).write(other)
    for name, senones in (("a", world.senones), ("b", other)):
        given = tmp_path / "given.npz", senones, tmp_path / name
        assert ran("convert", "posteriors", *given, "--form", "loglikes") == 0
    for features, name in ((tmp_path / "b", tmp_path / "a"), (corpus.features, "loglikes")):
        command = ["decode", "run", tmp_path / "a", features, world.lang, world.lm, tmp_path / "out"]
        assert_refused(command, features, name)
