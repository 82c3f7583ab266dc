"""The climb to the best scales, on error rates with a known minimum."""

import pytest

from asrdistill.decode.tuning import Point, _best, _coordinates


@pytest.mark.parametrize(("weight", "ratio"), [(6.0, 0.0), (3.1, 0.4), (11.0, -1.2), (15.5, 1.0)])
def test_the_climb_ends_near_the_minimum_after_few_steps(weight, ratio):
    tried: dict[tuple[float, float], Point] = {}
    for w, penalty in _coordinates(tried):
        wer = 40 + 30 * abs(w / weight - 1) + abs(penalty / w - ratio)
        tried.setdefault((w, penalty), Point(w, penalty, wer))
    best = _best(tried)
    assert best.lm_weight == pytest.approx(weight, rel=0.1)
    assert best.insertion_penalty / best.lm_weight == pytest.approx(ratio, abs=0.3)
    assert len(tried) <= 14


def test_a_plateau_ends_the_climb():
    tried: dict[tuple[float, float], Point] = {}
    for w, penalty in _coordinates(tried):
        tried.setdefault((w, penalty), Point(w, penalty, 100.0))
    assert _best(tried) == Point(6.0, 0.0, 100.0)
    assert len(tried) <= 9
