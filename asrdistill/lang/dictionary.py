"""Pronunciations of a vocabulary: from a dictionary, a base word or a G2P model."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from asrdistill.errors import UserError, shorten
from asrdistill.files import TABLES, parse_lines, write_text
from asrdistill.lang.lexicon import SILENCE, Lang, Pronunciation

log = logging.getLogger("asrdistill")

Dictionary = dict[str, list[tuple[str, ...]]]  # word -> its pronunciations, as phones
Guess = Callable[[str], list[Pronunciation]]

DICTIONARY = "lines of 'word <tab> phones', gzipped or not; cmudict is the one that comes with asrdistill"
VOICELESS = {"P", "T", "K", "F", "TH"}
SIBILANT = {"S", "Z", "SH", "ZH", "CH", "JH"}
CMUDICT_PHONES = """
AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH
"""


def dictionary_path(name: str) -> Path:
    """Path of a dictionary: a file, or ``cmudict``, which is shipped."""
    return TABLES / "cmudict.txt.gz" if name == "cmudict" and not Path(name).exists() else Path(name)


def read_dictionary(path: Path) -> Dictionary:
    """Lines of ``word <tab> phones``, without stress if a vowel has it only at times; UserError names a bad line."""
    dictionary: Dictionary = {}
    for word, phones in parse_lines(path, _parse_entry, "word <tab> phones"):
        dictionary.setdefault(word, []).append(phones)
    if not dictionary:
        raise UserError(f"dictionary {path} is empty; give another")
    known = set(phones_of(dictionary))
    english = {phone.rstrip("012") for phone in known} <= set(CMUDICT_PHONES.split())
    if english and any(phone + mark in known for phone in known for mark in "012"):
        log.warning("%s: some vowels have stress marks and some have none; all marks are left out", path)
        for word, variants in dictionary.items():
            dictionary[word] = list(dict.fromkeys(tuple(phone.rstrip("012") for phone in said) for said in variants))
    return dictionary


def _parse_entry(line: str) -> tuple[str, tuple[str, ...]]:
    word, _, phones = line.partition("\t")
    if not word.strip() or not phones.split():
        raise ValueError
    return word, tuple(phones.split())


def phones_of(dictionary: Dictionary) -> list[str]:
    return sorted({phone for variants in dictionary.values() for phones in variants for phone in phones})


def make_lang(
    words: Iterable[str], dictionary: Dictionary, guess: Guess | None, folder: Path, positions: bool = False
) -> None:
    """Write the lang folder of the words, and the guessed pronunciations as g2p.txt.

    positions  make position-dependent phones
    """
    phones = phones_of(dictionary)
    if SILENCE in phones:
        raise UserError(f"the dictionary has words with the phone {SILENCE}, which stands for silence; rename it there")
    pronunciations, guessed = pronounce_words(words, dictionary, guess)
    for word, variants in guessed.items():
        if foreign := {phone for _, sounds in variants for phone in sounds} - set(phones):
            raise UserError(
                f"G2P says '{word}' with the phone {min(foreign)}, which the dictionary lacks; "
                "train the G2P model on this dictionary"
            )
    lang = Lang.build(pronunciations, phones)
    (lang.positioned() if positions else lang).write(folder)
    lines = (f"{w}\t{p:.3f}\t{' '.join(sounds)}\n" for w, variants in guessed.items() for p, sounds in variants)
    write_text(folder / "g2p.txt", "".join(lines))


def pronounce_words(
    words: Iterable[str], dictionary: Dictionary, guess: Guess | None
) -> tuple[dict[str, list[Pronunciation]], dict[str, list[Pronunciation]]]:
    """(pronunciations of all words, those that were guessed).

    Variants of the dictionary are equally probable. `guess` (``G2P.pronounce``) pronounces words that the dictionary
    lacks; without it they raise a UserError. With CMUdict's phones, words in 's are derived from their base words.
    """
    english = {phone.rstrip("012") for phone in phones_of(dictionary)} <= set(CMUDICT_PHONES.split())
    split = _split if english else lambda word: (word, "")
    found: dict[str, list[Pronunciation]] = {}
    sources: dict[str, list[str]] = {"the dictionary": [], "their base word": [], "G2P": []}
    for word in sorted(set(words)):
        base, ending = split(word)
        if word in dictionary:
            source, variants = "the dictionary", dictionary[word]
        elif ending and base in dictionary:
            source, variants = "their base word", [_join(phones, ending) for phones in dictionary[base]]
        else:
            source, variants = "G2P", []
        found[word] = [(1 / len(variants), phones) for phones in variants]
        sources[source].append(word)
    missing = sources["G2P"]
    if missing and guess is None:
        raise UserError(
            f"the dictionary lacks {len(missing)} word(s) ({shorten(missing)}); add them, or give --g2p a model"
        )
    guessed: dict[str, list[Pronunciation]] = {}
    for word in missing if guess else ():
        base, ending = split(word)
        guessed[word] = [(probability, _join(phones, ending)) for probability, phones in guess(base)]  # type: ignore[misc]
    log.info("%d words: %s", len(found), "; ".join(f"{len(w)} by {s} ({shorten(w)})" for s, w in sources.items() if w))
    return found | guessed, guessed


def _split(word: str) -> tuple[str, str]:
    """The word before a possessive ending or a contracted `is`, and that ending; or the word and nothing."""
    if word.endswith("'s") and len(word) > 2:
        return word[:-2], "'s"
    if word.endswith("s'") and len(word) > 2:
        return word[:-1], "'"
    return word, ""


def _join(phones: tuple[str, ...], ending: str) -> tuple[str, ...]:
    if ending != "'s":
        return phones
    if phones[-1] in SIBILANT:
        return (*phones, "IH", "Z")
    return (*phones, "S" if phones[-1] in VOICELESS else "Z")
