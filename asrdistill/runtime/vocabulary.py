"""Vocabulary at run time: words to add, phrases to favour, sentences to allow."""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from asrdistill.decode.graph import SearchGraph, assemble
from asrdistill.decode.phrases import Phrases, compile_phrases
from asrdistill.decode.sentences import UNKNOWN_PHONE, sentence_grammar
from asrdistill.decode.words import UNKNOWN
from asrdistill.errors import UserError, shorten
from asrdistill.lang.g2p import G2P
from asrdistill.lang.lexicon import LINK, POSITIONS, RESERVED, Lang, Pronunciation, placed, root_of
from asrdistill.reader import parse_lines

WEIGHT, HEAVIEST = 2.0, 100.0  # of a phrase; most of a phrase or a word
LETTERS = "the letters are no phones, and there is no G2P model (asrdistill export --g2p)"

Spoken = str | Sequence[str] | None  # phones with spaces between, several of them; None: G2P
Words = Iterable[str] | Mapping[str, Spoken]
Sentences = str | Iterable[str]
T = TypeVar("T")


class Lexicon:
    """Lexicon and G2P model of a recogniser folder, read when they are needed."""

    def __init__(self, folder: Path, senones: Any):
        self.folder, self.senones = folder, senones
        self._positions = all(phone[-2:] in POSITIONS for phone in senones.phones[1:])

    @cached_property
    def lang(self) -> Lang:
        return Lang.read(self.folder / "lang")

    @cached_property
    def g2p(self) -> G2P | None:
        return G2P.read(self.folder / "g2p") if (self.folder / "g2p").exists() else None

    def pronounce(self, words: Words, weight: float = 0.0) -> dict[str, list[Pronunciation]]:
        """The pronunciations given or made of words; `weight` is added to the logarithms of their probabilities.

        Raises UserError for what is no word, unknown phones, and letters that the G2P model does not know.
        """
        if isinstance(words, str):
            raise UserError(f"'{words}' is one string; give a list of words")
        if not abs(weight) <= HEAVIEST:
            raise UserError(f"a weight of {weight:g} is impossible; give one within ±{HEAVIEST:g}")
        found = {}
        for word, spoken in words.items() if isinstance(words, Mapping) else dict.fromkeys(words).items():
            if len(word.split()) != 1 or word != word.strip() or LINK in word or word in {*RESERVED, UNKNOWN, "<unk>"}:
                raise UserError(f"'{word}' is not a word; give one without spaces, '{LINK}' and the names of symbols")
            entries = (
                self._made(word)
                if not spoken
                else [
                    (1.0, self._checked(word, phones)) for phones in ([spoken] if isinstance(spoken, str) else spoken)
                ]
            )
            entries = placed({word: entries})[word] if self._positions else entries
            best = max(probability for probability, _ in entries)
            found[word] = [(probability / best * math.exp(weight), phones) for probability, phones in entries]
        return found

    def _made(self, word: str) -> list[Pronunciation]:
        roots = {root_of(phone) for phone in self.senones.phones}
        if self.g2p is None:
            if set(word) <= roots:
                return [(1.0, tuple(word))]
            raise UserError(f"'{word}' cannot be pronounced: {LETTERS}; give its pronunciation")
        made = self.g2p.pronounce(word)
        for _, phones in made:
            self._checked(word, " ".join(phones))
        return made

    def _checked(self, word: str, spoken: str) -> tuple[str, ...]:
        """The phones, without positions in the word."""
        phones, known = tuple(map(root_of, spoken.split())), {root_of(phone) for phone in self.senones.phones[1:]}
        if unknown := set(phones) - known or ({"no phone"} if not phones else set()):
            raise UserError(f"'{word}' has {min(unknown)}; the recogniser's phones are {' '.join(sorted(known))}")
        return phones

    def spell(self, phrases: Iterable[str], added: Mapping[str, list[Pronunciation]]) -> dict[str, list[Any]]:
        """The pronunciations of each word of keywords; G2P pronounces words that the lexicon lacks."""
        known = {**self.lang.pronunciations, **added}
        said = {phrase: phrase.split() for phrase in phrases}
        if not said or not all(said.values()):
            raise UserError("there is no keyword, or an empty one; give at least one word")
        made = self.pronounce({word for words in said.values() for word in words} - known.keys())
        spoken = {word: [phones for _, phones in entries] for word, entries in {**known, **made}.items()}
        return {phrase: [spoken[word] for word in words] for phrase, words in said.items()}

    def sentence_graph(self, sentences: Sentences, added: Mapping[str, list[Pronunciation]]) -> SearchGraph:
        """The search graph of these sentences alone; raises UserError for none, and for unknown words."""
        said = [sentence.split() for sentence in ([sentences] if isinstance(sentences, str) else sentences)]
        if not said or not all(said):
            raise UserError("the grammar has no sentence, or an empty one; give at least one, '[unk]' for other speech")
        grammar, tokens = sentence_grammar(said)
        entries = {word: [*self.lang.pronunciations.get(word, []), *added.get(word, [])] for word in tokens}
        if UNKNOWN in tokens:
            entries[UNKNOWN] = [(math.exp(UNKNOWN_PHONE), (phone,)) for phone in self.senones.phones[1:]]
        words = sorted(tokens.keys() - {"<s>", "</s>"})
        _refuse("grammar", [word for word in words if not entries[word]])
        used = {word: entries[word] for word in words}
        lang = Lang(self.lang.phones, words, self.lang.silence, used, self.lang.silence_probability)
        return assemble(lang, grammar, tokens, self.senones, [])


def numbered(phrases: Mapping[str, float] | Iterable[str], graph: SearchGraph) -> Phrases:
    """The automaton of phrases; raises UserError for unknown words and impossible weights."""
    found: dict[tuple[int, ...], float] = {}
    given = phrases if isinstance(phrases, Mapping) else dict.fromkeys(phrases, WEIGHT)
    for phrase, weight in given.items():
        words = phrase.split()
        _refuse(f"phrase '{phrase}'", [word for word in words if word not in graph.number])
        if not words or not abs(weight) <= HEAVIEST:
            raise UserError(f"the phrase '{phrase}' has weight {weight:g}; give words, and one within ±{HEAVIEST:g}")
        found[tuple(graph.number[word] for word in words)] = float(weight)
    return compile_phrases(found)


def _refuse(what: str, unknown: Sequence[str]) -> None:
    if unknown:
        raise UserError(f"the {what} has words that the recogniser does not know: {shorten(unknown)}; add them first")


def read_words(path: Path) -> dict[str, list[str]]:
    """Words of a text file, ``word`` or ``word <tab> phones`` in each line; one word may have several."""
    found: dict[str, list[str]] = {}
    for word, phones in parse_lines(path, lambda line: _fields(line, ""), "word <tab> phones"):
        found.setdefault(word, []).extend([phones] if phones else [])
    return found


def read_weights(path: Path, usual: float) -> dict[str, float]:
    """Phrases of a text file, ``phrase`` or ``phrase <tab> weight`` in each line."""

    def parse(line: str) -> tuple[str, float]:
        phrase, weight = _fields(line, str(usual))
        return phrase, float(weight)

    return dict(parse_lines(path, parse, "phrase <tab> number"))


def _fields(line: str, usual: str) -> tuple[str, str]:
    first, *rest = map(str.strip, line.split("\t"))
    if not first or len(rest) > 1:
        raise ValueError
    return first, rest[0] if rest else usual
