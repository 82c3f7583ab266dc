"""Imported ARPA language models."""

import gzip
from pathlib import Path

import pytest

from asrdistill.cli import main
from asrdistill.lang import text as module
from asrdistill.lang.ngram import read_arpa, train, write_arpa
from tests.refusals import assert_refused

SENTENCES = ["he said it", "it is O'clock", "he is"]


@pytest.fixture
def arpa(tmp_path) -> Path:
    """A model in capitals, with <UNK>, as OpenSLR's are."""
    words = ["HE", "SAID", "IT", "IS"]
    write_arpa(train([sentence.upper() for sentence in SENTENCES], words, 3), tmp_path / "foreign.arpa")
    path = tmp_path / "foreign.arpa"
    path.write_text("made by hand\n" + path.read_text().replace("<unk>", "<UNK>"))
    return path


def run(arpa: Path, *more: str) -> int:
    return main(["convert", "lm", str(arpa), str(arpa.parent / "lm"), *more])


def test_words_are_lowered_and_probabilities_kept(arpa, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 7)  # so that words are cut between blocks
    assert run(arpa, "--lower") == 0
    mine, theirs = read_arpa(arpa.parent / "lm" / "lm.arpa"), read_arpa(arpa)
    assert mine.symbols == [symbol.lower() for symbol in theirs.symbols]
    assert "<unk>" in mine.symbols
    for own, foreign in zip(mine.levels, theirs.levels, strict=True):
        assert (own.logprob == foreign.logprob).all()
        assert (own.backoff == foreign.backoff).all()


def test_packed_files_and_capitals(arpa):
    packed = arpa.with_suffix(".arpa.gz")
    packed.write_bytes(gzip.compress(arpa.read_bytes()))
    assert run(packed) == 0
    assert (arpa.parent / "lm" / "lm.arpa").read_bytes() == arpa.read_bytes()


@pytest.mark.parametrize(
    ("name", "damage", "names"),
    [
        ("foreign.arpa", lambda content: content[:-20], ["\\end\\"]),
        ("foreign.arpa", lambda content: content.replace(b"\\data\\", b"data"), ["\\data\\"]),
        ("foreign.arpa.gz", lambda content: gzip.compress(content)[:-30], ["ended"]),
        ("foreign.arpa.gz", lambda content: content, ["gzipped"]),
    ],
)
def test_truncated_and_other_files_are_refused(arpa, name, damage, names):
    (arpa.parent / name).write_bytes(damage(arpa.read_bytes()))
    assert_refused(["convert", "lm", arpa.parent / name, arpa.parent / "lm"], arpa.parent / name, *names)
    assert not (arpa.parent / "lm").exists()


def test_missing_file_is_refused(tmp_path):
    assert_refused(["convert", "lm", tmp_path / "none.arpa.gz", tmp_path / "lm"], tmp_path / "none.arpa.gz")


def test_a_byte_order_mark_is_skipped(arpa, tmp_path):
    arpa.write_text(arpa.read_text().removeprefix("made by hand\n"))
    expected = read_arpa(arpa)
    arpa.write_bytes(b"\xef\xbb\xbf" + arpa.read_bytes())
    assert dict(read_arpa(arpa).levels[2]) == dict(expected.levels[2])
    assert run(arpa) == 0
    assert dict(read_arpa(tmp_path / "lm" / "lm.arpa").levels[2]) == dict(expected.levels[2])
