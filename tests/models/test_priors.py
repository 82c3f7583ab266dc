"""Priors estimated as the network's mean posterior."""

import numpy as np
import pytest
import torch

from asrdistill.cli import main
from asrdistill.data.archive import FrameArchive
from asrdistill.models.dnn import Dnn
from asrdistill.models.io import load_model, save_ensemble, save_model
from asrdistill.models.options import NetworkConfig
from tests.refusals import assert_refused

OPTIONS = NetworkConfig(layers=1, width=16, left=2, right=1)


@pytest.fixture
def model(corpus, tmp_path):
    torch.manual_seed(0)
    network = Dnn(OPTIONS, 6, corpus.senones.count)
    torch.nn.init.normal_(network.output.weight)
    folder = tmp_path / "model"
    folder.mkdir()
    even = np.full(corpus.senones.count, -np.log(corpus.senones.count), np.float32)
    save_model(folder, network, OPTIONS, corpus.senones, even, features=corpus.settings)
    return folder


def test_priors_are_the_mean_posterior_for_any_jobs(corpus, model, tmp_path):
    for jobs in ("1", "2"):
        assert (
            main(["nnet", "adjust", str(model), str(tmp_path / jobs), "--priors", str(corpus.features), "--jobs", jobs])
            == 0
        )
    one, two = ((tmp_path / jobs / "model.safetensors").read_bytes() for jobs in ("1", "2"))
    assert one == two
    before, after = load_model(model), load_model(tmp_path / "1")
    features = FrameArchive(corpus.features)
    posteriors = [before.log_posteriors(features[utterance]) for utterance in features]
    np.testing.assert_allclose(after.priors, np.exp(np.concatenate(posteriors)).mean(0), rtol=1e-4)
    np.testing.assert_array_equal(after.log_posteriors(features["utt000"]), posteriors[0])


def test_ensemble_has_the_mean_of_its_members_priors(corpus, model, tmp_path):
    assert main(["nnet", "adjust", str(model), str(tmp_path / "other"), "--priors", str(corpus.features)]) == 0
    ensemble = tmp_path / "ensemble"
    ensemble.mkdir()
    save_ensemble(ensemble, [model, tmp_path / "other"], "arithmetic")
    members = [load_model(folder).priors for folder in (model, tmp_path / "other")]
    np.testing.assert_allclose(load_model(ensemble).priors, np.mean(members, axis=0))
    assert_refused(["nnet", "adjust", ensemble, tmp_path / "out", "--priors", corpus.features], ensemble, "'ensemble'")
