"""Transcripts that are read from their file when they are wanted."""

from pathlib import Path

import pytest

from asrdistill.data.directory import DataDirectory, Utterance
from asrdistill.data.text import read_texts
from asrdistill.errors import UserError
from asrdistill.parallel import split

WORDS = {f"u{n:02}": [f"wörd{k}" for k in range(n % 4)] for n in range(23)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "x.wav").touch()
    audio = str(tmp_path / "x.wav")
    DataDirectory(Utterance(name, audio, "s", " ".join(words)) for name, words in WORDS.items()).write(tmp_path)
    return tmp_path


def test_all_and_slices(folder: Path) -> None:
    texts, wanted = read_texts(folder), list(WORDS.items())
    assert list(texts) == list(texts) == wanted
    assert texts[3] == wanted[3]
    for part in (slice(5, 9), slice(20, None), slice(0, 0), slice(7, 3), slice(-2, None)):
        assert list(texts[part]) == wanted[part]
    parts = split(texts, 5)
    assert [list(part) for part in parts] == split(wanted, 5)
    assert list(parts[2][1:3]) == split(wanted, 5)[2][1:3]


def test_segments(tmp_path: Path) -> None:
    (tmp_path / "x.wav").touch()
    cut = [Utterance(f"u{n}", str(tmp_path / "x.wav"), "s", f"w{n}", "x", n, n + 1) for n in range(3)]
    DataDirectory(cut).write(tmp_path)
    assert list(read_texts(tmp_path)) == [("u0", ["w0"]), ("u1", ["w1"]), ("u2", ["w2"])]


def test_audio_may_be_gone(folder: Path) -> None:
    (folder / "x.wav").unlink()
    assert len(read_texts(folder)) == 23


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("u03", "u3x"), "text, line 5: u04 is out of order"),
        (lambda text: text + "u99 more\n", "text has 1 utterances without audio in .*: u99"),
        (lambda text: text[: text.index("u20")], "text lacks 3 utterances that .*: u20, u21, u22"),
        (lambda text: text.replace("u05", "\nu05"), "text, line 6 is empty"),
        (lambda text: text.replace("u06", "u05"), "text, line 7: u05 stands there twice"),
        (lambda text: "", "text is empty"),
    ],
)
def test_tables_that_disagree(folder: Path, change, message: str) -> None:
    text = (folder / "text").read_text()
    (folder / "text").write_text(change(text))
    with pytest.raises(UserError, match=message):
        read_texts(folder)


def test_no_text(folder: Path) -> None:
    (folder / "text").unlink()
    with pytest.raises(UserError, match="utterance u00 has no transcript; add it to the text of"):
        read_texts(folder)
    (folder / "text").write_bytes(b"u00 \xff\n")
    with pytest.raises(UserError, match="text is not UTF-8"):
        read_texts(folder)
    with pytest.raises(UserError, match=r"data directory .*none does not exist"):
        read_texts(folder / "none")
