"""Lexicon and lang folder.

phones.txt    symbol table: <eps> 0, silence, the phones
words.txt     symbol table: <eps> 0, the words
lexicon.txt   word <tab> probability <tab> phones; one line per pronunciation
silence.txt   the silence phone and the probability of optional silence
pieces.txt    with subwords: piece <tab> ln probability; the pieces are also words, see lang/subwords.py
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from asrdistill.errors import UserError
from asrdistill.files import write_text
from asrdistill.reader import parse_lines

SILENCE = "SIL"
SILENCE_PROBABILITY = 0.5  # until it is estimated from an alignment
NEVER = 1e-300  # probability of optional silence if silence is a word; its logarithm is finite
EPSILON = "<eps>"
RESERVED = {EPSILON, "<s>", "</s>", "#0"}  # neither words nor phones

POSITIONS = ("_B", "_I", "_E", "_S")  # of a phone in its word: begin, inside, end, single

LINK = "‿"  # joins pieces: un‿ ‿happi‿ ‿ness is one word

Pronunciation = tuple[float, tuple[str, ...]]  # probability, phones


def is_continuation(unit: str) -> bool:
    """Whether a unit of the lexicon continues the word before it."""
    return unit.startswith(LINK)


def is_prefix(unit: str) -> bool:
    """Whether a unit of the lexicon is continued by the next one."""
    return unit.endswith(LINK)


@dataclass(frozen=True)
class Lang:
    """Words and their pronunciations.

    phones               phones[0] is silence
    words                all words, sorted
    silence              the optional phone before, between and after words
    pronunciations       word -> its (probability, phones), the most probable first
    silence_probability  of silence at each place where it is optional
    pieces               with subwords: piece -> ln probability
    """

    phones: list[str]
    words: list[str]
    silence: str
    pronunciations: dict[str, list[Pronunciation]]
    silence_probability: float = SILENCE_PROBABILITY
    pieces: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if wrong := RESERVED.intersection([*self.words, *self.phones]):
            raise UserError(f"{min(wrong)} cannot be a word or phone; leave it out of text and dictionary")

    @classmethod
    def build(cls, pronunciations: dict[str, list[Pronunciation]], phones: Iterable[str]) -> Lang:
        """Lang of these pronunciations over the speech phones; adds silence."""
        words = sorted(pronunciations)
        return cls([SILENCE, *sorted(phones)], words, SILENCE, {word: pronunciations[word] for word in words})

    @classmethod
    def of_phones(cls, phones: Iterable[str], silence: str) -> Lang:
        """Lang for phone recognition: each phone is a word, `silence` is never optional."""
        words = sorted({*phones, silence})
        spoken = {word: SILENCE if word == silence else word for word in words}
        lexicon: dict[str, list[Pronunciation]] = {word: [(1.0, (phone,))] for word, phone in spoken.items()}
        others = [word for word in words if word != silence]
        return cls([SILENCE, *others], words, SILENCE, lexicon, NEVER)

    def positioned(self) -> Lang:
        """The same words with position-dependent phones: AA_B, AA_I, AA_E, AA_S."""
        phones = [self.silence, *(phone + position for phone in self.phones[1:] for position in POSITIONS)]
        return replace(self, phones=phones, pronunciations=placed(self.pronunciations))

    def with_pieces(self, pieces: dict[str, float], pronunciations: dict[str, list[Pronunciation]]) -> Lang:
        """These words and subword pieces; the pieces' phones have no positions yet."""
        if all(phone[-2:] in POSITIONS for phone in self.phones[1:]):
            pronunciations = placed(pronunciations)
        both = {**self.pronunciations, **pronunciations}
        return replace(self, words=sorted(both), pronunciations=both, pieces=pieces)

    @classmethod
    def read(cls, folder: Path) -> Lang:
        """Read and check a lang folder; raises UserError naming the file and what is wrong in it."""
        folder = Path(folder)
        if not folder.is_dir():
            raise UserError(f"lang folder {folder} does not exist; make it with asrdistill lang build")
        phones, words = (_read_symbols(folder / f"{name}.txt") for name in ("phones", "words"))
        silence, probability = _read_silence(folder / "silence.txt")
        if phones[:1] != [silence]:
            raise UserError(f"{folder}: the first phone of phones.txt must be the silence phone of silence.txt")
        pronunciations = _read_lexicon(folder / "lexicon.txt", set(phones))
        if missing := set(words) ^ set(pronunciations):
            raise UserError(f"{folder}: words.txt and lexicon.txt disagree about '{min(missing)}'; make them again")
        pieces = _read_pieces(folder / "pieces.txt") if (folder / "pieces.txt").exists() else {}
        if missing := pieces.keys() - pronunciations.keys():
            raise UserError(f"{folder}: lexicon.txt lacks the piece '{min(missing)}' of pieces.txt; make them again")
        return cls(phones, words, silence, pronunciations, probability, pieces)

    def write(self, folder: Path) -> None:
        """Write the files into the existing folder."""
        folder = Path(folder)
        for name, symbols in (("phones", self.phones), ("words", self.words)):
            lines = (f"{symbol} {number}\n" for number, symbol in enumerate([EPSILON, *symbols]))
            write_text(folder / f"{name}.txt", "".join(lines))
        write_text(folder / "silence.txt", f"{self.silence} {self.silence_probability:.6g}\n")
        entries = ((word, entry) for word in self.words for entry in self.pronunciations[word])
        lexicon = (f"{word}\t{probability:.6g}\t{' '.join(phones)}\n" for word, (probability, phones) in entries)
        write_text(folder / "lexicon.txt", "".join(lexicon))
        if self.pieces:
            pieces = (f"{piece}\t{logprob:.6g}\n" for piece, logprob in sorted(self.pieces.items()))
            write_text(folder / "pieces.txt", "".join(pieces))


def _read_symbols(path: Path) -> list[str]:
    """Symbols of a Kaldi symbol table, without <eps>, in the order of their numbers."""
    numbers = itertools.count()

    def parse(line: str) -> str:
        symbol, _, index = line.partition(" ")
        number = next(numbers)
        if index != str(number) or (symbol == EPSILON) != (number == 0):
            raise ValueError
        return symbol

    return list(parse_lines(path, parse, f"symbol number, in order from {EPSILON} 0"))[1:]


def root_of(phone: str) -> str:
    """The phone's name without its position in the word."""
    return phone[:-2] if phone[-2:] in POSITIONS else phone


def placed(pronunciations: dict[str, list[Pronunciation]]) -> dict[str, list[Pronunciation]]:
    """Words or pieces with position-dependent phones."""

    def place(word: str, phones: tuple[str, ...]) -> tuple[str, ...]:
        places = ["_I"] * len(phones)
        if not is_continuation(word):
            places[0] = "_B"
        if not is_prefix(word):
            places[-1] = "_S" if places[-1] == "_B" else "_E"
        return tuple(phone + position for phone, position in zip(phones, places, strict=True))

    return {
        word: [(probability, place(word, phones)) for probability, phones in entries]
        for word, entries in pronunciations.items()
    }


def _read_silence(path: Path) -> tuple[str, float]:
    def parse(line: str) -> tuple[str, float]:
        phone, probability = line.split()
        if not 0 < float(probability) < 1:
            raise ValueError
        return phone, float(probability)

    entries = list(parse_lines(path, parse, "phone probability in (0, 1)"))
    if len(entries) != 1:
        raise UserError(f"{path} must have one line 'phone probability'; make the lang folder again")
    return entries[0]


def _read_lexicon(path: Path, phones: set[str]) -> dict[str, list[Pronunciation]]:
    def parse(line: str) -> tuple[str, Pronunciation]:
        word, probability, sounds = line.split("\t")
        entry = float(probability), tuple(sounds.split())
        if not 0 < entry[0] <= 1 or not entry[1]:
            raise ValueError
        return word, entry

    pronunciations: dict[str, list[Pronunciation]] = {}
    form = "word <tab> probability in (0, 1] <tab> at least one phone"
    for number, (word, entry) in enumerate(parse_lines(path, parse, form), 1):
        if unknown := set(entry[1]) - phones:
            raise UserError(f"{path}, line {number}: phones.txt lacks {min(unknown)} of '{word}'; make them again")
        pronunciations.setdefault(word, []).append(entry)
    return pronunciations


def _read_pieces(path: Path) -> dict[str, float]:
    def parse(line: str) -> tuple[str, float]:
        piece, logprob = line.split("\t")
        if not math.isfinite(float(logprob)) or not (is_continuation(piece) or is_prefix(piece)):
            raise ValueError
        return piece, float(logprob)

    return dict(parse_lines(path, parse, f"piece marked with {LINK} <tab> ln probability"))
