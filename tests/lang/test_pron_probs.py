import pytest

from asrdistill.lang.lexicon import Lang
from asrdistill.lang.pron_probs import estimate_pron_probs
from tests.refusals import assert_names, refused

LANG = Lang.build(
    {"a": [(0.5, ("A",)), (0.5, ("B", "A"))], "b": [(1.0, ("B",))], "c": [(0.5, ("A",)), (0.5, ("B",))]}, ["A", "B"]
)


def write(folder, **ctms):
    """Pieces of 100 ms; `-` leaves a gap."""
    for name, utterances in ctms.items():
        lines = []
        for utterance, pieces in utterances.items():
            time = 0.0
            for piece in pieces.split():
                name_of, _, length = piece.partition(":")
                duration = 0.1 * int(length or 1)
                if name_of != "-":
                    lines.append(f"{utterance} 1 {time:.3f} {duration:.3f} {name_of}\n")
                time += duration
        (folder / f"{name}.ctm").write_text("".join(lines))


def test_planted_counts_are_found(tmp_path):
    phones = {"u1": "SIL B A A SIL B", "u2": "B A SIL", "u3": "SIL"}
    write(tmp_path, phones=phones, words={"u1": "- a:2 a - b", "u2": "a:2"})
    lang = estimate_pron_probs(LANG, tmp_path)
    assert lang.pronunciations["a"] == [(1.0, ("B", "A")), (pytest.approx(2 / 3), ("A",))]  # 2 + 1 against 1 + 1
    assert lang.pronunciations["b"] == [(1.0, ("B",))]
    assert {probability for probability, _ in lang.pronunciations["c"]} == {1.0}  # never said
    assert lang.silence_probability == pytest.approx((4 + 1) / (4 + 2 + 1 + 2))
    lang.write(tmp_path)
    assert Lang.read(tmp_path).silence_probability == pytest.approx(lang.silence_probability, rel=1e-5)


def test_words_missing_from_the_lexicon_are_a_warning(tmp_path, caplog):
    write(tmp_path, phones={"u1": "A X B"}, words={"u1": "a xx b"})
    with caplog.at_level("INFO", logger="asrdistill"):
        lang = estimate_pron_probs(LANG, tmp_path)
    assert_names(caplog.text, "1 words", "xx")
    assert lang.words == LANG.words
    assert lang.pronunciations["a"][0] == (1.0, ("A",))


def test_ctm_files_that_do_not_fit_are_refused(tmp_path):
    write(tmp_path, phones={"u1": "A A"}, words={"u1": "a:2"})
    with refused("'a'", "A A"):
        estimate_pron_probs(LANG, tmp_path)
    write(tmp_path, phones={"u1": "A"}, words={"u1": "a", "u2": "a"})
    with refused("u2"):
        estimate_pron_probs(LANG, tmp_path)
    (tmp_path / "words.ctm").write_text("u1 1 now\n")
    with refused(tmp_path / "words.ctm", "line 1"):
        estimate_pron_probs(LANG, tmp_path)
