"""Grammars of sentences, compared with the best of all their sequences."""

from itertools import product

import numpy as np
import pytest

from asrdistill.decode.decoder import Decoder
from asrdistill.decode.graph import assemble
from asrdistill.decode.search import logprobs
from asrdistill.decode.sentences import IMPOSSIBLE, sentence_grammar
from asrdistill.decode.words import UNKNOWN, Word, join
from tests.decode.reference import search as reference
from tests.decode.test_search import WIDE, random_problem


def sequences(sentences, longest: int) -> set[tuple[str, ...]]:
    """All sequences of sentences of so many words, slowly."""
    found, new = {()}, {()}
    while new:
        new = {(*a, *b) for a, b in product(new, sentences) if len(a) + len(b) <= longest} - found
        found |= new
    return found


def random_sentences(rng, words) -> list[tuple[str, ...]]:
    return [tuple(map(str, rng.choice(words, size=rng.integers(1, 4)))) for _ in range(rng.integers(1, 6))]


def logprob_of(grammar, tokens, words) -> float:
    state, total = np.zeros(1, np.int32), 0.0
    for word in (*words, "</s>"):
        logprob, state = logprobs(grammar, state, np.array([tokens[word]]))
        total += float(logprob[0])
    return total


@pytest.mark.parametrize("seed", range(40))
def test_sequences_of_the_sentences_and_no_others_are_possible(seed):
    rng = np.random.default_rng(seed)
    sentences = random_sentences(rng, ["a", "b", "c"])
    grammar, tokens = sentence_grammar(sentences)
    words = sorted(set(tokens) - {"<s>", "</s>"})
    allowed = sequences(sentences, 5)
    for length in range(6):
        for said in product(words, repeat=length):
            assert (logprob_of(grammar, tokens, said) > IMPOSSIBLE / 2) == (said in allowed)


class Sentences:
    """The grammar as the reference's language model."""

    order = 10**6

    def __init__(self, grammar, tokens):
        self.grammar, self.tokens, self.vocabulary = grammar, tokens, set(tokens)

    def logprob(self, word, history):
        if word == "</s>":
            return logprob_of(self.grammar, self.tokens, history[1:]) - self._before(history[1:])
        return self._before((*history[1:], word)) - self._before(history[1:])

    def _before(self, words):
        state, total = np.zeros(1, np.int32), 0.0
        for word in words:
            logprob, state = logprobs(self.grammar, state, np.array([self.tokens[word]]))
            total += float(logprob[0])
        return total


@pytest.mark.parametrize("seed", range(12))
def test_search_finds_the_best_sequence(seed):
    lang, _, senones, scores = random_problem(seed, 1, frames=12)
    grammar, tokens = sentence_grammar(sentences := random_sentences(np.random.default_rng(seed), lang.words))
    used = [word for word in lang.words if word in tokens]
    lang = type(lang)(lang.phones, used, lang.silence, {word: lang.pronunciations[word] for word in used})
    found = Decoder.of(assemble(lang, grammar, tokens, senones, []), WIDE).decode(scores)
    score, words = reference(lang, Sentences(grammar, tokens), senones, WIDE, scores)
    assert found.score == pytest.approx(score, rel=1e-5, abs=1e-3)
    assert tuple(found.words) == words
    assert words in sequences(sentences, len(words))


def test_phones_of_an_unknown_word_are_one_word():
    units = [Word(UNKNOWN, 0, 3, -1.0), Word(UNKNOWN, 3, 5, -2.0), Word("a", 5, 6, 0.0), Word(UNKNOWN, 6, 7, -4.0)]
    assert join(units) == [Word(UNKNOWN, 0, 5, -3.0), units[2], units[3]]
