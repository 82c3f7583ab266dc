"""Pronunciations of a vocabulary: from a dictionary, a base word, a G2P model or the spelling."""

import itertools
import re
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

from asrdistill.errors import UserError, log, shorten
from asrdistill.files import TABLES, write_text
from asrdistill.lang.lexicon import RESERVED, SILENCE, Lang, Pronunciation
from asrdistill.reader import parse_lines

Dictionary = dict[str, list[tuple[str, ...]]]  # word -> its pronunciations, as phones
Guess = Callable[[str], list[Pronunciation]]

DICTIONARY = "lines of 'word phones' or 'word probability phones', gzipped or not; cmudict comes with asrdistill"
ENTRY = "word <tab> phones, or word probability phones; no <eps>, <s>, </s>, #0, no blank in the word"
NAME = re.compile(r"(?<=.)\(\d+\)$")  # CMUdict's mark of a variant
DECIMAL = r"(?:\d*\.\d+(?:[eE]-?\d+)?|\d+[eE]-\d+)"
NUMBERS = re.compile(rf"\s*((?:{DECIMAL}\s+|[01]\t\s*)*)")  # probability, and MFA's three of silence; 1 may be a phone
VOICELESS = {"P", "T", "K", "F", "TH"}
SIBILANT = {"S", "Z", "SH", "ZH", "CH", "JH"}
CMUDICT_PHONES = """
AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH
"""


class Read(Dictionary):
    """A dictionary from a file, with its probabilities of (word, phones), if any."""

    def __init__(self) -> None:
        self.probabilities: dict[tuple[str, tuple[str, ...]], float] = {}


def dictionary_path(name: str) -> Path:
    """Path of a dictionary: a file, or ``cmudict``, which is shipped."""
    return TABLES / "cmudict.txt.gz" if name == "cmudict" and not Path(name).exists() else Path(name)


def read_dictionary(path: Path) -> Read:
    """Pronunciations as CMUdict, Kaldi or MFA write them; UserError names a bad line.

    Without stress if a vowel has it only at times. What follows a # among the phones is left out.
    """
    dictionary = Read()
    for word, phones, probability in filter(None, parse_lines(path, _parse_entry, ENTRY)):
        if phones not in dictionary.setdefault(word, []):
            dictionary[word].append(phones)
        if probability:
            dictionary.probabilities[word, phones] = max(probability, dictionary.probabilities.get((word, phones), 0))
    if not dictionary:
        raise UserError(f"dictionary {path} is empty; give another")
    known = set(phones_of(dictionary))
    english = {phone.rstrip("012") for phone in known} <= set(CMUDICT_PHONES.split())
    if english and any(phone + mark in known for phone in known for mark in "012"):
        log.warning("%s: some vowels have stress marks and some have none; all marks are left out", path)
        for word, variants in dictionary.items():
            dictionary[word] = list(dict.fromkeys(_bare(phones) for phones in variants))
        shares = sorted(dictionary.probabilities.items(), key=lambda item: item[1])
        dictionary.probabilities = {(word, _bare(phones)): share for (word, phones), share in shares}
    return dictionary


def _bare(phones: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(phone.rstrip("012") for phone in phones)


def _parse_entry(line: str) -> tuple[str, tuple[str, ...], float | None] | None:
    """Word, phones and probability; None for a line of CMUdict's remarks."""
    if line.startswith(";;;"):
        return None
    word, rest = line.split("\t", 1) if "\t" in line else line.split(maxsplit=1)
    numbers = NUMBERS.match(rest)
    assert numbers  # it matches nothing, too
    word, share = NAME.sub("", word.strip()), [float(number) for number in numbers[1].split()[:1]]
    phones = tuple(itertools.takewhile(lambda phone: phone[0] != "#", rest[numbers.end() :].split()))
    wrong = not word or len(word.split()) > 1 or word in RESERVED or RESERVED.intersection(phones)
    if wrong or not phones or (share and not 0 < share[0] <= 1):
        raise ValueError
    return word, phones, share[0] if share else None


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

    Variants of a dictionary without probabilities are equally probable. `guess` (``G2P.pronounce``) pronounces words
    that the dictionary lacks; without it they raise a UserError. With CMUdict's phones, words in 's are derived from
    their base words.
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
        known = getattr(dictionary, "probabilities", {})
        shares = [(known.get((word, phones), 1 / len(variants)), phones) for phones in variants]
        found[word] = sorted(shares, key=lambda entry: -entry[0])
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
