"""Favoured phrases, compared with all sentences' weights by the definition."""

from dataclasses import replace

import numpy as np
import pytest

from asrdistill.decode.decoder import Decoder
from asrdistill.decode.phrases import compile_phrases
from tests.decode.reference import search as reference
from tests.decode.test_search import WIDE, random_problem


def weight_of(words, phrases) -> float:
    """Each phrase as often as it is said."""
    return sum(
        weight
        for phrase, weight in phrases.items()
        for begin in range(len(words))
        if tuple(words[begin : begin + len(phrase)]) == phrase
    )


class Favouring:
    """A language model whose history is the whole sentence, and whose </s> brings the weight of its phrases."""

    order = 10**6

    def __init__(self, lm, phrases):
        self.lm, self.phrases, self.vocabulary = lm, phrases, lm.vocabulary

    def logprob(self, word, history):
        weight = weight_of(history[1:], self.phrases) if word == "</s>" else 0.0
        return self.lm.logprob(word, history) + weight


def problem(seed: int):
    lang, lm, senones, scores = random_problem(seed, 1 + seed % 3, frames=13)
    rng = np.random.default_rng(seed)
    phrases = {}
    while len(phrases) < 4:
        phrases[tuple(map(str, rng.choice(lang.words[:3], size=rng.integers(1, 4))))] = float(rng.uniform(0.5, 4))
    return lang, lm, senones, scores, phrases


def favouring(lang, lm, senones, options, phrases) -> Decoder:
    number = {word: index for index, word in enumerate(lang.words)}
    plain = Decoder(lang, lm, senones, options)
    numbered = {tuple(map(number.__getitem__, phrase)): weight for phrase, weight in phrases.items()}
    return Decoder.of(plain.graph, options, compile_phrases(numbered))


@pytest.mark.parametrize("seed", range(30))
def test_phrases_weigh_as_by_the_definition(seed):
    lang, lm, senones, scores, phrases = problem(seed)
    found = favouring(lang, lm, senones, WIDE, phrases).decode(scores)
    score, words = reference(lang, Favouring(lm, phrases), senones, WIDE, scores)
    assert found.score == pytest.approx(score, rel=1e-5, abs=1e-3)
    assert tuple(found.words) == words


@pytest.mark.parametrize("seed", range(10))
def test_lattices_and_streams_agree_with_the_search(seed):
    lang, lm, senones, scores, phrases = problem(seed)
    plain = favouring(lang, lm, senones, WIDE, phrases).decode(scores)
    found = favouring(lang, lm, senones, replace(WIDE, lattice_beam=8.0), phrases).decode(scores)
    score, words = found.lattice.best(WIDE.lm_weight, WIDE.insertion_penalty)
    assert [word.word for word in words] == found.words == plain.words
    assert score == pytest.approx(plain.score, abs=1e-3)
    going = favouring(lang, lm, senones, WIDE, phrases).start()
    for begin in range(0, len(scores), 5):
        going.accept(scores[begin : begin + 5])
        going.partial_traceback()
    assert going.finish() == plain


def test_a_phrase_that_is_not_completed_is_given_back():
    phrases = compile_phrases({(0, 1, 2): 3.0, (1, 3): 2.0, (2,): 1.0})
    gains, state = [], 0
    for word in (0, 1, 3):  # 0 1 begins the first phrase, 1 3 is the second
        while word not in (words := phrases.arc_word[slice(*phrases.arc_begin[state : state + 2])].tolist()) and state:
            state = phrases.fail[state]
        new = phrases.arc_next[phrases.arc_begin[state] + words.index(word)]
        gains.append(new)
        state = new
    assert phrases.potential[gains[0]] == 1.0
    assert phrases.potential[gains[1]] == 2.0
    assert (phrases.potential[gains[2]], phrases.earned[gains[2]]) == (0.0, 2.0)


def test_one_search_state_serves_plain_and_favoured_streams_apart():
    lang, lm, senones, scores, phrases = problem(2)
    plain = Decoder(lang, lm, senones, WIDE)
    before = plain.decode(scores)
    favouring(lang, lm, senones, WIDE, {key: 20 * value for key, value in phrases.items()}).decode(scores)
    assert plain.decode(scores) == before
