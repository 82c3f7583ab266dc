"""The compiled language model, compared with the plain one and with KenLM."""

import math
import random
from pathlib import Path

import numpy as np
import pytest

from asrdistill.decode.lm import compile_grammar
from asrdistill.decode.search import logprobs
from asrdistill.lang.ngram import END, START, UNKNOWN, NGram, read_arpa, train, write_arpa

# Not every suffix of an n-gram is one itself ("c b" is not), some histories have no back-off weight.
ARPA = """a file of another toolkit may begin with a few words

\\data\\
ngram 1=6
ngram 2=5
ngram 3=3

\\1-grams:
-1.2\t<unk>
-99\t<s>\t-0.35
-0.9\t</s>
-0.7\ta\t-0.2
-0.8\tb
-1.1\tc\t-0.15

\\2-grams:
-0.3\t<s> a\t-0.12
-0.5\ta c\t-0.4
-0.6\ta b
-0.45\tb a\t-0.05
-0.25\tc </s>

\\3-grams:
-0.1\ta c b
-0.2\t<s> a c
-0.33\tb a b

\\end\\
"""
# kenlm.Model(...).score(sentence) of this file: log10 with <s> and </s>
KENLM = {
    "": -1.25,
    "a": -1.52,
    "a c b": -1.5,
    "a c b a b": -2.28,
    "b a b a c": -3.58,
    "c b a c b b": -5.2,
    "x a c x b": -6.2,
    "c c a b a": -5.75,
    "x x": -3.65,
}


def score(lm: NGram, sentence: str) -> float:
    """log10 P(sentence) by the compiled grammar."""
    grammar, number = compile_grammar(lm), lm.levels[0].number
    total, state = 0.0, np.array([grammar.start])
    for word in [*sentence.split(), END]:
        logprob, state = logprobs(grammar, state, np.array([number.get(word, number.get(UNKNOWN))]))
        total += float(logprob[0])
    return total / math.log(10)


def plain(lm: NGram, sentence: str) -> float:
    words = [START, *sentence.split(), END]
    return sum(lm.logprob(word, words[:i]) for i, word in enumerate(words) if i) / math.log(10)


@pytest.fixture
def arpa(tmp_path: Path) -> Path:
    path = tmp_path / "lm.arpa"
    path.write_text(ARPA)
    return path


def test_scores_equal_recorded_ones_of_kenlm(arpa):
    found = {sentence: score(read_arpa(arpa), sentence) for sentence in KENLM}
    assert found == pytest.approx(KENLM, abs=1e-5)


def random_text(seed: int, words: int, sentences: int) -> list[str]:
    rng = random.Random(seed)
    return [
        " ".join(f"w{int(rng.paretovariate(0.7)) % words}" for _ in range(rng.randint(1, 9))) for _ in range(sentences)
    ]


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("prune", [[0], [0, 1]])
def test_equals_the_plain_model(order, prune):
    lm = train(random_text(0, 30, 400), [f"w{i}" for i in range(25)], order, prune)
    for sentence in [*random_text(1, 40, 100), ""]:
        assert score(lm, sentence) == pytest.approx(plain(lm, sentence), abs=1e-4)


@pytest.mark.parametrize("order", [2, 3, 5])
def test_equals_kenlm(tmp_path, order):
    kenlm = pytest.importorskip("kenlm")
    write_arpa(train(random_text(0, 300, 2000), [f"w{i}" for i in range(250)], order, [0, 1]), tmp_path / "lm.arpa")
    lm, theirs = read_arpa(tmp_path / "lm.arpa"), kenlm.Model(str(tmp_path / "lm.arpa"))
    for sentence in [*random_text(1, 400, 300), ""]:
        assert score(lm, sentence) == pytest.approx(theirs.score(sentence), abs=1e-4)


def test_recorded_scores_equal_kenlm(tmp_path):
    kenlm = pytest.importorskip("kenlm")
    (tmp_path / "lm.arpa").write_text(ARPA[ARPA.index("\\data\\") :])  # it refuses what stands before
    model = kenlm.Model(str(tmp_path / "lm.arpa"))
    assert {sentence: model.score(sentence) for sentence in KENLM} == pytest.approx(KENLM, abs=1e-5)


def test_arcs_are_sorted_and_states_few(arpa):
    grammar = compile_grammar(read_arpa(arpa))
    for begin, end in zip(grammar.arc_begin, grammar.arc_begin[1:], strict=False):
        assert np.all(np.diff(grammar.arc_token[begin:end]) > 0)
    # the empty history; <s>, a, b, c; <s> a, a c, b a ("a b" and "c </s>" lead nowhere and have no weight)
    assert len(grammar.backoff_state) == 8
    assert len(grammar.arc_token) == 14
