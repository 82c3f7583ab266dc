"""The lexicon: which phones a word may be made of, and the folder that holds it.

phones.txt    symbol table: <eps> 0, then silence, then the phones
words.txt     symbol table: <eps> 0, then the words
lexicon.txt   word <tab> probability <tab> phones; several lines a word for several pronunciations
silence.txt   the silence phone, and how probable it is at each place where it may stand
pieces.txt    in an open vocabulary: piece <tab> ln probability; pieces are among the words, see lang/subwords.py
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from asrdistill.errors import UserError
from asrdistill.files import write_text

SILENCE = "SIL"
SILENCE_PROBABILITY = 0.5  # until it is counted in an alignment
NEVER = 1e-300  # the probability of silence where every silence is a word; its logarithm is still finite
EPSILON = "<eps>"

POSITIONS = ("_B", "_I", "_E", "_S")  # of a phone in its word: begins it, inside, ends it, is all of it

LINK = "‿"  # the sign for "no break here": un‿ ‿happi‿ ‿ness is one word in three pieces

Pronunciation = tuple[float, tuple[str, ...]]  # probability, phones


def is_continuation(unit: str) -> bool:
    """Whether a word of the lexicon is a piece that goes on the word before it."""
    return unit.startswith(LINK)


def is_prefix(unit: str) -> bool:
    """Whether a word of the lexicon is a piece that another one goes on."""
    return unit.endswith(LINK)


@dataclass(frozen=True)
class Lang:
    """Words and their pronunciations.

    phones               phones[0] is silence; a phone's index in the list is its number
    words                all words, sorted
    silence              the optional phone before, between and after words
    pronunciations       word -> its (probability, phones), the most probable first
    silence_probability  of silence at each place where it may stand
    pieces               in an open vocabulary: those of the words that are pieces -> their ln probability
    """

    phones: list[str]
    words: list[str]
    silence: str
    pronunciations: dict[str, list[Pronunciation]]
    silence_probability: float = SILENCE_PROBABILITY
    pieces: dict[str, float] = field(default_factory=dict)

    @classmethod
    def build(cls, pronunciations: dict[str, list[Pronunciation]], phones: Iterable[str]) -> Lang:
        """From pronunciations over the given speech phones; silence is added."""
        words = sorted(pronunciations)
        return cls([SILENCE, *sorted(phones)], words, SILENCE, {word: pronunciations[word] for word in words})

    @classmethod
    def of_phones(cls, phones: Iterable[str], silence: str) -> Lang:
        """Where phones are recognised: each is a word that is pronounced as itself, `silence` as the silence phone.

        Silence then stands where the transcript has it, and nowhere else.
        """
        words = sorted({*phones, silence})
        spoken = {word: SILENCE if word == silence else word for word in words}
        lexicon: dict[str, list[Pronunciation]] = {word: [(1.0, (phone,))] for word, phone in spoken.items()}
        others = [word for word in words if word != silence]
        return cls([SILENCE, *others], words, SILENCE, lexicon, NEVER)

    def positioned(self) -> Lang:
        """The same words with phones that are named for their position in the word: AA_B, AA_I, AA_E, AA_S."""
        phones = [self.silence, *(phone + position for phone in self.phones[1:] for position in POSITIONS)]
        pronunciations = {
            word: [(probability, _placed(word, sounds)) for probability, sounds in entries]
            for word, entries in self.pronunciations.items()
        }
        return replace(self, phones=phones, pronunciations=pronunciations)

    def with_pieces(self, pieces: dict[str, float], pronunciations: dict[str, list[Pronunciation]]) -> Lang:
        """The open vocabulary of these words and pieces, the latter with phones that have no positions."""
        if all(phone[-2:] in POSITIONS for phone in self.phones[1:]):
            pronunciations = {
                piece: [(probability, _placed(piece, sounds)) for probability, sounds in entries]
                for piece, entries in pronunciations.items()
            }
        both = {**self.pronunciations, **pronunciations}
        return replace(self, words=sorted(both), pronunciations=both, pieces=pieces)

    @classmethod
    def read(cls, folder: Path) -> Lang:
        """Read and check a lang folder; raises UserError naming the file and what is wrong in it."""
        folder = Path(folder)
        if not folder.is_dir():
            raise UserError(f"lang folder {folder} does not exist; make it with asrdistill lang")
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


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; make the lang folder with asrdistill lang") from None


def _read_symbols(path: Path) -> list[str]:
    """Symbols of a Kaldi symbol table, without <eps>, in the order of their numbers."""
    symbols = []
    for number, line in enumerate(_lines(path)):
        symbol, _, index = line.partition(" ")
        if index != str(number) or (symbol == EPSILON) != (number == 0):
            raise UserError(f"{path}, line {number + 1}: '{line}' should be a symbol and {number}")
        symbols.append(symbol)
    return symbols[1:]


def root_of(phone: str) -> str:
    """The phone's name without its position in the word."""
    return phone[:-2] if phone[-2:] in POSITIONS else phone


def _placed(word: str, phones: tuple[str, ...]) -> tuple[str, ...]:
    """The phones with their positions in the word, or in the one that a piece is of."""
    places = ["_I"] * len(phones)
    if not is_continuation(word):
        places[0] = "_B"
    if not is_prefix(word):
        places[-1] = "_S" if places[-1] == "_B" else "_E"
    return tuple(phone + place for phone, place in zip(phones, places, strict=True))


def _read_silence(path: Path) -> tuple[str, float]:
    try:
        (line,) = _lines(path)
        phone, probability = line.split()
        found = phone, float(probability)
    except ValueError:
        raise UserError(f"{path} is not one line 'phone probability'; make the lang folder again") from None
    if not 0 < found[1] < 1:
        raise UserError(f"{path}: the probability of silence must lie between 0 and 1, not {found[1]:g}")
    return found


def _read_lexicon(path: Path, phones: set[str]) -> dict[str, list[Pronunciation]]:
    pronunciations: dict[str, list[Pronunciation]] = {}
    for number, line in enumerate(_lines(path), 1):
        try:
            word, probability, sounds = line.split("\t")
            entry = (float(probability), tuple(sounds.split()))
        except ValueError:
            raise UserError(f"{path}, line {number} is not 'word <tab> probability <tab> phones'") from None
        if not 0 < entry[0] <= 1 or not entry[1]:
            raise UserError(f"{path}, line {number}: '{word}' needs a probability in (0, 1] and at least one phone")
        if unknown := set(entry[1]) - phones:
            raise UserError(f"{path}, line {number}: '{word}' has the phone {min(unknown)}, which phones.txt lacks")
        pronunciations.setdefault(word, []).append(entry)
    return pronunciations


def _read_pieces(path: Path) -> dict[str, float]:
    pieces = {}
    for number, line in enumerate(_lines(path), 1):
        piece, _, logprob = line.partition("\t")
        try:
            pieces[piece] = float(logprob)
        except ValueError:
            raise UserError(f"{path}, line {number} is not 'piece <tab> ln probability'") from None
        if not math.isfinite(pieces[piece]) or not (is_continuation(piece) or is_prefix(piece)):
            raise UserError(f"{path}, line {number}: '{line}' needs a finite number and a piece marked with {LINK}")
    return pieces
