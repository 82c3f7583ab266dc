"""Export formats of a recurrent network, compared with the network itself."""

import numpy as np
import pytest
import torch

from asrdistill.decode.acoustic import PosteriorScorer, ScoreStream
from asrdistill.hmm.senones import Senones
from asrdistill.models.io import load_model, save_model
from asrdistill.models.options import NetworkConfig
from asrdistill.models.registry import build_network
from tests.export.exported import exported
from tests.refusals import refused

PHONES = {"SIL": [0, 1, 2, 3, 4], "A": [5, 6, 7]}


@pytest.fixture(params=[(8, 3), (5, 0)])
def folder(request, tmp_path):
    torch.manual_seed(0)
    left, right = request.param
    options = NetworkConfig(architecture="gru", layers=2, width=24, left=left, right=right)
    module = build_network(options, 6, 8)
    with torch.no_grad():
        module.mean.copy_(torch.randn(6) * 5)
        module.std.copy_(torch.rand(6) + 0.5)
        torch.nn.init.normal_(module.output.weight)
    folder = tmp_path / "model"
    folder.mkdir()
    senones = Senones(["SIL", "A"], PHONES, np.full(8, -0.5))
    save_model(folder, module, options, senones, np.full(8, -2, np.float32), features={"type": "fbank"})
    return folder


def frames(count: int) -> np.ndarray:
    return (4 * np.random.default_rng(1).normal(size=(count, 6))).astype(np.float32)


@pytest.mark.parametrize("form", ["safetensors", "onnx", "torchscript"])
def test_float_forms_give_the_original_scores(form, folder, tmp_path):
    original, other = load_model(folder), exported(form, folder, tmp_path / "out")
    for count in (1, 2, 77):
        np.testing.assert_allclose(
            other.log_posteriors(frames(count)), original.log_posteriors(frames(count)), atol=1e-4
        )


def test_torchscript_takes_several_utterances(folder, tmp_path):
    module, script = load_model(folder).module, exported("torchscript", folder, tmp_path / "out").module
    features = torch.randn(3, 40, 6)
    torch.testing.assert_close(script(features), module(features).log_softmax(-1), rtol=1e-4, atol=1e-4)


def test_onnx_runtime_remembers_from_piece_to_piece(folder, tmp_path):
    scorer = PosteriorScorer(exported("onnx", folder, tmp_path / "out"), 1e-5)
    whole, stream = scorer.loglikes(frames(90)), ScoreStream(scorer)
    scores = [stream.accept(frames(90)[t : t + 7]) for t in range(0, 90, 7)]
    np.testing.assert_allclose(np.concatenate([*scores, stream.finish()]), whole, atol=1e-4)


@pytest.mark.parametrize("form", ["int8", "kaldi"])
def test_other_forms_are_refused(form, folder, tmp_path):
    with refused(form, folder):
        exported(form, folder, tmp_path / "out", [frames(50)])
