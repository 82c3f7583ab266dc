"""Errors on out-of-vocabulary words alone."""

from pathlib import Path

import pytest

from asrdistill.scoring.transcripts import oov_errors, read_vocabulary
from tests.refusals import refused


def transcripts(**texts: str) -> dict[str, list[str]]:
    return {utterance: text.split() for utterance, text in texts.items()}


VOCABULARY = {"the", "cat", "sat", "on", "a"}
REFERENCES = transcripts(u1="the axolotl sat on the mat", u2="the cat sat", u3="quoll quoll", u4="a quokka")


def test_planted_words() -> None:
    hypotheses = transcripts(
        u1="the axolotl sat on the",  # axolotl right, mat deleted
        u2="the mat cat mat",  # wrong, but no word of the reference is outside
        u3="quoll a quokka",  # one of two; an insertion is no word of the reference
    )  # u4 was not heard at all
    assert oov_errors(REFERENCES, hypotheses, VOCABULARY) == {"words": 5, "wrong": 3, "rate": 60.0}


def test_a_word_counts_only_where_it_is_aligned() -> None:
    found = oov_errors(transcripts(u="mat the cat sat on a"), transcripts(u="the cat sat on a mat"), VOCABULARY)
    assert found == {"words": 1, "wrong": 1, "rate": 100.0}


def test_a_recogniser_of_the_vocabulary_gets_all_of_them_wrong() -> None:
    closed = {name: [word if word in VOCABULARY else "a" for word in words] for name, words in REFERENCES.items()}
    assert oov_errors(REFERENCES, closed, VOCABULARY)["rate"] == 100.0
    assert oov_errors(REFERENCES, REFERENCES, VOCABULARY)["rate"] == 0.0


def test_no_word_is_outside() -> None:
    assert oov_errors({"u": ["the", "cat"]}, {}, VOCABULARY) == {"words": 0, "wrong": 0, "rate": None}


@pytest.mark.parametrize("text", ["<eps> 0\na 1\ncat 2\n", "a\t0.5\tAH\na\t0.5\tEY\ncat\t1\tK AE T\n", "a\n\ncat"])
def test_vocabularies(tmp_path: Path, text: str) -> None:
    path = tmp_path / "words.txt"
    path.write_text(text)
    assert read_vocabulary(path) - {"<eps>"} == {"a", "cat"}


def test_bad_vocabularies_are_refused(tmp_path: Path) -> None:
    with refused(tmp_path / "none"):
        read_vocabulary(tmp_path / "none")
    (tmp_path / "empty").write_text("\n")
    with refused(tmp_path / "empty"):
        read_vocabulary(tmp_path / "empty")
    (tmp_path / "bytes").write_bytes(b"\xff\n")
    with refused(tmp_path / "bytes"):
        read_vocabulary(tmp_path / "bytes")
