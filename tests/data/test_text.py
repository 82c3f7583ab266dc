"""Transcripts read on demand from their file."""

from pathlib import Path

import pytest

from asrdistill.data.directory import DataDirectory, Utterance
from asrdistill.data.text import read_texts
from asrdistill.parallel import split
from tests.refusals import refused

WORDS = {f"u{n:02}": [f"wörd{k}" for k in range(n % 4)] for n in range(23)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "x.wav").touch()
    audio = str(tmp_path / "x.wav")
    DataDirectory(Utterance(name, audio, "s", " ".join(words)) for name, words in WORDS.items()).write(tmp_path)
    return tmp_path


def test_texts_and_their_slices_are_read(folder: Path) -> None:
    texts, wanted = read_texts(folder), list(WORDS.items())
    assert list(texts) == list(texts) == wanted
    assert texts[3] == wanted[3]
    for part in (slice(5, 9), slice(20, None), slice(0, 0), slice(7, 3), slice(-2, None)):
        assert list(texts[part]) == wanted[part]
    parts = split(texts, 5)
    assert [list(part) for part in parts] == [part.utterances for part in split(wanted, 5)]
    assert list(parts[2].utterances[1:3]) == split(wanted, 5)[2].utterances[1:3]


def test_segments(tmp_path: Path) -> None:
    (tmp_path / "x.wav").touch()
    cut = [Utterance(f"u{n}", str(tmp_path / "x.wav"), "s", f"w{n}", "x", n, n + 1) for n in range(3)]
    DataDirectory(cut).write(tmp_path)
    assert list(read_texts(tmp_path)) == [("u0", ["w0"]), ("u1", ["w1"]), ("u2", ["w2"])]


def test_texts_are_read_without_audio(folder: Path) -> None:
    (folder / "x.wav").unlink()
    assert len(read_texts(folder)) == 23


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda text: text.replace("u03", "u3x"), ["line 5", "u04", "sort"]),
        (lambda text: text + "u99 more\n", ["u99"]),
        (lambda text: text[: text.index("u20")], ["u20", "u21", "u22"]),
        (lambda text: text.replace("u05", "\nu05"), ["line 6"]),
        (lambda text: text.replace("u06", "u05"), ["line 7", "u05", "twice"]),
        (lambda text: "", ["empty"]),
    ],
)
def test_tables_that_disagree_are_refused(folder: Path, change, names: list[str]) -> None:
    text = (folder / "text").read_text()
    (folder / "text").write_text(change(text))
    with refused(folder / "text", *names):
        read_texts(folder)


def test_missing_and_undecodable_text_is_refused(folder: Path) -> None:
    (folder / "text").unlink()
    with refused("u00"):
        read_texts(folder)
    (folder / "text").write_bytes(b"u00 \xff\n")
    with refused(folder / "text", "UTF-8"):
        read_texts(folder)
    with refused(folder / "none"):
        read_texts(folder / "none")
