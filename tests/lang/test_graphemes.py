import pytest

from asrdistill.cli import main
from asrdistill.lang.dictionary import pronounce_words, spell, spell_words
from asrdistill.lang.lexicon import Lang
from asrdistill.lang.normalize import normalize_text
from tests.refusals import assert_refused, refused


@pytest.mark.parametrize(
    ("word", "letters"),
    [
        ("Café", "c a f é"),
        ("cafe\u0301", "c a f é"),  # decomposed
        ("l'heure", "l h e u r e"),
        ("straße", "s t r a s s e"),
        ("ёлка", "ё л к а"),
        ("हिंदी", "हिं दी"),  # marks stay with their letter
        ("vis-à-vis2", "v i s à v i s"),
        ("שלום", "ש ל ו ם"),
    ],
)
def test_words_are_spelled(word, letters):
    assert " ".join(spell(word)) == letters


def test_words_without_letters_are_refused():
    with refused("1 word", "24"):
        spell_words(["two", "24"])


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("Composez votre numéro d’agent, suivi du dièse.", "composez votre numéro d'agent suivi du dièse"),
        ("Дефис. [-]", "дефис"),
        ("Переадресация вызовов если «недоступен»", "переадресация вызовов если недоступен"),
        ("E\u0301te\u0301, 24 fois", "été fois"),
        ("'tis — ''", "tis"),
        ("नमस्ते दुनिया", "नमस्ते दुनिया"),
    ],
)
def test_words_of_other_languages_are_kept(sentence, words):
    assert normalize_text(sentence, "fr") == words


def test_english_is_normalised():
    assert normalize_text("Café no. 24!", "en") == "cafe no twenty four"


def test_a_lang_folder_of_letters(tmp_path):
    (tmp_path / "text").write_text("ça va\nélan vital\n")
    argv = ["lang", "build", str(tmp_path / "lang"), "--graphemes", "--text", str(tmp_path / "text")]
    assert main(argv) == 0
    lang = Lang.read(tmp_path / "lang")
    assert lang.words == ["va", "vital", "ça", "élan"]
    assert lang.phones == ["SIL", *sorted("çavélnit")]
    assert lang.pronunciations["ça"] == [(1.0, ("ç", "a"))]


def test_letters_unknown_to_g2p_are_refused(tmp_path):
    (tmp_path / "dictionary").write_text("".join(f"{w}\t{' '.join(w.upper())}\n" for w in ("ab", "ba", "bab", "aba")))
    (tmp_path / "text").write_text("ab кот\n")
    assert main(["lang", "g2p", str(tmp_path / "dictionary"), str(tmp_path / "g2p"), "--order", "2"]) == 0
    given = ["--dictionary", str(tmp_path / "dictionary"), "--text", str(tmp_path / "text")]
    assert_refused(["lang", "build", str(tmp_path / "lang"), *given, "--g2p", str(tmp_path / "g2p")], "'кот'", "'к'")
    assert_refused(["lang", "build", str(tmp_path / "lang"), *given], "1 word", "кот")


def test_words_verb_writes_sentences_and_tables(tmp_path):
    (tmp_path / "a.txt").write_text("Bonjour, Jean!\n\n...\n")
    assert main(["data", "normalize-text", str(tmp_path / "a.txt"), str(tmp_path / "out"), "--language", "fr"]) == 0
    assert (tmp_path / "out").read_text() == "bonjour jean\n"
    (tmp_path / "ref").write_text("clip.1 It's 5 o'clock.\nclip.2\n")
    assert main(["data", "normalize-text", str(tmp_path / "ref"), str(tmp_path / "out"), "--table"]) == 0
    assert (tmp_path / "out").read_text() == "clip.1 it's five o'clock\nclip.2\n"


def test_more_text_makes_the_language_model_larger(tmp_path):
    import soundfile

    data = tmp_path / "data"
    data.mkdir()
    soundfile.write(data / "u.wav", [0.0] * 800, 8000)
    (data / "wav.scp").write_text("u u.wav\n")
    (data / "text").write_text("u ab ba\n")
    (tmp_path / "more").write_text("ba ab ab\nba ab ab\n")
    assert main(["lang", "build", str(data), str(tmp_path / "lang"), "--graphemes"]) == 0
    for out, more in (("small", []), ("large", ["--text", str(tmp_path / "more")])):
        assert main(["lang", "lm", str(data), str(tmp_path / "lang"), str(tmp_path / out), "--order", "2", *more]) == 0
    assert "ab ab" not in (tmp_path / "small/lm.arpa").read_text()
    assert "ab ab" in (tmp_path / "large/lm.arpa").read_text()


def test_english_endings_are_for_english_alone():
    german = {"geht": [("g", "e:", "t")], "um": [("U", "m")]}
    with refused("1 word", "geht's"):
        pronounce_words(["geht's"], german, None)
    found, guessed = pronounce_words(["geht's"], german, lambda word: [(1.0, ("g", "e:", "t", "s"))])
    assert found == guessed == {"geht's": [(1.0, ("g", "e:", "t", "s"))]}
