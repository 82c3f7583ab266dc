"""Imported teachers and teachers over other units: a planted map is recovered."""

import shutil

import numpy as np
import torch

from asrdistill.cli import main
from asrdistill.data.archive import FrameArchive
from asrdistill.distill.store import SoftTargets, check_store
from asrdistill.hmm.senones import Senones
from tests.refusals import assert_refused


def posteriors_of(labels: dict[str, np.ndarray], units: int, sharpness: float, seed: int = 0) -> dict[str, np.ndarray]:
    rng, found = np.random.default_rng(seed), {}
    for utterance, row in labels.items():
        scores = rng.normal(size=(len(row), units))
        scores[np.arange(len(row)), row] += sharpness
        found[utterance] = (np.exp(scores) / np.exp(scores).sum(1, keepdims=True)).astype(np.float32)
    return found


def imported(tmp_path, senones: Senones, posteriors: dict[str, np.ndarray], priors: str, form: str = "posteriors"):
    (tmp_path / "units").mkdir(exist_ok=True)
    senones.write(tmp_path / "units")
    np.savez(tmp_path / "theirs.npz", **posteriors)
    out = tmp_path / "theirs"
    argv = ["convert", "posteriors", tmp_path / "theirs.npz", tmp_path / "units", out, "--form", form]
    assert main([str(word) for word in (*argv, *(["--priors", priors] if priors else []))]) == 0
    return out


def targets_of(tmp_path, teacher, features, *options: object) -> FrameArchive:
    argv = [
        "distill",
        "targets",
        teacher,
        features,
        tmp_path / "store",
        "--keep",
        0,
        "--temperatures",
        1,
        "--jobs",
        1,
        *options,
    ]
    assert main([str(word) for word in argv]) == 0
    return FrameArchive(tmp_path / "store")


def dense(store: FrameArchive, utterance: str, senones: int) -> np.ndarray:
    out = np.zeros((store.rows(utterance), senones))
    np.put_along_axis(
        out, store.part(utterance, "ids").astype(int), np.exp(store.part(utterance, "logp").astype(float)), 1
    )
    return out


def test_imported_posteriors_are_a_teacher(corpus, tmp_path):
    given = posteriors_of(corpus.labels, corpus.senones.count, 2.0)
    theirs = imported(tmp_path, corpus.senones, given, str(corpus.alignment))
    store = targets_of(tmp_path, theirs, corpus.features)
    features = FrameArchive(corpus.features)
    check_store(store, features, corpus.senones.hash, features.utterances)
    for utterance, posteriors in given.items():
        np.testing.assert_allclose(dense(store, utterance, 11), posteriors, rtol=5e-3, atol=1e-6)
    assert torch.isfinite(
        SoftTargets(store, 1.0).loss(torch.zeros(len(given["utt003"]), 11), SoftTargets(store, 1.0).gather(["utt003"]))
    )


def test_a_planted_map_is_recovered(corpus, tmp_path):
    """Their tree splits each of our senones in two at random: a permutation and a merge undo it."""
    rng = np.random.default_rng(1)
    count = corpus.senones.count
    planted = rng.permutation(np.repeat(np.arange(count), 2))  # their unit -> our senone
    units = {ours: np.flatnonzero(planted == ours) for ours in range(count)}
    labels = {u: np.array([rng.choice(units[s]) for s in row]) for u, row in corpus.labels.items()}
    names = ["SIL", *(f"U{i}" for i in range(1, 2 * count))]
    other = Senones(names, {name: [i] for i, name in enumerate(names)}, np.full(2 * count, np.log(0.5)))
    given = posteriors_of(labels, 2 * count, 25.0)  # all but certain
    np.savez(tmp_path / "priors.npz", **given)
    theirs = imported(tmp_path, other, given, str(tmp_path / "priors.npz"))
    store = targets_of(tmp_path, theirs, corpus.features, "--map", corpus.alignment)
    matrix = np.load(tmp_path / "store/map.npy")
    np.testing.assert_allclose(matrix.sum(1), 1)
    np.testing.assert_allclose(matrix, np.eye(count)[planted], atol=1e-6)
    assert store.meta["senones"] == corpus.senones.hash
    for utterance, row in corpus.labels.items():
        assert (dense(store, utterance, count).argmax(1) == row).all()


def test_soft_counts_by_the_formula_and_units_that_never_occur(corpus, tmp_path):
    names = ["SIL", "U1", "U2", "U3"]
    other = Senones(names, {name: [i] for i, name in enumerate(names)}, np.full(4, np.log(0.5)))
    coarse = {u: np.minimum(row, 8) // 3 for u, row in corpus.labels.items()}  # 0, 1, 2: never 3
    given = posteriors_of(coarse, 4, 1.0)
    for posteriors in given.values():
        posteriors[:, 3] = 1e-9
        posteriors /= posteriors.sum(1, keepdims=True)
    np.savez(tmp_path / "priors.npz", **given)
    theirs = imported(tmp_path, other, given, str(tmp_path / "priors.npz"))
    store = targets_of(tmp_path, theirs, corpus.features, "--map", corpus.alignment)
    counts, ours = np.zeros((4, 11)), np.zeros(11)
    for utterance, row in corpus.labels.items():
        for t, senone in enumerate(row):
            counts[:, senone] += given[utterance][t]
            ours[senone] += 1
    wanted = counts / counts.sum(1, keepdims=True)
    wanted[3] = ours / ours.sum()
    np.testing.assert_allclose(np.load(tmp_path / "store/map.npy"), wanted, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(dense(store, "utt000", 11), given["utt000"] @ wanted, rtol=5e-3, atol=1e-5)


def test_posteriors_that_do_not_fit_are_refused(corpus, tmp_path):
    given = posteriors_of(corpus.labels, corpus.senones.count, 2.0)
    theirs = imported(tmp_path, corpus.senones, {**given, "utt004": given["utt004"][:-1]}, str(corpus.alignment))
    rest = (corpus.features, tmp_path / "store", "--jobs", 1)
    assert_refused(["distill", "targets", theirs, *rest], "utterance utt004", theirs, corpus.features)
    np.savez(tmp_path / "theirs.npz", **{u: np.log(p) for u, p in given.items()})
    argv = [
        "convert",
        "posteriors",
        tmp_path / "theirs.npz",
        tmp_path / "units",
        tmp_path / "scores",
        "--form",
        "loglikes",
    ]
    assert main([str(word) for word in argv]) == 0
    assert_refused(["distill", "targets", tmp_path / "scores", *rest], tmp_path / "scores", "log-likelihoods")
    del given["utt007"]
    shutil.rmtree(theirs)
    lacking = imported(tmp_path, corpus.senones, given, str(corpus.alignment))
    assert_refused(["distill", "targets", lacking, *rest], "utterance utt007", lacking, corpus.features)
