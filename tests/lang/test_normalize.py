import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrdistill.lang.normalize import normalize_english


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("Who are you?", "who are you"),
        ("Don't touch Joe's plane!", "don't touch joe's plane"),
        ("I found 'em in the AMAZONS' dungeon.", "i found 'em in the amazons' dungeon"),
        ("a half-witted, scruffy pilot...", "a half witted scruffy pilot"),
        ("The D.N.A. of the R.S.P.C.A.?", "the d n a of the r s p c a"),
        ("It's the Super Soldier Treatment^_.", "it's the super soldier treatment"),
        ("Café, naïve, Ätna", "cafe naive atna"),
        ("don’t", "don't"),  # a typographic apostrophe
        ("one ' two '' three", "one two three"),
        ("  many\t blanks\n", "many blanks"),
        ("Ærøskøbing and Łódź", "aeroskobing and lodz"),
        ("Weißbier for Søren", "weissbier for soren"),
        ("Þingvellir, Đorđe, mon cœur", "thingvellir dorde mon coeur"),
        ("№ 5", "no five"),
        ("𝗛𝗲𝗹𝗹𝗼 there", "hello there"),
        ("½ cup, ⅝ inch", "one half cup inch"),
    ],
)
def test_words(sentence, words):
    assert normalize_english(sentence) == words


@pytest.mark.parametrize("sentence", ["(sigh)", "<gulp>", "[laughs]", "", "...", "' '", "((sigh))"])
def test_nothing_is_said(sentence):
    assert normalize_english(sentence) == ""


def test_closed_stage_directions_are_removed():
    assert normalize_english("Well (sigh) I <cough> will [pause] go") == "well i will go"
    assert normalize_english("&#($!!, he got away!") == "he got away"


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("0", "zero"),
        ("24", "twenty four"),
        ("100", "one hundred"),
        ("101", "one hundred one"),
        ("1,234", "one thousand two hundred thirty four"),
        ("10,000 miles", "ten thousand miles"),
        ("2001", "two thousand one"),
        ("3.5", "three point five"),
        ("13th", "thirteenth"),
        ("21st", "twenty first"),
        ("102nd", "one hundred second"),
        ("3rd", "third"),
        ("1948", "nineteen forty eight"),
        ("1905", "nineteen oh five"),
        ("1900", "nineteen hundred"),
        ("1844", "eighteen forty four"),
        ("1940's", "nineteen forties"),
        ("1940s", "nineteen forties"),
        ("1234.5", "one thousand two hundred thirty four point five"),
        ("X7", "x seven"),
        ("7up", "seven up"),
        (
            "12345678901234567890",
            "one two three four five six seven eight nine zero one two three four five six seven eight nine zero",
        ),
    ],
)
def test_numbers_become_words(number, words):
    assert normalize_english(number) == words


@given(st.text())
def test_output_has_only_letters_apostrophes_and_single_blanks(sentence):
    words = normalize_english(sentence)
    assert re.fullmatch(r"([a-z']+( [a-z']+)*)?", words)
    assert normalize_english(words) == words


@given(st.from_regex(r"[0-9][0-9,.]{0,25}(st|th|s|'s)?", fullmatch=True))
def test_no_number_is_too_odd(number):
    assert normalize_english(number)
