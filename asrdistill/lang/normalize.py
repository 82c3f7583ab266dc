"""Text normalisation: from written sentences to spoken words."""

import re
import unicodedata
from functools import cache

import inflect

STAGE_DIRECTION = re.compile(r"\([^()]*\)|<[^<>]*>|\[[^\[\]]*\]")
NUMBER = re.compile(r"(\d{1,3}(?:,\d{3})+(?!\d)|\d+)(\.\d+)?(?:(st|nd|rd|th)\b|'?(s)\b)?", re.ASCII)
LONGEST = 15  # digits; longer numbers are read digit by digit
NOT_SPOKEN = re.compile(r"[^a-z']+")
LETTERS = str.maketrans("øłđðıħŧ", "olddiht", "\xad") | str.maketrans({"æ": "ae", "œ": "oe", "þ": "th"})
FRACTION = re.compile(r"\d*⁄\d*")  # others, decomposed, are left out
APOSTROPHES = str.maketrans("’‘`´ʼ", "'''''")
SIGNS = str.maketrans({"½": " one half ", "¼": " one quarter ", "¾": " three quarters ", "™": " ", "℠": " "})


def normalize_english(sentence: str) -> str:
    """English words of a-z and apostrophes, in lower case, separated by blanks.

    Removes stage directions in (), <> or [], then accents (Łódź lodz, Weißbier weissbier); writes out numbers (`13th`
    thirteenth, `1948` nineteen forty eight, `3.5` three point five); other characters become blanks (`D.N.A.` d n a).
    """
    text = unicodedata.normalize("NFKD", STAGE_DIRECTION.sub(" ", sentence).translate(APOSTROPHES).translate(SIGNS))
    text = FRACTION.sub(" ", "".join(c for c in text.casefold().translate(LETTERS) if not unicodedata.combining(c)))
    words = NOT_SPOKEN.sub(" ", NUMBER.sub(_spell, text)).split()
    return " ".join(word for word in words if word.strip("'"))


def normalize_text(sentence: str, language: str = "en") -> str:
    """Spoken words of a sentence: English by :func:`normalize_english`, other languages as written.

    For these, removes stage directions; keeps letters in lower case (NFC), marks and inner apostrophes, no digits.
    """
    if language == "en":
        return normalize_english(sentence)
    text = unicodedata.normalize("NFC", STAGE_DIRECTION.sub(" ", sentence).translate(APOSTROPHES).lower())
    words = "".join(c if c == "'" or unicodedata.category(c)[0] in "LM" else " " for c in text).split()
    return " ".join(word for word in (word.strip("'") for word in words) if word)


def _spell(match: re.Match[str]) -> str:
    digits, fraction, ordinal, plural = match.groups()
    whole = digits.replace(",", "")
    year = len(digits) == 4 and "1100" <= digits <= "1999"
    words = _year(int(digits)) if year and not (ordinal or fraction) else _cardinal(whole + (fraction or ""))
    if ordinal:
        words = _engine().ordinal(words)
    elif plural:
        words = _engine().plural_noun(words)
    return f" {words} "


def _year(year: int) -> str:
    """1948 nineteen forty-eight, 1905 nineteen oh five, 1900 nineteen hundred."""
    century, rest = _cardinal(str(year // 100)), _cardinal(str(year % 100))
    if year % 100 == 0:
        return f"{century} hundred"
    return f"{century} oh {rest}" if year % 100 < 10 else f"{century} {rest}"


def _cardinal(number: str) -> str:
    group = 1 if len(number) > LONGEST else 0
    return str(_engine().number_to_words(number, andword="", group=group))  # type: ignore[arg-type]  # it takes text, too


@cache
def _engine() -> inflect.engine:
    return inflect.engine()
