import gzip

import pytest

from asrdistill.cli import main
from asrdistill.lang.dictionary import make_lang, pronounce_words, read_dictionary
from asrdistill.lang.lexicon import Lang
from tests.refusals import assert_refused, refused

CAT, DOG, BOSS = ("K", "AE", "T"), ("D", "AO", "G"), ("B", "AA", "S")
DICTIONARY = {"cat": [CAT], "dog": [DOG], "boss": [BOSS], "dogs": [(*DOG, "Z")], "it's": [("IH", "T", "S")]}


def test_reads_plain_and_packed(tmp_path):
    text = "the\tDH AH\nthe\tDH IY\ncat\tK AE T\n"
    (tmp_path / "plain.txt").write_text(text)
    (tmp_path / "packed.txt.gz").write_bytes(gzip.compress(text.encode()))
    expected = {"the": [("DH", "AH"), ("DH", "IY")], "cat": [CAT]}
    assert read_dictionary(tmp_path / "plain.txt") == read_dictionary(tmp_path / "packed.txt.gz") == expected


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b"cat\tK AE T\ndog\n", ["line 2", "'dog'"]),
        (b"cat\t \n", ["line 1"]),
        (b"", ["empty"]),
        (b"\xff\xfe\x00", ["UTF-8"]),
    ],
)
def test_bad_dictionaries_are_refused(tmp_path, content, names):
    (tmp_path / "d.txt").write_bytes(content)
    with refused(tmp_path / "d.txt", *names):
        read_dictionary(tmp_path / "d.txt")


def test_missing_and_truncated_dictionaries_are_refused(tmp_path):
    with refused(tmp_path / "d.txt"):
        read_dictionary(tmp_path / "d.txt")
    (tmp_path / "d.gz").write_bytes(gzip.compress(b"cat\tK AE T\n" * 50)[:-9])
    with refused(tmp_path / "d.gz"):
        read_dictionary(tmp_path / "d.gz")


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("cat's", (*CAT, "S")),
        ("dog's", (*DOG, "Z")),
        ("boss's", (*BOSS, "IH", "Z")),
        ("dogs'", (*DOG, "Z")),
        ("it's", ("IH", "T", "S")),
    ],
)
def test_base_words(word, phones):
    found, guessed = pronounce_words([word], DICTIONARY, None)
    assert found == {word: [(1.0, phones)]}
    assert not guessed


def test_variants_and_guesses():
    both = {"the": [("DH", "AH"), ("DH", "IY")]}
    found, guessed = pronounce_words(["the", "ook", "ook's"], both, lambda word: [(1.0, ("UW", "K"))])
    assert found["the"] == [(0.5, ("DH", "AH")), (0.5, ("DH", "IY"))]
    assert found["ook's"] == [(1.0, ("UW", "K", "S"))]
    assert guessed.keys() == {"ook", "ook's"}


def test_missing_words_without_g2p_are_refused():
    with refused("2 word", "'s", "ook", "--g2p"):
        pronounce_words(["cat", "ook", "'s"], DICTIONARY, None)


def test_unknown_phones_and_silence_in_words_are_refused(tmp_path):
    with refused("'ook'", "UW"):
        make_lang(["cat", "ook"], DICTIONARY, lambda word: [(1.0, ("UW", "K"))], tmp_path)
    with refused("SIL"):
        make_lang(["um"], {"um": [("SIL",)]}, None, tmp_path)


def test_lang_of_the_words_of_two_sets(tmp_path, lang_and_data):
    _, train, dev = lang_and_data
    dictionary, out = tmp_path / "d.txt", tmp_path / "made"
    dictionary.write_text("a\tAH\na\tEY\n")
    arguments = ["lang", "build", str(train), str(dev), str(out), "--dictionary", str(dictionary)]
    assert_refused(arguments, "1 word", "cat")
    assert not out.exists()
    dictionary.write_text("a\tAH\na\tEY\ncat\tK AE T\nzoo\tZ UW\n")
    assert main(arguments) == 0
    lang = Lang.read(out)
    assert lang.words == ["a", "cat"]
    assert lang.phones == ["SIL", "AE", "AH", "EY", "K", "T", "UW", "Z"]
    assert (out / "g2p.txt").read_text() == ""


def test_lang_of_a_whole_dictionary(tmp_path, lang_and_data):
    _, train, _ = lang_and_data
    dictionary = tmp_path / "d.txt"
    dictionary.write_text("a\tAH\nzoo\tZ UW\n")
    arguments = ["--dictionary", str(dictionary), "--all"]
    assert main(["lang", "build", str(tmp_path / "whole"), *arguments]) == 0
    assert Lang.read(tmp_path / "whole").words == ["a", "zoo"]
    dictionary.write_text("a\tAH\ncat\tK AE T\nzoo\tZ UW\n")
    assert main(["lang", "build", str(train), str(tmp_path / "both"), *arguments]) == 0
    assert Lang.read(tmp_path / "both").words == ["a", "cat", "zoo"]
    assert_refused(["lang", "build", str(tmp_path / "none"), *arguments[:2]], "--dictionary", "--all")


def test_the_most_frequent_words_that_the_dictionary_has(tmp_path):
    (tmp_path / "d.txt").write_text("a AA\nb B\nc K\nd D\n")
    (tmp_path / "text").write_text("x b x a b\nx c b a d\n")
    command = ["lang", "build", str(tmp_path / "lang"), "--text", str(tmp_path / "text"), "--most"]
    assert main([*command, "3", "--dictionary", str(tmp_path / "d.txt")]) == 0
    assert Lang.read(tmp_path / "lang").words == ["a", "b", "c"]
    assert_refused([*command, "3", "--graphemes"], "--most", "--dictionary")
    (tmp_path / "capitals.txt").write_text("A AA\nB B\n")
    assert_refused([*command, "3", "--dictionary", str(tmp_path / "capitals.txt")], tmp_path / "capitals.txt")
    assert_refused([*command, "0", "--dictionary", str(tmp_path / "d.txt")], "--most")


def test_stress_marks_on_some_words_are_left_out_of_all(tmp_path):
    """The same vowel is one phone; a dictionary with all marks, or with tones of another language, keeps them."""
    (tmp_path / "mixed.txt").write_text("a\tAH0\na\tAH1\na\tEY1\nbut\tB AH T\nrun\tR AH1 N\n")
    found = read_dictionary(tmp_path / "mixed.txt")
    assert found == {"a": [("AH",), ("EY",)], "but": [("B", "AH", "T")], "run": [("R", "AH", "N")]}
    (tmp_path / "marked.txt").write_text("a\tAH0\nbut\tB AH1 T\n")
    assert read_dictionary(tmp_path / "marked.txt") == {"a": [("AH0",)], "but": [("B", "AH1", "T")]}
    (tmp_path / "bare.txt").write_text("the\tDH AH\nd\tD IY\nd\tD IY\n")
    assert read_dictionary(tmp_path / "bare.txt") == {"the": [("DH", "AH")], "d": [("D", "IY")]}
    (tmp_path / "tones.txt").write_text("ma\tm a1\nma\tm a\nba\tb a2\n")
    assert read_dictionary(tmp_path / "tones.txt") == {"ma": [("m", "a1"), ("m", "a")], "ba": [("b", "a2")]}


def test_a_lang_of_a_dictionary_with_some_stress_marks_has_each_vowel_once(tmp_path):
    (tmp_path / "d.txt").write_text("a\tAH0\nbut\tB AH T\n")
    assert main(["lang", "build", str(tmp_path / "lang"), "--dictionary", str(tmp_path / "d.txt"), "--all"]) == 0
    assert Lang.read(tmp_path / "lang").phones[1:] == ["AH", "B", "T"]


@pytest.mark.parametrize(
    "lines",
    [
        "the\t0.5\t0.17\t1.0\t1.0\tDH AH\nthe\t1.0\t0.2\t1.0\t0.9\tDH IY\n",  # MFA
        "the 0.5 DH AH\nthe 1.0 DH IY\n",  # Kaldi's lexiconp.txt
        "the\t1\tDH IY\nthe\t0.5\tDH AH\n",  # ours
    ],
)
def test_probabilities_are_no_phones(tmp_path, lines):
    (tmp_path / "d.txt").write_text(lines)
    found, _ = pronounce_words(["the"], read_dictionary(tmp_path / "d.txt"), None)
    assert found == {"the": [(1.0, ("DH", "IY")), (0.5, ("DH", "AH"))]}


def test_remarks_disambiguation_and_variant_marks_are_no_phones_and_words(tmp_path):
    (tmp_path / "d.txt").write_text(
        ";;; CMUdict\nhello\tHH AH #1\nhello(2)  HH EH # greeting\nhello\tHH AH\n9\t9 6 1\n", "utf-8-sig"
    )
    assert read_dictionary(tmp_path / "d.txt") == {"hello": [("HH", "AH"), ("HH", "EH")], "9": [("9", "6", "1")]}


@pytest.mark.parametrize(
    "line", ["<eps>\tAH", "cat\tK <eps>", "<s>\tAH", "#0\tAH", "good bye\tG B", "cat 1.5 K", "cat 0.0 K"]
)
def test_lines_that_no_lang_folder_can_hold_are_refused(tmp_path, line):
    (tmp_path / "d.txt").write_text(f"dog\tD AO G\n{line}\n")
    with refused(tmp_path / "d.txt", "line 2"):
        read_dictionary(tmp_path / "d.txt")
    with refused("<eps>"):
        make_lang(["<eps>"], {"<eps>": [("AH",)]}, None, tmp_path)
