import numpy as np
import pytest
from scipy.optimize import minimize

from asrdistill.cli import main
from asrdistill.data.archive import FrameArchive
from asrdistill.distill.weights import mixture_weights
from asrdistill.features.paste import paste
from asrdistill.models.io import load_model
from asrdistill.reader import read_json
from tests.conftest import write_archive
from tests.refusals import assert_refused

NET = ("--layers", "1", "--width", "16", "--left", "1", "--right", "1", "--batch", "64")


def test_planted_weights_are_found():
    """Frames whose class the members say with one another's help, drawn from a mixture of known weights."""
    rng = np.random.default_rng(0)
    planted = np.array([0.6, 0.3, 0.1, 0.0])
    said = rng.dirichlet(np.full(5, 0.3), size=(40_000, 4))  # (frames, M, S)
    mixed = np.einsum("m,tms->ts", planted, said)
    right = (mixed.cumsum(1) > rng.random((40_000, 1))).argmax(1)
    log_p = np.log(said[np.arange(40_000), :, right])
    np.testing.assert_allclose(mixture_weights(log_p), planted, atol=0.02)


def test_no_other_weights_are_better():
    log_p = np.log(np.random.default_rng(1).dirichlet([0.5, 1.0, 2.0], size=500))
    weights = mixture_weights(log_p)

    def loss(logits):
        w = np.exp(logits - np.logaddexp.reduce(logits))
        return -np.log(np.exp(log_p) @ w).mean()

    best = minimize(loss, np.zeros(3), tol=1e-12)
    assert -np.log(np.exp(log_p) @ weights).mean() == pytest.approx(best.fun, abs=1e-5)
    assert weights.sum() == pytest.approx(1)


@pytest.fixture
def world(corpus, tmp_path):
    """The corpus's features, others that tell senones better, both joined; a network on each."""
    rng = np.random.default_rng(1)
    means = rng.normal(size=(corpus.senones.count, 5))
    others = {u: means[rows] + 0.5 * rng.normal(size=(len(rows), 5)) for u, rows in corpus.labels.items()}
    fits = {"feature_hash": FrameArchive(corpus.features).hash, "frame_shift": 0.01}
    write_archive(tmp_path / "others", "features", others, "<f2", features={"type": "whisper"}, **fits)
    (tmp_path / "both").mkdir()
    paste([corpus.features, tmp_path / "others"], tmp_path / "both")
    for name, features in (("plain", corpus.features), ("head", tmp_path / "others")):
        arguments = ["nnet", "train", str(features), str(corpus.alignment), str(tmp_path / name), "--epochs", "6"]
        assert main([*arguments, "--learning-rate", "1e-2", *NET]) == 0
    return tmp_path


def accuracy(world, corpus, model: str, features) -> dict:
    arguments = [
        "nnet",
        "evaluate",
        str(world / model),
        str(features),
        str(corpus.alignment),
        str(world / f"{model}_frames"),
    ]
    assert main([*arguments, "--jobs", "1"]) == 0
    return read_json(world / f"{model}_frames" / "frames.json")


def test_weighted_ensemble_beats_its_members(world, corpus):
    arguments = ["nnet", "ensemble", *(str(world / name) for name in ("head", "plain", "company"))]
    on = ["--weights-on", str(world / "both"), str(corpus.alignment)]
    assert main([*arguments, *on, "--jobs", "1"]) == 0
    company = load_model(world / "company")
    assert sum(company.weights) == pytest.approx(1)
    assert min(company.weights) > 0
    alone = [accuracy(world, corpus, "plain", corpus.features), accuracy(world, corpus, "head", world / "others")]
    together = accuracy(world, corpus, "company", world / "both")
    assert together["cross_entropy"] < min(each["cross_entropy"] for each in alone)
    frames, others = FrameArchive(corpus.features)["utt003"], FrameArchive(world / "others")["utt003"]
    parts = [load_model(world / "head").log_posteriors(others), load_model(world / "plain").log_posteriors(frames)]
    wanted = np.log(np.tensordot(company.weights, np.exp(parts), 1))
    np.testing.assert_allclose(company.log_posteriors(FrameArchive(world / "both")["utt003"]), wanted, atol=1e-4)
    np.testing.assert_allclose(company.priors, load_model(world / "head").priors, rtol=1e-5)


def test_weighted_ensemble_teaches_a_student_on_other_features(world, corpus):
    names = [str(world / name) for name in ("head", "plain", "company")]
    assert (
        main(["nnet", "ensemble", *names, "--weights-on", str(world / "both"), str(corpus.alignment), "--jobs", "1"])
        == 0
    )
    store = ["distill", "targets", str(world / "company"), str(world / "both"), str(world / "store"), "--keep", "4"]
    assert main([*store, "--jobs", "1"]) == 0
    student = ["nnet", "train", str(corpus.features), str(corpus.alignment), str(world / "student")]
    assert main([*student, "--soft-targets", str(world / "store"), "--epochs", "1", *NET]) == 0


def test_members_that_do_not_fit_are_refused(world, corpus):
    command = ["nnet", "ensemble", world / "head", world / "plain", world / "x", "--jobs", 1]
    assert_refused(command, world / "plain", world / "head", "--weights-on")
    assert_refused([*command, "--weights-on", corpus.features, corpus.alignment], world / "head", "weights")
    on = ["--weights-on", world / "both", corpus.alignment]
    assert_refused([*command, "--combine", "geometric", *on], "--combine", "--weights-on")
