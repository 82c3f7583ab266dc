import itertools
import tracemalloc

import numpy as np
import pytest

from asrdistill.hmm.senones import Senones, leaves
from asrdistill.hmm.tree import TreeStatistics, grow_tree, loglikes, questions, variance_floor
from tests.refusals import assert_names
from tests.trees import between

PHONES = ["SIL", "A", "B", "C", "D", "E"]
SOUND = [0.0, 10, 20, 21, 40, 60]  # B and C sound alike, so that they make a question
LENGTHS = np.array([5, 3, 3, 3, 3, 3])


def planted(rng, repeats=40):
    """Frames of all triphones; the first state of A knows whether B or C stood before, the last whether E comes."""
    rows, means = [], []
    for left, phone, right in itertools.product(range(6), range(1, 6), range(6)):
        for state in range(3):
            mean = np.array([SOUND[phone], 10.0 * state, 0.0, 0.0])
            if phone == 1 and state == 0 and left in (2, 3):
                mean[2] = 8
            if phone == 1 and state == 2 and right == 5:
                mean[3] = 8
            rows += [(left, phone, right, state)] * repeats
            means += [mean] * repeats
    rows, x = np.array(rows), np.array(means) + rng.standard_normal((len(means), 4))
    silence = np.array([(0, 0, 0, state) for state in range(5)] * 50)
    x = np.concatenate([x, -20 + rng.standard_normal((len(silence), 4))])
    order = rng.permutation(len(x))
    return np.concatenate([rows, silence])[order], x[order]


def test_planted_tying_is_found_again():
    contexts, x = planted(np.random.default_rng(0))
    monophones = 5 + 5 * 3
    senones = grow_tree(TreeStatistics.collect(contexts, x), PHONES, LENGTHS, monophones + 2)
    assert senones.count == monophones + 2
    for left in PHONES:
        same = between(senones, left, "A", "D")[0] == between(senones, "B", "A", "D")[0]
        assert same == (left in ("B", "C"))
    for right in PHONES:
        assert (between(senones, "D", "A", right)[2] == between(senones, "D", "A", "E")[2]) == (right == "E")
    single = [tree for name, trees in senones.states.items() for tree in trees if name != "A"]
    assert all(isinstance(tree, int) for tree in single)


def test_senones_are_numbered_and_readable(tmp_path):
    contexts, x = planted(np.random.default_rng(1))
    senones = grow_tree(TreeStatistics.collect(contexts, x), PHONES, LENGTHS, 30)
    assert [leaf for trees in senones.states.values() for tree in trees for leaf in leaves(tree)] == list(range(30))
    senones.write(tmp_path)
    assert Senones.read(tmp_path).hash == senones.hash


def test_fewer_leaves_than_wanted_are_a_warning(caplog):
    contexts, x = planted(np.random.default_rng(2), repeats=3)  # 108 frames a state: no split leaves 100 on both sides
    senones = grow_tree(TreeStatistics.collect(contexts, x), PHONES, LENGTHS, 50)
    assert senones.count == 20
    assert_names(caplog.text, 20, 50)


def test_statistics_of_parts_add_up():
    contexts, x = planted(np.random.default_rng(3), repeats=4)
    whole = TreeStatistics.collect(contexts, x)
    parts = TreeStatistics.collect(contexts[:777], x[:777]) + TreeStatistics.collect(contexts[777:], x[777:])
    np.testing.assert_array_equal(parts.contexts, whole.contexts)
    np.testing.assert_allclose(parts.sums, whole.sums)
    one = np.all(contexts == whole.contexts[7], axis=1)
    np.testing.assert_allclose(whole.sums[7], [one.sum(), *x[one].sum(0), *(x[one] ** 2).sum(0)])


def test_loglikelihood_equals_the_gaussians():
    x = np.random.default_rng(4).standard_normal((50, 3)) * [1, 2, 3] + 5
    sums = np.concatenate([[50], x.sum(0), (x**2).sum(0)])
    mean, variance = x.mean(0), x.var(0)
    expected = np.sum(-0.5 * (np.log(2 * np.pi * variance) + (x - mean) ** 2 / variance))
    assert loglikes(sums, np.zeros(3)) == pytest.approx(expected)
    assert loglikes(sums, np.full(3, 100.0)) < expected


def test_questions_cluster_similar_phones():
    rng = np.random.default_rng(5)
    means = np.array([-30, 0, 0.5, 10, 10.5, 11])  # A like B; C, D, E alike
    contexts = np.array([(0, p, 0, state) for p in range(6) for state in range(3) for _ in range(200)])
    x = means[contexts[:, 1], None] + rng.standard_normal((len(contexts), 2))
    stats = TreeStatistics.collect(contexts, x)
    asked = questions(stats, 6, LENGTHS, variance_floor(stats.sums))
    assert {(1, 2), (3, 4, 5)} <= set(asked)
    assert {(p,) for p in range(6)} <= set(asked)


def test_statistics_of_a_block_take_little_more_memory_than_its_frames():
    """In double precision twice the frames' bytes; copies of them and of their squares would be six times as much."""
    rng = np.random.default_rng(0)
    x, contexts = rng.standard_normal((20_000, 39), np.float32), rng.integers(0, 3, (20_000, 4))
    tracemalloc.start()
    stats = TreeStatistics.collect(contexts, x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * x.nbytes
    row = 17
    said = x[(contexts == stats.contexts[row]).all(1)].astype(np.float64)
    np.testing.assert_allclose(stats.sums[row], [len(said), *said.sum(0), *(said**2).sum(0)])
