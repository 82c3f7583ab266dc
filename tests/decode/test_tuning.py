"""Tuning of decoding scales on error surfaces with a known minimum."""

import json

import numpy as np
import pytest

from asrdistill.decode.options import DecodeOptions, tuned
from asrdistill.decode.tuning import MOST, Point, Scales, _bottom, _grid, _settled
from tests.refusals import refused


@pytest.mark.parametrize(("weight", "ratio"), [(6.0, 0.0), (3.1, 0.4), (11.0, -0.9), (15.5, 0.8), (60.0, 0.0)])
def test_the_search_ends_near_the_minimum_after_few_steps(weight, ratio):
    """Though a lattice knows less of other scales the further they are from its search's."""
    searched: list[Scales] = []

    def search(scales: Scales) -> list[Point]:
        searched.append(scales)
        return [
            Point(w, penalty, 40 + 30 * abs(w / weight - 1) + abs(penalty / w - ratio) + abs(np.log(w / scales[0])))
            for w, penalty in _grid(scales)
        ]

    (found, penalty), _ = _settled((10.0, 0.0), search)
    assert found == pytest.approx(weight, rel=0.1)
    assert penalty / found == pytest.approx(ratio, abs=0.3)
    assert len(searched) <= 5


def test_a_plateau_ends_the_search_at_once():
    searched: list[Scales] = []

    def search(scales: Scales) -> list[Point]:
        searched.append(scales)
        return [Point(*there, 100.0) for there in _grid(scales)]

    scales, _ = _settled((10.0, 0.0), search)
    assert len(searched) <= 2
    assert scales[0] < 20


def test_search_stops_at_a_negligible_gain():
    """However far away its grid has its lowest point."""
    searched: list[Scales] = []

    def search(scales: Scales) -> list[Point]:
        searched.append(scales)
        return [Point(w, penalty, 60 - 0.1 * np.log(w)) for w, penalty in _grid(scales)]

    (weight, _), _ = _settled((10.0, 0.0), search)
    assert len(searched) == 2
    assert weight < 20


def test_penalties_stay_in_proportion_where_errors_fall_without_end():
    def search(scales: Scales) -> list[Point]:
        return [Point(w, penalty, 90 - penalty / w) for w, penalty in _grid(scales)]

    (weight, penalty), _ = _settled((10.0, 0.0), search)
    assert 0 < penalty / weight <= MOST + 0.01


def test_noise_moves_the_bottom_less_than_the_luckiest_point():
    grid = [(w, r) for w in 6.0 * 1.18 ** np.arange(8) for r in (-0.5, 0.0, 0.5)]
    noise = np.random.default_rng(0)

    def distances():
        points = [
            Point(w, w * r, 30 + 20 * np.log(w / 9) ** 2 + 2 * (r + 0.2) ** 2 + noise.normal(0, 0.4)) for w, r in grid
        ]
        weight, _ = _bottom(points)
        lucky = min(points, key=lambda point: point.wer)
        return abs(np.log(weight / 9)), abs(np.log(lucky.lm_weight / 9))

    smooth, lucky = np.mean([distances() for _ in range(50)], axis=0)
    assert smooth < 0.5 * lucky


def test_the_bottom_of_an_exact_surface_is_found_between_the_points():
    points = [
        Point(w, w * r, 30 + 20 * np.log(w / 9) ** 2 + 2 * (r + 0.2) ** 2)
        for w, r in [(6, 0.0), (8.4, 0.0), (11.8, 0.0), (8.4, -0.5), (8.4, 0.5)]
    ]
    assert _bottom(points) == (pytest.approx(9), pytest.approx(-1.8))


def test_a_surface_that_is_bent_down_leaves_the_best_point():
    points = [Point(w, w * r, 30 - np.log(w / 8) ** 2 - r**2) for w in (6, 8, 10) for r in (-1, 0, 1)]
    best = min(points, key=lambda point: point.wer)
    assert _bottom(points) == (best.lm_weight, best.insertion_penalty)


@pytest.mark.parametrize(("record", "lacking"), [({"beam": 12.0}, ["insertion_penalty"]), ([8.0, 0.5], [])])
def test_a_file_without_scales_is_refused(record, lacking, tmp_path):
    (tmp_path / "tuned.json").write_text(json.dumps(record))
    with refused(tmp_path / "tuned.json", *lacking):
        tuned(DecodeOptions(), tmp_path)
