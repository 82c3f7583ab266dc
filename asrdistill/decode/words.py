"""Recognised words and their times, of whole words and of pieces (:mod:`asrdistill.lang.subwords`)."""

from collections.abc import Iterable
from typing import NamedTuple

from asrdistill.lang.lexicon import LINK, is_continuation

UNKNOWN = "[unk]"  # of grammars: each of its units is a phone of an unknown word


class Word(NamedTuple):
    """A recognised word from frame `start` up to but not including frame `end`, with its share of the score.

    Its confidence is how probable it is among all that the lattice holds; None without a lattice.
    """

    word: str
    start: int
    end: int
    score: float
    confidence: float | None = None

    def ctm(self, name: str, shift: float) -> str:
        """Its line in a CTM file of a recording; `shift` is a frame's seconds."""
        line = f"{'_'.join(name.split())} 1 {self.start * shift:.3f} {(self.end - self.start) * shift:.3f} {self.word}"
        return line if self.confidence is None else f"{line} {self.confidence:.4f}"


def join(units: Iterable[Word]) -> list[Word]:
    """Words from words and pieces of words, each with its least confidence."""
    words: list[Word] = []
    for unit in units:
        if words and (is_continuation(unit.word) or words[-1].word == unit.word == UNKNOWN):
            unit = _joined(words.pop(), unit)
        words.append(unit)
    return [word._replace(word=word.word.strip(LINK)) for word in words]


def _joined(first: Word, other: Word) -> Word:
    sure = None if first.confidence is None or other.confidence is None else min(first.confidence, other.confidence)
    word = UNKNOWN if other.word == UNKNOWN else first.word.rstrip(LINK) + other.word[1:]
    return Word(word, first.start, other.end, first.score + other.score, sure)
