"""Folding tokens before they are scored."""

from pathlib import Path

import pytest

from asrdistill.cli import main
from asrdistill.scoring.transcripts import fold, read_map
from tests.refusals import refused

PHONES = Path(__file__).resolve().parents[2] / "data/timit_phones.txt"


def test_timit_is_folded_to_39_phones():
    map = read_map(PHONES)
    assert len({target for target in map.values() if target}) == 39
    said = ["h#", "q", "dh", "ax-h", "kcl", "k", "ix", "zh", "el", "cl", "epi", "vcl", "sil"]
    folded = fold({"u": said}, map, "ref")
    assert " ".join(folded["u"]) == "sil dh ah sil k ih sh l sil sil sil sil"


def test_score_with_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(tmp_path)
    Path("ref").write_text("u1 sil ix q cl k sil\nu2 q\n")
    Path("hyp").write_text("u1 sil ih vcl k ae sil\nu2\n")
    assert main(["score", "ref", "hyp", "--map", str(PHONES), "--against", "hyp"]) == 0
    assert "%WER 20.00 [ 1 / 5, 1 ins, 0 del, 0 sub ] hyp" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a b\nc a d\n", ["line 2", "'a'", "d", "b"]),
        ("a b\na\n", ["line 2", "'a'", "b"]),
        ("", ["empty"]),
        (None, []),
    ],
)
def test_bad_maps_are_refused(tmp_path: Path, text: str | None, names: list[str]):
    if text is not None:
        (tmp_path / "map").write_text(text)
    with refused(tmp_path / "map", *names):
        read_map(tmp_path / "map")


def test_token_outside_the_map_is_refused(tmp_path: Path):
    with refused("hyp", "'c'", "utterance u"):
        fold({"u": ["a", "c"]}, {"a": "b", "b": "b"}, "hyp")
