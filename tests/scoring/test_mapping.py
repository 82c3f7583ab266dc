"""Folding tokens before they are scored."""

from pathlib import Path

import pytest

from asrdistill.cli import main
from asrdistill.errors import UserError
from asrdistill.scoring.mapping import fold, read_map

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
    ("text", "message"),
    [
        ("a b\nc a d\n", "line 2: 'a' counts as d here, but as b further up"),
        ("a b\na\n", "line 2: 'a' counts as nothing here, but as b further up"),
        ("", "map is empty"),
        (None, "map is not there, or is no text"),
    ],
)
def test_bad_maps(tmp_path: Path, text: str | None, message: str):
    if text is not None:
        (tmp_path / "map").write_text(text)
    with pytest.raises(UserError, match=message):
        read_map(tmp_path / "map")


def test_token_outside_the_map_is_named(tmp_path: Path):
    with pytest.raises(UserError, match="hyp: 'c' in utterance u is not in the map; add it there"):
        fold({"u": ["a", "c"]}, {"a": "b", "b": "b"}, "hyp")
