"""Calibration of confidences, on words whose probability of being right is known."""

import numpy as np
import pytest

from asrdistill.scoring.calibration import (
    NONE,
    Calibration,
    expected_calibration_error,
    fit,
    normalised_cross_entropy,
    read_calibration,
    reliability,
    right_words,
)
from tests.refusals import refused


def planted(slope, offset, count=20000, seed=0):
    rng = np.random.default_rng(seed)
    posterior = rng.uniform(0.01, 0.99, count)
    return posterior, rng.random(count) < Calibration(slope, offset)(posterior)


def test_a_planted_calibration_is_found_again():
    found = fit(*planted(0.6, -0.8))
    assert found.slope == pytest.approx(0.6, abs=0.05)
    assert found.offset == pytest.approx(-0.8, abs=0.05)


def test_calibration_removes_the_error_and_improves_cross_entropy():
    posterior, right = planted(0.5, -1.0)
    test, test_right = planted(0.5, -1.0, seed=1)
    better = fit(posterior, right)(test)
    assert expected_calibration_error(test, test_right) > 0.1
    assert expected_calibration_error(better, test_right) < 0.02
    assert normalised_cross_entropy(better, test_right) > normalised_cross_entropy(test, test_right)


def test_cross_entropy_is_one_for_oracle_and_zero_for_prior():
    right = np.array([True, True, True, False])
    assert normalised_cross_entropy(right.astype(float), right) == pytest.approx(1, abs=1e-4)
    assert normalised_cross_entropy(np.full(4, 0.75), right) == pytest.approx(0)
    assert normalised_cross_entropy(1.0 - right, right) < 0
    assert np.isnan(normalised_cross_entropy(np.full(4, 0.5), np.ones(4, bool)))


def test_cross_entropy_by_hand():
    p, right = np.array([0.9, 0.6, 0.2]), np.array([True, False, False])
    maximum = -np.log2(1 / 3) - 2 * np.log2(2 / 3)  # as NIST writes it, in bits
    by_hand = (maximum + np.log2(0.9) + np.log2(0.4) + np.log2(0.8)) / maximum
    assert normalised_cross_entropy(p, right) == pytest.approx(by_hand)


def test_bins_hold_equally_many_words():
    posterior, right = planted(1.0, 0.0, count=105)
    bins = reliability(posterior, right)
    assert [b.words for b in bins] == [11] * 5 + [10] * 5
    assert [b.confidence for b in bins] == sorted(b.confidence for b in bins)
    assert sum(b.words * b.right for b in bins) == pytest.approx(right.sum())


def test_right_words_are_those_of_the_hypothesis():
    assert right_words(["a", "b", "c"], ["a", "x", "b", "d"]) == [True, False, True, False]
    assert right_words([], ["a"]) == [False]
    assert right_words(["a"], []) == []


def test_calibration_is_read_again(tmp_path):
    Calibration(0.7, -0.1).write(tmp_path)
    assert read_calibration(tmp_path) == Calibration(0.7, -0.1)
    for content, names in (("[1]", []), ('{"offset": 0}', ["slope"])):
        (tmp_path / "calibration.json").write_text(content)
        with refused(tmp_path / "calibration.json", *names):
            read_calibration(tmp_path)
    assert NONE(np.array([0.3]))[0] == pytest.approx(0.3)
