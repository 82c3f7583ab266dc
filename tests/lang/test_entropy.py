"""Entropy pruning against Stolcke's definition by enumeration, and KenLM."""

import itertools
import math
import random
from collections import Counter

import pytest

from asrdistill.lang.lexicon import LINK
from asrdistill.lang.ngram import END, START, perplexity, train, write_arpa
from tests.lang.test_ngram import PIECES, SPELLED, WORDS, assert_kenlm_agrees, histories, make_text, may_follow
from tests.refusals import assert_refused

SIZES = [(2, 5), (3, 1), (3, 20), (3, 60), (4, 40), (4, 150)]


class Plain:
    """A back-off model in a dictionary, n-gram -> probability; weights are found by summing over all words."""

    def __init__(self, grams, vocabulary):
        self.grams, self.vocabulary = grams, vocabulary

    def probability(self, word, history):
        if (*history, word) in self.grams:
            return self.grams[(*history, word)]
        return self.weight(history) * self.probability(word, history[1:])

    def weight(self, history):
        rest = [word for word in self.vocabulary if (*history, word) not in self.grams]
        said = sum(self.grams.get((*history, word), 0) for word in self.vocabulary)
        return (1 - said) / sum(self.probability(word, history[1:]) for word in rest)


def gains(model, text):
    """What each n-gram above unigrams is worth: P(h) · KL without it, or that of a longer one that has it at an end."""
    grams = {gram: math.exp(entry[0]) for level in model.levels for gram, entry in level.items()}
    spoken = Counter()
    for sentence in text:
        words = (START, *sentence.split(), END)
        spoken.update(words[i:j] for i in range(len(words)) for j in range(i + 1, min(i + model.order, len(words))))
    whole, found = Plain(grams, model.vocabulary), {}
    for gram in (gram for gram in grams if len(gram) > 1):
        *history, _ = gram
        without = Plain({other: p for other, p in grams.items() if other != gram}, model.vocabulary)
        divergence = 0.0
        for word in model.vocabulary:
            p = whole.probability(word, history)
            divergence += p * math.log(p / without.probability(word, history))
        found[gram] = spoken[tuple(history)] / histories_of(text, len(gram)) * divergence
    for gram in sorted(found, key=len, reverse=True):
        if len(gram) > 2:
            for part in (gram[:-1], gram[1:]):
                found[part] = max(found[part], found[gram])
    return found


def histories_of(text, order):
    """How many words of the text have a history of order − 1 words."""
    return sum(max(0, len(sentence.split()) + 2 - order + 1) for sentence in text)


@pytest.mark.parametrize(("order", "most"), SIZES)
def test_the_n_grams_with_the_largest_divergences_stay(order, most):
    text = make_text(60)
    vocabulary = [*WORDS, "never", "heard"]
    whole, pruned = train(text, vocabulary, order), train(text, vocabulary, order, ngrams=most)
    worth = gains(whole, text)
    kept = {gram for level in pruned.levels[1:] for gram in level}
    assert len(kept) <= most
    lost = worth.keys() - kept
    smallest, largest = min((worth[gram] for gram in kept), default=math.inf), max(worth[gram] for gram in lost)
    assert smallest > largest * (1 - 1e-6)
    assert len(kept) + sum(worth[gram] > largest * (1 - 1e-6) for gram in lost) > most  # ties go together
    for level, before in zip(pruned.levels, whole.levels, strict=True):
        assert all(level[gram][0] == before[gram][0] for gram in level)


@pytest.mark.parametrize("prune", [[], [0, 0, 1]])
@pytest.mark.parametrize(("order", "most"), SIZES)
def test_a_pruned_model_sums_to_one_after_any_history(order, most, prune):
    model = train(make_text(), [*WORDS, "never", "heard"], order, prune, ngrams=most)
    for history in [*histories(3), ("never", "a"), ("a", "unheard")]:
        total = sum(math.exp(model.logprob(word, history)) for word in model.vocabulary)
        assert total == pytest.approx(1, abs=1e-9), history


@pytest.mark.parametrize("most", [4, 12, 20])
def test_words_in_pieces_sum_to_one_in_a_pruned_model(most):
    words = ["a", "b", *PIECES]
    model = train(SPELLED, words, 3, spellings=[f"re{LINK} {LINK}do{LINK} {LINK}it"], ngrams=most)
    for history in itertools.product([START, *words], repeat=2):
        following = may_follow(history, model.vocabulary)
        assert sum(math.exp(model.logprob(word, history)) for word in following) == pytest.approx(1, abs=1e-9)


def test_a_size_that_is_not_reached_changes_nothing():
    text = make_text()
    whole, same = train(text, WORDS, 3), train(text, WORDS, 3, ngrams=10**6)
    for one, two in zip(whole.levels, same.levels, strict=True):
        assert dict(one) == {gram: pytest.approx(entry, abs=1e-9) for gram, entry in two.items()}


def test_the_one_pair_that_is_not_by_chance_stays():
    """Words come independently but for b, which always follows a: the bigram a b is all there is to know."""
    luck = random.Random(1)
    text = [" ".join(luck.choices(["a b", "c", "d", "e"], k=luck.randrange(1, 9))) for _ in range(400)]
    assert list(train(text, WORDS, 2, ngrams=1).levels[1]) == [("a", "b")]


def test_more_n_grams_predict_better():
    text, heldout = make_text(2000), make_text(300, seed=0)[::3]
    found = [perplexity(train(text, WORDS, 3, ngrams=most), heldout).perplexity for most in (1, 10, 30, 0)]
    assert found == sorted(found, reverse=True)


def test_kenlm_agrees_on_a_pruned_model(tmp_path):
    write_arpa(train(make_text(), WORDS, 3, ngrams=40), tmp_path / "lm.arpa")
    assert_kenlm_agrees(tmp_path / "lm.arpa")


def test_a_negative_size_is_refused(tmp_path, lang_and_data):
    lang, train_set, _ = lang_and_data
    assert_refused(["lang", "lm", train_set, lang, tmp_path / "lm", "--ngrams", "-3"], "--ngrams", "-3")
