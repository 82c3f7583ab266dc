"""Pronunciations for a language of which nothing is known but its spelling: each letter is a phone.

Kanthak and Ney 2002, "Context-dependent acoustic modeling using graphemes for large vocabulary speech recognition":
trees that ask for the letters beside a letter learn most of what a spelling's rules would say.
"""

import unicodedata
from collections.abc import Iterable

from asrdistill.errors import UserError, shorten
from asrdistill.lang.dictionary import Dictionary


def spell_words(words: Iterable[str]) -> Dictionary:
    """word -> its one pronunciation, for all words.

    Raises UserError that names words in which there is no letter: nobody knows how `24` is said.
    """
    spelled = {word: [spell(word)] for word in words}
    if silent := sorted(word for word, (letters,) in spelled.items() if not letters):
        raise UserError(
            f"{len(silent)} word(s) have no letter to be pronounced by ({shorten(silent)}); spell them in the text"
        )
    return spelled


def spell(word: str) -> tuple[str, ...]:
    """The letters of a word: composed (NFC), case-folded; a mark that no letter is composed with stays with its letter.

    Digits, apostrophes and other signs are not pronounced.
    """
    letters: list[str] = []
    for sign in unicodedata.normalize("NFC", unicodedata.normalize("NFC", word).casefold()):
        kind = unicodedata.category(sign)[0]
        if kind == "L":
            letters.append(sign)
        elif kind == "M" and letters:
            letters[-1] += sign
    return tuple(letters)
