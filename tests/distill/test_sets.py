"""Clusters of confused senones: planted confusions are found."""

import dataclasses

import numpy as np
import pytest
import torch

from asrdistill.cli import main
from asrdistill.data.archive import FrameArchive
from asrdistill.distill.cluster import by_confusion, by_phones, check_sizes, cluster, moments, read_set, unit
from asrdistill.distill.options import ClusterOptions
from asrdistill.hmm.senones import Senones, log_priors
from asrdistill.models.dnn import Dnn
from asrdistill.models.io import load_model, save_model
from asrdistill.models.options import NetworkConfig
from asrdistill.reader import read_json
from asrdistill.results.info import describe, show
from tests.refusals import refused

OPTIONS = NetworkConfig(layers=1, width=16, left=2, right=1)


@pytest.fixture
def generalist(corpus, tmp_path):
    torch.manual_seed(0)
    network = Dnn(OPTIONS, 6, corpus.senones.count)
    torch.nn.init.normal_(network.output.weight)
    folder = tmp_path / "generalist"
    folder.mkdir()
    priors = log_priors(FrameArchive(corpus.alignment), corpus.senones.count)
    save_model(folder, network, OPTIONS, corpus.senones, priors, features=corpus.settings)
    return folder


def confused(groups, frames=4000, seed=0, scale=None):
    """Covariance of predictions that waver within groups of senones alone; `scale` makes some senones rare."""
    rng = np.random.default_rng(seed)
    count = sum(map(len, groups))
    weight = np.ones(len(groups)) if scale is None else np.asarray(scale, float)
    p = np.zeros((frames, count))
    for row, group in zip(p, rng.choice(len(groups), frames, p=weight / weight.sum()), strict=True):
        row[groups[group]] = rng.dirichlet(np.ones(len(groups[group])))
    return np.cov(p.T, bias=True)


def senones_of(phones):
    names = ["SIL", *(f"P{i}" for i in range(1, phones))]
    states = {"SIL": [0, 1, 2, 3, 4]} | {f"P{i}": list(range(2 + 3 * i, 5 + 3 * i)) for i in range(1, phones)}
    return Senones(names, states, np.full(2 + 3 * phones, np.log(0.5)))


@pytest.mark.parametrize("scale", [None, [100, 10, 3, 1]])
@pytest.mark.parametrize("seed", range(5))
def test_frequent_and_rare_planted_confusions_are_found(scale, seed):
    senones = senones_of(6)
    groups = [[0, 7, 13, 19, 5], [1, 2, 3, 4, 6], [8, 9, 10, 11, 12], [14, 15, 16, 17, 18]]
    found = by_confusion(confused(groups, scale=scale), senones, ClusterOptions(4, 5, seed=seed))
    assert sorted(sorted(own.tolist()) for own, _ in found) == sorted(map(sorted, groups))


def test_sets_overlap_where_senones_are_confused_with_two_groups():
    rng = np.random.default_rng(0)
    p = np.zeros((4000, 20))
    groups = [[0, 1, 2, 3], [3, 4, 5, 6], list(range(7, 20))]  # senone 3 is taken for both of the first
    for row, group in zip(p, rng.integers(3, size=4000), strict=True):
        row[groups[group]] = rng.dirichlet(np.ones(len(groups[group])))
    found = {frozenset(own.tolist()) for own, _ in by_confusion(np.cov(p.T), senones_of(6), ClusterOptions(3, 4))}
    assert {frozenset(groups[0]), frozenset(groups[1])} <= found


def test_phones_that_are_confused_form_a_set_of_their_senones():
    groups = [[0, 1, 2, 3, 4], [5, 6, 7, 14, 15, 16], [8, 9, 10, 11, 12, 13, 17, 18, 19]]  # SIL; P1 P4; P2 P3 P5
    covariance = confused(groups)
    found = by_phones(covariance, senones_of(6), ClusterOptions(3, 9, by="phones"))
    assert sorted(sorted(own.tolist()) for own, _ in found) == sorted(groups)
    capped = by_phones(covariance, senones_of(6), ClusterOptions(3, 2, by="phones"))
    for own, _ in capped:
        group = next(g for g in groups if own[0] in g)
        assert set(own) == set(sorted(group, key=lambda s: -covariance[s, s])[:2])


def test_centroids_are_the_mean_directions_of_well_separated_rows():
    rng = np.random.default_rng(1)
    means = np.array([[0, 0, 9], [0, 9, 0], [9, 0, 0]])
    rows = np.concatenate([mean + rng.normal(size=(200, 3)) for mean in means])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    found = cluster(rows, 3, 0)
    true = np.stack([rows[200 * k : 200 * k + 200].mean(0) for k in range(3)])
    true /= np.linalg.norm(true, axis=1, keepdims=True)
    np.testing.assert_allclose(found[np.lexsort(found.T[::-1])], true[np.lexsort(true.T[::-1])], atol=0.02)


def test_more_clusters_than_distinct_rows_still_converge():
    assert cluster(np.ones((4, 2)), 3, 0).shape == (3, 2)
    assert np.isfinite(unit(np.zeros((3, 3)))).all()  # senones that are never predicted


@pytest.mark.slow
def test_covariance_of_all_predictions_for_any_jobs(corpus, generalist, monkeypatch):
    features = FrameArchive(corpus.features)
    p = np.exp(np.concatenate([load_model(generalist).log_posteriors(features[u]) for u in features]))
    monkeypatch.setattr("asrdistill.distill.cluster.CHUNK", 7)
    one, two = (moments(generalist, features, jobs) for jobs in (1, 2))
    np.testing.assert_allclose(one[0], p.mean(0), rtol=1e-5)
    np.testing.assert_allclose(one[1], np.cov(p.T, bias=True), rtol=1e-3, atol=1e-7)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)


def test_clustered_sets_are_shown_by_info(corpus, generalist, tmp_path):
    command = [
        "distill",
        "cluster-senones",
        str(generalist),
        str(corpus.features),
        str(tmp_path / "sets"),
        "--clusters",
        "2",
        "--jobs",
        "1",
    ]
    assert main([*command, "--size", "4"]) == 0
    record = read_json(tmp_path / "sets/sets.json")
    assert [len(part["senones"]) for part in record["sets"]] == [4, 4]
    assert all(part["names"][0].split(".")[0] in corpus.senones.phones for part in record["sets"])
    assert record["sets"][0]["mass"] > 0
    np.testing.assert_array_equal(read_set(tmp_path / "sets", 1, corpus.senones), record["sets"][1]["senones"])
    shown = show(describe(tmp_path / "sets"))
    assert "senones of 2 specialists, by confusion" in shown
    assert "set 1" in shown


@pytest.mark.parametrize(
    ("bad", "names"),
    [
        ({"size": 12}, [12, 11]),
        ({"size": 0}, ["2 sets", 0]),
        ({"clusters": 0}, ["0 sets"]),
        ({"clusters": 12}, ["11 senones", "12 sets"]),
        ({"clusters": 4, "by": "phones"}, ["3 phones", "4 sets"]),
    ],
)
def test_impossible_sizes_are_refused(corpus, bad, names):
    with refused(*names):
        check_sizes(dataclasses.replace(ClusterOptions(2, 3), **bad), corpus.senones)


def test_missing_and_foreign_sets_are_refused(corpus, generalist, tmp_path):
    with refused("sets.json"):
        read_set(tmp_path, 0, corpus.senones)
    sets = tmp_path / "sets"
    assert (
        main(
            [
                "distill",
                "cluster-senones",
                str(generalist),
                str(corpus.features),
                str(sets),
                "--clusters",
                "2",
                "--size",
                "3",
            ]
        )
        == 0
    )
    for number in (2, -1):
        with refused(sets, number):
            read_set(sets, number, corpus.senones)
    with refused(sets, "senones"):
        read_set(sets, 0, senones_of(4))
    (sets / "sets.json").write_text("{}")
    with refused(sets / "sets.json"):
        read_set(sets, 0, corpus.senones)
