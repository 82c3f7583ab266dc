"""The command ``score``, from files to output."""

import json
from pathlib import Path

import pytest

from asrdistill.cli import main
from tests.refusals import assert_refused


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("ref").write_text("u1 the cat sat on the mat\nu2 good morning\nu3 yes\n")
    Path("hyp").write_text("u1 the hat sat on a the\nu2 good morning\n")
    Path("hyp2").write_text("u1 no\nu2 no\nu3 no\n")
    Path("utt2spk").write_text("u1 ann\nu2 bob\nu3 ann\n")
    return tmp_path


def test_text(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "ref", "hyp", "--worst", "1", "--per-speaker", "utt2spk", "--against", "hyp2"]) == 0
    printed = capsys.readouterr().out
    assert "%WER 44.44 [ 4 / 9, 1 ins, 2 del, 1 sub ] hyp" in printed
    assert "without a hypothesis, so counted as deleted: 1 (u3)" in printed
    assert "ann  %WER 57.14 [ 4 / 7, 1 ins, 2 del, 1 sub ]" in printed
    assert "  REF: the CAT sat on * the MAT\n  HYP: the HAT sat on A the ***" in printed
    assert "hyp minus hyp2: -55.56 points" in printed


def test_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "ref", "hyp", "--json", "--worst", "2", "--against", "hyp2"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert {key: summary[key] for key in ("errors", "words", "ins", "del", "sub", "utterances", "missing")} == {
        "errors": 4,
        "words": 9,
        "ins": 1,
        "del": 2,
        "sub": 1,
        "utterances": 3,
        "missing": ["u3"],
    }
    assert [entry["utterance"] for entry in summary["worst"]] == ["u1", "u3"]
    assert summary["against"]["comparison"]["difference"] == pytest.approx(-500 / 9)


def test_lengths_and_words_outside_the_vocabulary(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("words.txt").write_text("<eps> 0\ncat 1\ngood 2\nthe 3\nsat 4\non 5\nyes 6\n")  # not: mat, morning
    assert main(["score", "ref", "hyp", "--per-length", "--vocabulary", "words.txt", "--against", "hyp2"]) == 0
    printed = capsys.readouterr().out
    assert "\nup to 2  %WER 33.33 [ 1 / 3, 0 ins, 1 del, 0 sub ]\n6 to 10  %WER 50.00 [ 3 / 6, 1 ins," in printed
    assert printed.count("words outside the vocabulary: 1 of 2 wrong (50.00 %)") == 1
    assert printed.count("words outside the vocabulary: 2 of 2 wrong (100.00 %)") == 1  # those of hyp2


def test_a_vocabulary_that_lacks_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("words.txt").write_text("no\n")
    assert main(["score", "hyp2", "hyp2", "--vocabulary", "words.txt"]) == 0
    assert capsys.readouterr().out.endswith("words outside the vocabulary: 0 of 0 wrong\n")


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["ref", "none"], ["none"]),
        (["hyp", "ref"], ["ref", "u3"]),
        (["ref", "hyp", "--vocabulary", "none"], ["none"]),
        (["ref", "hyp", "--worst", "-1"], ["--worst", -1]),
    ],
)
@pytest.mark.usefixtures("folder")
def test_bad_arguments_are_refused(arguments: list[str], names: list) -> None:
    assert_refused(["score", *arguments], *names)
