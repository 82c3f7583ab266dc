"""Bootstrap intervals and paired comparisons, against kaldialign and against what was planted."""

import kaldialign
import numpy as np
import pytest

from asrdistill.scoring.significance import compare, interval, mean_errors, resample
from asrdistill.scoring.wer import Scores
from tests.refusals import refused


def planted(rates: np.ndarray, words: np.ndarray, seed: int) -> Scores:
    """Substitutions drawn for each utterance with its own probability."""
    subs = np.random.default_rng(seed).binomial(words, rates)
    counts = np.stack([words, 0 * words, 0 * words, subs], 1)
    return Scores([f"u{i:05d}" for i in range(len(words))], counts, [])


def some_words(utterances: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 20, size=utterances)


def spoken(scores: Scores) -> tuple[list[list[str]], list[list[str]]]:
    """References and hypotheses that have these errors."""
    references = [["a"] * int(n) for n in scores.words]
    hypotheses = [["b"] * int(e) + ["a"] * int(n - e) for n, e in zip(scores.words, scores.errors, strict=True)]
    return references, hypotheses


def test_interval_equals_that_of_kaldialign() -> None:
    words = some_words(400)
    scores = planted(np.full(400, 0.3), words, seed=1)
    low, high = interval([scores])
    peer = kaldialign.bootstrap_wer_ci(*spoken(scores), replications=10_000)
    assert low == pytest.approx(100 * peer["ci95min"], abs=0.15)
    assert high == pytest.approx(100 * peer["ci95max"], abs=0.15)


def test_probability_of_improvement_equals_that_of_kaldialign() -> None:
    words = some_words(300)
    a, b = planted(np.full(300, 0.29), words, seed=1), planted(np.full(300, 0.31), words, seed=2)
    references, worse = spoken(b)
    peer = kaldialign.bootstrap_wer_ci(references, worse, spoken(a)[1], replications=10_000)
    assert compare([a], [b]).p == pytest.approx(1 - peer["p_s2_improv_over_s1"], abs=0.03)


def test_interval_has_its_nominal_coverage() -> None:
    """Utterances of different difficulty: the true rate lies in 95 of 100 intervals, give or take."""
    rng = np.random.default_rng(3)
    covered = 0
    for seed in range(200):
        words = some_words(150, seed)
        low, high = interval([planted(rng.beta(2, 5, size=150), words, seed)], resamples=400)
        covered += low <= 100 * 2 / 7 <= high
    assert 0.89 <= covered / 200 <= 0.99


def test_planted_difference_is_found() -> None:
    words = some_words(500)
    rates = np.random.default_rng(0).beta(2, 5, size=500)
    a, b = planted(0.7 * rates, words, seed=1), planted(rates, words, seed=2)
    better, worse = compare([a], [b]), compare([b], [a])
    assert better.p < 0.001
    assert worse.p > 0.999
    assert better.difference == pytest.approx(a.total.percent - b.total.percent)
    assert better.ci95[0] < better.difference < better.ci95[1] < 0


def test_a_system_is_not_better_than_itself() -> None:
    a = planted(np.full(50, 0.3), some_words(50), seed=1)
    assert compare([a], [a]) == compare([a, a, a], [a])
    assert compare([a, a, a], [a]).p == 1


def test_p_is_uniform_where_nothing_differs() -> None:
    """Two systems of equal rates: p < 0.1 in about a tenth of the cases."""
    words, below = some_words(120), 0
    for seed in range(200):
        a, b = (planted(np.full(120, 0.3), words, 2 * seed + i) for i in range(2))
        below += compare([a], [b], resamples=300).p < 0.1
    assert 0.04 <= below / 200 <= 0.17


def test_seeds_count_with_their_mean() -> None:
    words = some_words(60)
    seeds = [planted(np.full(60, 0.3), words, seed) for seed in range(3)]
    assert mean_errors(seeds).tolist() == ((seeds[0].errors + seeds[1].errors + seeds[2].errors) / 3).tolist()
    found = compare(seeds, [seeds[0]])
    percents = [scores.total.percent for scores in seeds]
    assert found.difference == pytest.approx(np.mean(percents) - percents[0])


def test_same_seed_same_figures_however_many_draws_are_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = np.stack([some_words(37), some_words(37, 1)], 1)
    whole = resample(columns, 500, seed=5)
    monkeypatch.setattr("asrdistill.scoring.significance._BLOCK", 100)
    assert np.array_equal(resample(columns, 500, seed=5), whole)
    assert whole.shape == (500, 2)


def test_systems_of_other_utterances_are_refused() -> None:
    a, b = planted(np.full(5, 0.3), some_words(5), 0), planted(np.full(6, 0.3), some_words(6), 0)
    with refused("two", "utterances"):
        compare([a], [b])
    with refused("seeds", "utterances"):
        interval([a, b])
