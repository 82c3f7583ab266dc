"""Reading transcripts and counting errors over utterances."""

from pathlib import Path

import pytest

from asrdistill.scoring.wer import Counts, concatenate, read_transcripts, score
from tests.refusals import refused

REFERENCES = {"u1": ["one", "two", "three"], "u2": ["four"], "u3": ["five", "six"]}


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_counts_of_planted_errors() -> None:
    scores = score(REFERENCES, {"u1": ["one", "too", "three", "and"], "u2": [], "u3": ["five", "six"]})
    assert scores.counts.tolist() == [[3, 1, 0, 1], [1, 0, 1, 0], [2, 0, 0, 0]]
    assert scores.total == Counts(words=6, ins=1, dels=1, subs=1)
    assert scores.total.percent == 50
    assert str(scores.total) == "%WER 50.00 [ 3 / 6, 1 ins, 1 del, 1 sub ]"


def test_missing_hypotheses_are_deletions() -> None:
    scores = score(REFERENCES, {"u2": ["four"]})
    assert scores.total == Counts(words=6, ins=0, dels=5, subs=0)
    assert scores.missing == ["u1", "u3"]


def test_unknown_hypotheses_are_refused() -> None:
    with refused("hyp.txt", "2 utterances", "x1", "x2"):
        score(REFERENCES, {"x2": [], "u1": ["one"], "x1": []}, "hyp.txt")


def test_reference_without_words_is_refused() -> None:
    with refused("words"):
        score({"u1": []}, {})


def test_groups_and_sets() -> None:
    scores = score(REFERENCES, {"u1": ["one"], "u2": ["four"], "u3": ["five", "five"]})
    speakers = scores.by({"u1": "b", "u2": "b", "u3": "a"})
    assert list(speakers.items()) == [("a", Counts(2, 0, 0, 1)), ("b", Counts(4, 0, 2, 0))]
    with refused("u3", "utt2spk"):
        scores.by({"u1": "b", "u2": "b"})
    both = concatenate([scores, scores])
    assert both.total == Counts(12, 0, 4, 2)


def test_groups_by_length() -> None:
    """Utterances of 0, 2, 3, 40, 41 and 50 words, each with its last word left out."""
    references = {f"u{length}": ["a"] * length for length in (0, 2, 3, 40, 41, 50)}
    scores = score(references, {name: words[:-1] for name, words in references.items()})
    assert list(scores.by_length().items()) == [
        ("up to 2", Counts(2, 0, 1, 0)),
        ("3 to 5", Counts(3, 0, 1, 0)),
        ("21 to 40", Counts(40, 0, 1, 0)),
        ("over 40", Counts(91, 0, 2, 0)),
    ]


def test_kaldi_text_trn_and_ctm_read_the_same(tmp_path: Path) -> None:
    wanted = {"b": ["x", "y"], "a": ["z"]}
    text = write(tmp_path, "hyp.txt", "b x y\na z\n")
    trn = write(tmp_path, "hyp.trn", "x y (b)\nz (a)\n")
    ctm = write(tmp_path, "hyp.ctm", ";; words\nb 1 0.50 0.20 y 0.9\nb 1 0.10 0.20 x\na 1 0.00 0.10 z\n")
    assert read_transcripts(text) == read_transcripts(trn) == read_transcripts(ctm) == wanted
    assert read_transcripts(write(tmp_path, "empty.txt", "a\n")) == {"a": []}
    assert read_transcripts(write(tmp_path, "empty.trn", "(a)\n")) == {"a": []}


@pytest.mark.parametrize(
    ("name", "content", "names"),
    [
        ("hyp.txt", "a x\na y\n", ["utterance a", "twice"]),
        ("hyp.trn", "x y\n", ["'x y'"]),
        ("hyp.trn", "x (y) z\n", ["'x (y) z'"]),
        ("hyp.ctm", "a 1 0.0 x\n", ["'a 1 0.0 x'"]),
        ("hyp.ctm", "a 1 now 0.1 x\n", ["'a 1 now 0.1 x'"]),
    ],
)
def test_bad_lines_are_refused(tmp_path: Path, name: str, content: str, names: list[str]) -> None:
    with refused(tmp_path / name, *names):
        read_transcripts(write(tmp_path, name, content))


def test_bad_files_are_refused(tmp_path: Path) -> None:
    with refused(tmp_path / "none.txt"):
        read_transcripts(tmp_path / "none.txt")
    (tmp_path / "folder").mkdir()
    with refused(tmp_path / "folder"):
        read_transcripts(tmp_path / "folder")
    (tmp_path / "bytes").write_bytes(b"a \xff\n")
    with refused(tmp_path / "bytes", "UTF-8", "line 1"):
        read_transcripts(tmp_path / "bytes")


def test_stm_is_read_in_order_of_time_without_labels_and_remarks(tmp_path: Path) -> None:
    text = ";; remark\nf A s 1 2 <o,f0,male> on the mat\nf A s 0 1 the cat\ng A s 0 1\n"
    assert read_transcripts(write(tmp_path, "a.STM", text)) == {"f": ["the", "cat", "on", "the", "mat"], "g": []}


def test_channels_of_a_file_are_utterances(tmp_path: Path) -> None:
    text = "f A 0.0 0.1 hello\nf B 0.5 0.1 good\nf A 1.6 0.1 there\nf B 1.5 0.1 bye\ng 1 0.0 0.1 so\n"
    expected = {"f-A": ["hello", "there"], "f-B": ["good", "bye"], "g": ["so"]}
    assert read_transcripts(write(tmp_path, "a.CTM", text)) == expected


def test_byte_order_mark_is_no_part_of_the_first_word(tmp_path: Path) -> None:
    assert read_transcripts(write(tmp_path, "a.TRN", "\ufeffthe cat (u)\n")) == {"u": ["the", "cat"]}


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("a.ctm", "my speech.wav 1 0.1 0.2 this"),
        ("a.ctm", "f 1 nan 0.1 this"),
        ("a.ctm", "f 1 0 0.1 this 0.5 lex s more"),
        ("a.stm", "f A s 0 nan this"),
        ("a.stm", "u1 this is Kaldi's text"),
    ],
)
def test_lines_with_other_columns_are_refused(tmp_path: Path, name: str, line: str) -> None:
    with refused(tmp_path / name, "line 1"):
        read_transcripts(write(tmp_path, name, line + "\n"))
