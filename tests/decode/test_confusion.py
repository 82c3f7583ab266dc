"""Confidences and minimum Bayes risk, on lattices whose paths can be counted."""

from itertools import pairwise

import numpy as np
import pytest

from asrdistill.decode import confusion
from asrdistill.decode.confusion import confidences, minimum_risk
from asrdistill.decode.lattice import NOTHING, Lattice
from tests.decode.test_lattice import lattice_of


def edit_distance(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


def fan(paths: dict[str, float]) -> Lattice:
    """A lattice whose paths share nothing but their ends; a sentence has its probability."""
    words = sorted({word for sentence in paths for word in sentence.split()})
    arcs, nodes = [], 1
    for sentence, probability in paths.items():
        spoken = [words.index(word) for word in sentence.split()] or [NOTHING]
        places = [0, *range(nodes, nodes + len(spoken) - 1), -1]
        nodes += len(spoken) - 1
        scores = [np.log(probability), *[0.0] * (len(spoken) - 1)]
        arcs += [(*place, word, score) for place, word, score in zip(pairwise(places), spoken, scores, strict=True)]
    rows = sorted((source, target if target > 0 else nodes, word, score) for source, target, word, score in arcs)
    source, target, word, score = map(np.array, zip(*rows, strict=True))
    time = np.append(np.arange(nodes), 50).astype(np.int32)
    zero = np.zeros(len(rows))
    return Lattice(words, time, source, target, word, score, zero, zero)


def test_confidence_is_the_share_of_paths_with_the_word():
    lattice = fan({"go home now": 0.5, "go home": 0.2, "so home now": 0.2, "go roam now": 0.1})
    found = confidences(lattice, 1.0, 0.0, ["go", "home", "now"])
    np.testing.assert_allclose(found.confidences, [0.8, 0.9, 0.8], atol=1e-9)
    assert found.expected_errors == pytest.approx(0.2 * 1 + 0.2 * 1 + 0.1 * 1, abs=1e-3)


@pytest.fixture
def alignments(monkeypatch):
    """What each alignment of a lattice with a hypothesis gives: expected errors, and probabilities (Q, words)."""
    made, align = [], confusion._align

    def record(*args):
        errors = align(*args)
        made.append((errors, args[-3]))  # which it filled
        return errors

    monkeypatch.setattr(confusion, "_align", record)
    return made


def test_slots_hold_the_shares_of_the_words_aligned_with_them(alignments):
    lattice = fan({"go home now": 0.5, "go home": 0.2, "so home now": 0.2, "go roam now": 0.1})
    confidences(lattice, 1.0, 0.0, ["go", "home", "now"])
    ((_, slots),) = alignments  # columns: no word, then the words in the order of the lattice
    assert lattice.words == ["go", "home", "now", "roam", "so"]
    np.testing.assert_allclose(slots[1], [0.0, 0.8, 0.0, 0.0, 0.0, 0.2], atol=1e-9)
    np.testing.assert_allclose(slots[3], [0.0, 0.0, 0.9, 0.0, 0.1, 0.0], atol=1e-9)
    np.testing.assert_allclose(slots[5], [0.2, 0.0, 0.0, 0.8, 0.0, 0.0], atol=1e-9)
    np.testing.assert_allclose(slots[::2], np.eye(6)[[0] * 4], atol=1e-9)  # nothing is inserted


@pytest.mark.parametrize("seed", range(5))
def test_slots_of_real_lattices_are_distributions(seed, alignments):
    lattice = lattice_of(90 + seed, 2, contexts=False)[-1].lattice
    minimum_risk(lattice, 2.0, -0.7)
    confidences(lattice, 2.0, -0.7, lattice.n_best(2.0, -0.7, 1)[0][1])
    assert len(alignments) >= 2
    for _, slots in alignments:
        assert slots.min() >= 0
        np.testing.assert_allclose(slots.sum(1), 1, atol=1e-6)


def test_minimum_risk_follows_the_majority_of_paths():
    lattice = fan({"a b c": 0.4, "x b d": 0.3, "x e c": 0.3})  # no path says x b c
    assert lattice.best(1.0, 0.0)[0] == pytest.approx(np.log(0.4))
    found = minimum_risk(lattice, 1.0, 0.0)
    assert found.words == ["x", "b", "c"]
    np.testing.assert_allclose(found.confidences, [0.6, 0.7, 0.7], atol=1e-9)


def test_minimum_risk_inserts_and_deletes():
    assert minimum_risk(fan({"a": 0.4, "a b": 0.35, "c b": 0.25}), 1.0, 0.0).words == ["a", "b"]
    assert minimum_risk(fan({"a b": 0.4, "b": 0.35, "c": 0.25}), 1.0, 0.0).words == ["b"]
    assert minimum_risk(fan({"": 0.6, "a": 0.4}), 1.0, 0.0).words == []


@pytest.mark.parametrize("seed", range(5))
def test_expected_errors_of_separate_paths_are_exact_and_never_beaten(seed):
    rng = np.random.default_rng(seed)
    sentences = {" ".join(rng.choice(list("abcd"), size=rng.integers(1, 5))) for _ in range(6)}
    share = dict(zip(sorted(sentences), rng.dirichlet(np.ones(len(sentences))), strict=True))
    lattice = fan(share)
    risk = {s: sum(p * edit_distance(s.split(), other.split()) for other, p in share.items()) for s in share}
    for sentence, expected in risk.items():
        assert confidences(lattice, 1.0, 0.0, sentence.split()).expected_errors == pytest.approx(expected, abs=1e-3)
    found = minimum_risk(lattice, 1.0, 0.0)
    assert found.expected_errors <= risk[max(share, key=share.get)] + 1e-3


@pytest.mark.parametrize("seed", range(5))
def test_real_lattices_give_probabilities_and_rising_times(seed):
    lattice = lattice_of(90 + seed, 2, contexts=False)[-1].lattice
    for found in (
        minimum_risk(lattice, 2.0, -0.7),
        confidences(lattice, 2.0, -0.7, lattice.n_best(2.0, -0.7, 1)[0][1]),
    ):
        assert all(0 <= sure <= 1 for sure in found.confidences)
        assert all(start <= end for start, end in found.times)
