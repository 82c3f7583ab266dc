"""Decoding with lattices, rescoring, n-best lists and calibrated confidences by commands."""

import json
from pathlib import Path

import numpy as np
import pytest

from asrdistill.cli import main
from asrdistill.data.archive import ShardWriter, finish
from asrdistill.hmm.senones import Senones
from asrdistill.lang.lexicon import Lang
from asrdistill.lang.ngram import train, write_arpa
from asrdistill.scoring.wer import read_transcripts, score
from tests.decode.kaldi_lattices import read_kaldi
from tests.refusals import assert_refused

pytestmark = pytest.mark.slow

WORDS = {"ab": [(1.0, ("A", "B"))], "ba": [(1.0, ("B", "A"))], "b": [(1.0, ("B",))], "aa": [(1.0, ("A", "A"))]}
SCALES = ["--lm-weight", "2", "--insertion-penalty", "-0.5", "--jobs", "1"]


def ran(*args: object) -> int:
    return main([str(arg) for arg in args])


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """Forty utterances of random words in noise, decoded with lattices, and two language models."""
    folder, rng = tmp_path_factory.mktemp("rescoring"), np.random.default_rng(1)
    lang = Lang.build(WORDS, ["A", "B"])
    texts = {f"utt{n:02}": [str(w) for w in rng.choice(sorted(WORDS), size=rng.integers(1, 6))] for n in range(40)}
    for name in ("lang", "scores"):
        (folder / name).mkdir()
    lang.write(folder / "lang")
    senones = Senones.monophones(lang)
    senones.write(folder / "scores")
    sentences = [" ".join(words) for words in texts.values()]
    write_arpa(train(sentences, lang.words, 1), folder / "short.arpa")
    write_arpa(train(sentences, lang.words, 3), folder / "long.arpa")
    (folder / "text").write_text("".join(f"{name} {' '.join(words)}\n" for name, words in texts.items()))
    parts = {"frames": ("float32", (senones.count,))}
    writer = ShardWriter(folder / "scores", 0, parts)
    for name, words in texts.items():
        phones = ["SIL", *(phone for word in words for phone in WORDS[word][0][1]), "SIL"]
        path = np.repeat([senone for phone in phones for senone in senones.states[phone]], 2)
        noise = rng.normal(0, 2, (len(path), senones.count)).astype(np.float32)
        noise[np.arange(len(path)), path] += 2.2
        writer.write(name, frames=noise)
    finish(folder / "scores", "loglikes", parts, [writer.close()], senones=senones.hash, frame_shift=0.01)
    decode(folder, "short.arpa", folder / "decoded", "--lattice-beam", 30)
    return folder


def decode(world: Path, lm: str, out: Path, *more: object) -> None:
    assert (
        ran("decode", "run", world / "scores", world / "scores", world / "lang", world / lm, out, *SCALES, *more) == 0
    )


def rescored(world: Path, out: Path, *args: object) -> Path:
    assert ran("decode", "rescore", world / "decoded", out, "--jobs", "1", *args) == 0
    return out


def test_rescoring_without_options_changes_nothing(world, tmp_path):
    out = rescored(world, tmp_path / "out")
    assert (out / "hyp.txt").read_text() == (world / "decoded/hyp.txt").read_text()
    ours, theirs = ((folder / "words.ctm").read_text().splitlines() for folder in (out, world / "decoded"))
    assert len(ours) == len(theirs) > 40
    for one, other in zip(ours, theirs, strict=True):
        assert one.split()[:5] == other.split()[:5]
        assert float(one.split()[5]) == pytest.approx(float(other.split()[5]), abs=0.002)


def test_another_language_model_gives_the_words_of_a_search_with_it(world, tmp_path):
    decode(world, "long.arpa", tmp_path / "searched")
    out = rescored(world, tmp_path / "out", "--lm", world / "long.arpa")
    assert (out / "hyp.txt").read_text() == (tmp_path / "searched/hyp.txt").read_text()
    assert (out / "hyp.txt").read_text() != (world / "decoded/hyp.txt").read_text()


@pytest.mark.parametrize("jobs", [1, 2])
def test_compiled_language_model_is_used_again(world, tmp_path, jobs):
    graph = tmp_path / "graph"
    args = ["--lm", world / "long.arpa", "--graph", graph]
    first = rescored(world, tmp_path / "first", *args)
    stamp = (graph / ".done").stat().st_mtime_ns
    assert ran("decode", "rescore", world / "decoded", tmp_path / "again", "--jobs", jobs, *args) == 0
    without = rescored(world, tmp_path / "without", "--lm", world / "long.arpa")
    for name in ("hyp.txt", "words.ctm"):
        assert (first / name).read_text() == (tmp_path / "again" / name).read_text() == (without / name).read_text()
    assert (graph / ".done").stat().st_mtime_ns == stamp
    assert not (without / "graph").exists()


def test_other_scales_give_the_words_of_a_search_with_them(world, tmp_path):
    scales = ["--lm-weight", "4", "--insertion-penalty", "1"]
    decode(world, "short.arpa", tmp_path / "searched", *scales)
    out = rescored(world, tmp_path / "out", *scales)
    assert (out / "hyp.txt").read_text() == (tmp_path / "searched/hyp.txt").read_text()


def test_n_best_kaldi_lattices_and_least_risk(world, tmp_path):
    out = rescored(world, tmp_path / "out", "--n-best", "3", "--kaldi", "--risk")
    hypotheses = read_transcripts(out / "hyp.txt")
    lines = [line.split() for line in (out / "nbest.txt").read_text().splitlines()]
    for name in hypotheses:
        scores = [float(line[1]) for line in lines if line[0] == name]
        assert len(scores) == 3
        assert scores == sorted(scores, reverse=True)
    lattices = dict(read_kaldi(out / "lat.gz"))
    assert lattices.keys() == hypotheses.keys()
    best = {line[0]: line[2:] for line in reversed(lines)}
    assert all(lattices[name].n_best(2.0, -0.5, 1)[0][1] == words for name, words in best.items())


def test_confidences_are_calibrated(world, tmp_path):
    assert ran("decode", "calibrate", world / "decoded", world / "text", tmp_path / "calibration") == 0
    figures = json.loads((tmp_path / "calibration/confidence.json").read_text())
    truth, heard = read_transcripts(world / "text"), read_transcripts(world / "decoded/hyp.txt")
    counts = score(truth, heard).total
    assert figures["words"] == sum(map(len, heard.values()))
    assert figures["words"] - figures["right"] == counts.ins + counts.subs
    assert figures["calibrated"]["normalised_cross_entropy"] > 0.05
    assert (tmp_path / "calibration/reliability.png").read_bytes().startswith(b"\x89PNG")
    out = rescored(world, tmp_path / "out", "--calibration", tmp_path / "calibration")
    assert ran("decode", "calibrate", out, world / "text", tmp_path / "again") == 0
    again = json.loads((tmp_path / "again/confidence.json").read_text())
    expected = figures["calibrated"]["normalised_cross_entropy"]
    assert again["posterior"]["normalised_cross_entropy"] == pytest.approx(expected, abs=0.01)


def test_inputs_that_do_not_fit_are_refused(world, tmp_path):
    decode(world, "short.arpa", tmp_path / "plain")
    plain, decoded = tmp_path / "plain", world / "decoded"
    for command, names in [
        (("decode", "rescore", plain, tmp_path / "a"), [plain, "--lattice-beam"]),
        (("decode", "calibrate", plain, world / "text", tmp_path / "b"), [plain / "words.ctm", "--lattice-beam"]),
        (("decode", "calibrate", decoded, plain / "hyp.txt", tmp_path / "c"), [decoded / "words.ctm", "85 words"]),
        (("decode", "rescore", decoded, tmp_path / "d", "--calibration", plain), [plain / "calibration.json"]),
        (("decode", "rescore", decoded, tmp_path / "e", "--lm-weight", "1e308"), ["lm_weight", "1e+308"]),
    ]:
        assert_refused(command, *names)


def test_language_model_without_the_words_is_refused(world, tmp_path):
    arpa = "\\data\\\nngram 1=3\n\n\\1-grams:\n-1 <s>\n-1 </s>\n-1 other\n\n\\end\\\n"
    (tmp_path / "other.arpa").write_text(arpa)
    decode(world, "short.arpa", tmp_path / "narrow", "--lattice-beam", 1)  # the path without words is not in these
    command = [
        "decode",
        "rescore",
        tmp_path / "narrow",
        tmp_path / "out",
        "--lm",
        tmp_path / "other.arpa",
        "--jobs",
        "1",
    ]
    assert_refused(command, "utt00", "<unk>")
