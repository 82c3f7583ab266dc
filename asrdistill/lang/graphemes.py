"""Grapheme lexica: each letter is a phone (Kanthak, Ney 2002)."""

import unicodedata
from collections.abc import Iterable

from asrdistill.errors import UserError, shorten
from asrdistill.lang.dictionary import Dictionary


def spell_words(words: Iterable[str]) -> Dictionary:
    """word -> its one pronunciation; raises UserError naming words without letters."""
    spelled = {word: [spell(word)] for word in words}
    if silent := sorted(word for word, (letters,) in spelled.items() if not letters):
        raise UserError(
            f"{len(silent)} word(s) have no letter to be pronounced by ({shorten(silent)}); spell them in the text"
        )
    return spelled


def spell(word: str) -> tuple[str, ...]:
    """Letters of a word, NFC and case-folded, with their combining marks; no digits or signs."""
    letters: list[str] = []
    for sign in unicodedata.normalize("NFC", unicodedata.normalize("NFC", word).casefold()):
        kind = unicodedata.category(sign)[0]
        if kind == "L":
            letters.append(sign)
        elif kind == "M" and letters:
            letters[-1] += sign
    return tuple(letters)
