import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from asrdistill.cli import main
from asrdistill.hmm.gmm import FeatureTransform, Gmm, Mixtures
from asrdistill.hmm.senones import Senones
from asrdistill.models.dnn import Dnn
from asrdistill.models.ensemble import average_posteriors
from asrdistill.models.io import load_model, save_ensemble, save_model
from asrdistill.models.options import NetworkConfig
from tests.refusals import assert_refused, refused

OPTIONS = NetworkConfig(layers=1, width=8, left=1, right=1)


def write(folder, phone="A", settings="fbank"):
    folder.mkdir()
    senones = Senones(["SIL", phone], {"SIL": [0, 1, 2, 3, 4], phone: [5, 6, 7]}, np.full(8, np.log(0.5)))
    model = Dnn(OPTIONS, 3, 8)
    torch.nn.init.normal_(model.output.weight)
    save_model(folder, model, OPTIONS, senones, np.full(8, -np.log(8), dtype=np.float32), features={"type": settings})
    return model


def test_saved_model_is_loaded_again(tmp_path):
    model = write(tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    frames = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    padded = torch.from_numpy(np.pad(frames, ((1, 1), (0, 0)), mode="edge"))
    torch.testing.assert_close(loaded.logits(frames), model.eval()(padded[None])[0])
    np.testing.assert_allclose(np.exp(loaded.log_posteriors(frames)).sum(-1), 1, rtol=1e-5)
    np.testing.assert_allclose(loaded.priors, 1 / 8, rtol=1e-6)


def test_truncated_and_missing_files_are_refused(tmp_path):
    write(tmp_path / "m")
    weights = tmp_path / "m/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with refused(weights):
        load_model(tmp_path / "m")
    weights.unlink()
    with refused(weights):
        load_model(tmp_path / "m")
    with refused("meta.json"):
        load_model(tmp_path)


def test_weights_of_another_size_are_refused(tmp_path):
    write(tmp_path / "m")
    meta = json.loads((tmp_path / "m/meta.json").read_text())
    meta["options"]["width"] = 16
    (tmp_path / "m/meta.json").write_text(json.dumps(meta))
    with refused(tmp_path / "m/model.safetensors", "meta.json", "output.weight"):
        load_model(tmp_path / "m")


def write_gmm(folder, phone="A", settings="fbank"):
    folder.mkdir()
    senones = Senones(["SIL", phone], {"SIL": [0, 1, 2, 3, 4], phone: [5, 6, 7]}, np.full(8, np.log(0.5)))
    means = np.random.default_rng(1).normal(size=(8, 3))
    mixtures = Mixtures(np.zeros(8), means, np.ones((8, 3)), np.arange(9))
    Gmm(mixtures, senones, {"features": {"type": settings}}, FeatureTransform()).write(folder)
    return means


def test_gmm_is_a_member_of_an_ensemble(tmp_path):
    for name in "ab":
        write(tmp_path / name)
    means = write_gmm(tmp_path / "gmm")
    for name, arguments in (("plain", ()), ("both", ("--gmm", str(tmp_path / "gmm"), "0.25"))):
        assert (
            main(["nnet", "ensemble", str(tmp_path / "a"), str(tmp_path / "b"), str(tmp_path / name), *arguments]) == 0
        )
    frames = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    plain, both = load_model(tmp_path / "plain"), load_model(tmp_path / "both")
    likelihoods = np.exp(-0.5 * ((frames[:, None] - means) ** 2).sum(-1))
    expected = np.exp(plain.log_posteriors(frames)) * likelihoods**0.25
    np.testing.assert_allclose(
        np.exp(both.log_posteriors(frames)), expected / expected.sum(-1, keepdims=True), rtol=1e-3, atol=1e-6
    )
    assert both.meta["parameters"] == plain.meta["parameters"] + 2 * 8 * 3 + 8


@pytest.mark.parametrize(
    ("phone", "settings", "scale", "names"),
    [
        ("B", "fbank", "0.2", ["/gmm", "/a", "senone"]),
        ("A", "mfcc", "0.2", ["/gmm", "/a", "feature"]),
        ("A", "fbank", "0", ["scale", 0]),
        ("A", "fbank", "some", ["scale", "'some'"]),
    ],
)
def test_gmm_that_does_not_fit_is_refused(tmp_path, phone, settings, scale, names):
    write(tmp_path / "a")
    write_gmm(tmp_path / "gmm", phone, settings)
    command = ["nnet", "ensemble", str(tmp_path / "a"), str(tmp_path / "out"), "--gmm", str(tmp_path / "gmm"), scale]
    assert_refused(command, *names)
    assert not (tmp_path / "out").exists()


def test_members_that_do_not_fit_are_refused(tmp_path):
    write(tmp_path / "a")
    write(tmp_path / "b", phone="B")
    write(tmp_path / "c", settings="mfcc")
    for other, what in (("b", "senone"), ("c", "feature")):
        with refused(tmp_path / other, tmp_path / "a", what):
            save_ensemble(tmp_path, [tmp_path / "a", tmp_path / other], "arithmetic")


@pytest.mark.parametrize(("name", "value"), [("output.bias", np.nan), ("mean", np.inf), ("log_priors", np.nan)])
def test_weights_that_are_not_finite_are_refused(tmp_path, name, value):
    write(tmp_path / "m")
    path = tmp_path / "m/model.safetensors"
    tensors = load_file(path)
    tensors[name][0] = value
    save_file(tensors, path)
    with refused(path, name):
        load_model(tmp_path / "m")


def test_unknown_ways_of_combining_are_refused():
    with refused("Arithmetic"):
        average_posteriors(torch.zeros(2, 3, 4), "Arithmetic")
