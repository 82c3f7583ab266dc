import math

import pytest

from asrdistill.cli import main
from asrdistill.lang.g2p_training import align_letters
from asrdistill.lang.lexicon import LINK, Lang
from asrdistill.lang.ngram import read_arpa
from asrdistill.lang.subwords import Speller, make_subword_lang, pronounce_pieces, spell_text, train_pieces, units
from tests.refusals import assert_refused, refused

WORDS = ["kata", "taka", "takata", "katata", "kaka", "tata", "akat", "atak", "taki", "kita", "titi", "kiki"]
SOUND = {"k": "K", "a": "AA", "t": "T", "i": "IY"}
SPOKEN = {word: [tuple(SOUND[letter] for letter in word)] for word in WORDS}
PIECES = {f"ka{LINK}": -1.0, f"k{LINK}": -2.0, f"{LINK}a{LINK}": -2.0, f"{LINK}ta": -1.5, f"{LINK}t{LINK}": -3.0}


def plain(unit: str) -> str:
    return unit.replace(LINK, "")


def folder_of(tmp_path, lang: Lang, name: str = "lang"):
    (tmp_path / name).mkdir()
    lang.write(tmp_path / name)
    return tmp_path / name


@pytest.fixture
def closed() -> Lang:
    spoken = {word: [(1.0, phones) for phones in variants] for word, variants in SPOKEN.items()}
    return Lang.build(spoken, SOUND.values())


@pytest.fixture
def opened(tmp_path, closed) -> Lang:
    (tmp_path / "opened").mkdir()
    make_subword_lang(closed, WORDS, {}, 12, tmp_path / "opened")
    return Lang.read(tmp_path / "opened")


def test_letters_and_phones_are_aligned():
    for word, graphones in align_letters(SPOKEN, 8):
        assert "".join(letters for letters, _ in graphones) == word
        assert all(phones == tuple(SOUND[letter] for letter in letters) for letters, phones in graphones)


def test_pieces_are_pronounced_where_they_stand():
    """shin, ship, sin and pike, whose e is silent: s is torn from sh in two of three places, the e never said."""
    sh, i, n, p = ("sh", ("SH",)), ("i", ("IH",)), ("n", ("N",)), ("p", ("P",))
    aligned = [("shin", [sh, i, n]), ("ship", [sh, i, p]), ("sin", [("s", ("S",)), i, n])]
    aligned += [
        ("pike", [p, ("i", ("AY",)), ("k", ("K",)), ("e", ())]),
        ("bits", [("b", ("B",)), i, ("ts", ("T", "S"))]),
    ]
    forms = ("s{0}", "sh{0}", "{0}i{0}", "{0}in", "{0}e", "{0}ke", "{0}s", "{0}h{0}", "x{0}", "in")
    scores = dict.fromkeys((form.format(LINK) for form in forms), -2.0)
    good, pronunciations = pronounce_pieces(scores, aligned)
    assert pronunciations == {
        f"s{LINK}": [(1.0, ("S",))],
        f"sh{LINK}": [(1.0, ("SH",))],
        f"{LINK}i{LINK}": [(0.8, ("IH",)), (0.2, ("AY",))],
        f"{LINK}in": [(1.0, ("IH", "N"))],
        f"{LINK}ke": [(1.0, ("K",))],
    }
    assert good == pytest.approx({**dict.fromkeys(pronunciations, -2.0), f"s{LINK}": -2.0 + math.log(1 / 3)})


def test_rare_pronunciations_are_left_out():
    aligned = [("ab", [("a", ("A",)), ("b", ("B",))])] * 99 + [("ab", [("a", ("X",)), ("b", ("B",))])]
    _, pronunciations = pronounce_pieces({f"a{LINK}": -1.0}, aligned)
    assert pronunciations == {f"a{LINK}": [(1.0, ("A",))]}


def test_the_best_pieces_are_chosen():
    speller = Speller(PIECES)
    assert speller.spell("kata") == [f"ka{LINK}", f"{LINK}ta"]  # -2.5; k a ta would be -5.5
    assert speller.spell("katata") == [f"ka{LINK}", f"{LINK}t{LINK}", f"{LINK}a{LINK}", f"{LINK}ta"]
    assert speller.spell("tak") == speller.spell("ka") == speller.spell("") == []


@pytest.mark.parametrize(
    "words",
    [
        WORDS,
        ["straße", "größe", "süß", "äste", "große", "tür", "füße", "grüße"],
        ["λόγος", "λόγοι", "νόμος", "νόμοι", "τόπος", "τόποι"],
        ["don't", "can't", "won't", "isn't", "i've", "we've"],
        ["привет", "приветы", "совет", "советы", "ответ", "ответы"],
    ],
)
def test_text_is_spelled_and_joined_again(words):
    letters = set("".join(words))
    pieces = units(train_pieces(words, len(letters) + 5))
    speller = Speller(pieces)
    for word in [*words, words[0] + words[-1], words[1][::-1]]:
        spelled = speller.spell(word)
        assert len(spelled) > 1
        assert " ".join(spelled).replace(f"{LINK} {LINK}", "") == word


def test_model_equals_sentencepiece_and_is_deterministic():
    import sentencepiece

    model = train_pieces(WORDS, 12)
    assert model == train_pieces([*WORDS[::-1], *WORDS], 12)
    assert len(sentencepiece.SentencePieceProcessor(model_proto=model)) == 12


def test_more_pieces_than_the_words_allow_are_refused():
    with refused("2 words", "500") as error:
        train_pieces(["cat", "dog"], 500)
    assert "\n" not in str(error.value)
    with refused("0 words", "10"):
        train_pieces([], 10)


def test_an_open_vocabulary_is_read_as_it_was_written(tmp_path, closed, opened):
    assert set(closed.words) < set(opened.words)
    assert set(opened.words) - set(closed.words) == set(opened.pieces)
    assert {word: opened.pronunciations[word] for word in WORDS} == closed.pronunciations
    for piece in opened.pieces:
        best = opened.pronunciations[piece][0][1]
        assert best == tuple(SOUND[letter] for letter in plain(piece))
    assert (tmp_path / "opened/subwords.model").stat().st_size > 100


def test_words_and_rare_words_are_spelled_in_text(opened):
    kept, unknown = "kata", "titaka"
    already = " ".join(Speller(opened.pieces).spell(kept))
    sentences = [f"{kept} {unknown} {kept}", "taka kata <unk>", "qux kata", already]
    text = spell_text(sentences, opened)
    assert kept in text[0].split()
    assert plain(text[0]).replace(" ", "") == f"kata{unknown}kata"
    assert text[1:3] == ["taka kata <unk>", "<unk> kata"]  # no piece has a q
    assert text[3] == already
    rare = spell_text(sentences, opened, rare=True)
    assert rare[1].split()[0].endswith(LINK)  # taka stands there once
    assert rare[1].split()[-2:] == ["kata", "<unk>"]


def test_pieces_have_positions_where_words_do(tmp_path, closed):
    (tmp_path / "out").mkdir()
    make_subword_lang(closed.positioned(), WORDS, {}, 12, tmp_path / "out")
    lang = Lang.read(tmp_path / "out")
    for piece in lang.pieces:
        phones = lang.pronunciations[piece][0][1]
        assert phones[0].endswith(
            "_B" if not piece.startswith(LINK) else "_I" if piece.endswith(LINK) or phones[1:] else "_E"
        )
        assert phones[-1].endswith(
            "_I" if piece.endswith(LINK) and (piece.startswith(LINK) or phones[1:]) else ("_E", "_B")
        )


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("ka\u203f\tx\n", ["line 1", "<tab>"]),
        ("ka\u203f\tinf\n", ["line 1", "inf'"]),
        ("ka\t-1\n", ["line 1", "-1'"]),
        ("zz\u203f\t-1\n", ["lexicon.txt", "'zz\u203f'"]),
    ],
)
def test_damaged_pieces_are_refused(tmp_path, closed, content, names):
    folder = folder_of(tmp_path, closed)
    (folder / "pieces.txt").write_text(content)
    with refused("pieces.txt", *names):
        Lang.read(folder)


def test_marked_words_and_unknown_phones_are_refused(tmp_path, closed, opened):
    with refused("\u203f"):
        make_subword_lang(opened, WORDS, {}, 12, tmp_path)
    with refused("'kat'", "QQ"):
        make_subword_lang(closed, WORDS, {"kat": [("K", "QQ", "T")]}, 12, tmp_path)


def data_of(tmp_path, sentences):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "wav.scp").write_text("".join(f"u{i} true |\n" for i in range(len(sentences))))
    (folder / "text").write_text("".join(f"u{i} {sentence}\n" for i, sentence in enumerate(sentences)))
    return folder


def test_subwords_and_their_language_models(tmp_path, closed):
    lang = folder_of(tmp_path, closed)
    data = data_of(tmp_path, ["kata taka kata taka", "takata kata", "kiki titi titi kiki kikata"])
    out, lm = tmp_path / "open", tmp_path / "lm"
    assert main(["lang", "subwords", str(data), str(lang), str(out), "--pieces", "9"]) == 0
    assert main(["lang", "lm", str(data), str(out), str(lm), "--order", "2"]) == 0
    symbols = set(read_arpa(lm / "lm.arpa").symbols)
    assert {"kata", *Lang.read(out).pieces} <= symbols
    dictionary, taught = tmp_path / "dictionary", tmp_path / "taught"
    dictionary.write_text("kititi\tK IY T IY T IY\nkata\tK AA T AA\nkx\tK\n")
    assert main(["lang", "lm", str(data), str(out), str(taught), "--order", "3", "--dictionary", str(dictionary)]) == 0
    pieces = Speller(Lang.read(out).pieces).spell("kititi")
    model = read_arpa(taught / "lm.arpa")
    assert tuple(pieces[:3]) in model.levels[2]
    assert_refused(["lang", "lm", str(data), str(lang), str(tmp_path / "no"), "--dictionary", str(dictionary)], lang)
    assert_refused(["lang", "subwords", str(data), str(lang), str(tmp_path / "no"), "--pieces", "400"], "400")
    assert main(["lang", "subwords", str(data), str(lang), str(tmp_path / "no"), "--pieces", "0"]) == 2
