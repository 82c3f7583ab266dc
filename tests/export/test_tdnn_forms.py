"""Export formats of time-delay networks, compared with the network itself."""

import numpy as np
import pytest
import torch

from asrdistill.export.options import INT8
from asrdistill.hmm.senones import Senones
from asrdistill.models.io import load_model, save_model
from asrdistill.models.network import pad
from asrdistill.models.options import NetworkConfig
from asrdistill.models.registry import build_network
from tests.export.exported import exported

PHONES = {"SIL": [0, 1, 2, 3, 4], "A": [5, 6, 7]}


@pytest.fixture(params=[("tdnn", 15, 3), ("tdnn", 18, 0), ("tdnnf", 15, 3), ("tdnnf", 18, 0)], ids=str)
def folder(request, tmp_path):
    torch.manual_seed(0)
    architecture, left, right = request.param
    options = NetworkConfig(architecture=architecture, width=32, left=left, right=right, dilations=[1, 2, 3])
    senones = Senones(["SIL", "A"], PHONES, np.full(8, -0.5))
    module = build_network(options, 6, 8)
    with torch.no_grad():
        module.mean.copy_(torch.randn(6) * 5)
        module.std.copy_(torch.rand(6) + 0.5)
        for block in module.blocks if architecture == "tdnnf" else ():
            torch.nn.init.normal_(block.wide.weight, std=0.2)
            block.wide.weight[::7] *= 30  # a few channels are far larger than the rest
            block.narrow.weight[:, ::7] /= 30
        if architecture == "tdnnf":
            module.squeeze.weight[:, ::7] /= 30  # as what each narrow map makes of them
        for block in module.blocks if architecture == "tdnn" else ():
            torch.nn.init.normal_(block.project.weight, std=0.1)
            block.delay[:, ::7] *= 30  # a few channels are far larger than the rest
            block.expand.weight[:, ::7] /= 30
        torch.nn.init.normal_(module.output.weight, std=0.03)
    folder = tmp_path / "model"
    folder.mkdir()
    save_model(folder, module, options, senones, np.full(8, -2, np.float32), features={"type": "fbank"})
    return folder


def frames(count: int, seed: int = 1) -> np.ndarray:
    return (4 * np.random.default_rng(seed).normal(size=(count, 6))).astype(np.float32)


@pytest.mark.parametrize("form", ["safetensors", "onnx", "torchscript", "kaldi"])
def test_float_forms_give_the_original_scores(form, folder, tmp_path):
    original, other = load_model(folder), exported(form, folder, tmp_path / "out")
    for count in (1, 2, 77):
        np.testing.assert_allclose(
            other.log_posteriors(frames(count)), original.log_posteriors(frames(count)), atol=2e-4
        )


@pytest.mark.parametrize("form", INT8)
def test_int8_differs_by_rounding_alone(form, folder, tmp_path, monkeypatch):
    calibration, features = [frames(500), frames(500, 2)], frames(400, 3)
    wanted = load_model(folder).log_posteriors(features)

    def error(found: np.ndarray) -> float:
        return float(np.sqrt(np.square(found - wanted)[wanted > -7].mean()))

    found = exported(form, folder, tmp_path / "out", calibration).log_posteriors(features)
    assert 0 < error(found) < 0.12
    assert (found.argmax(1) == wanted.argmax(1)).mean() > 0.95
    np.testing.assert_allclose(np.exp(found).sum(1), 1, atol=1e-5)
    plain = lambda peak, layer: (np.ones_like(peak), layer, float(peak.max()))  # noqa: E731
    for module in ("int8", "onnx"):
        monkeypatch.setattr(f"asrdistill.export.{module}.evened", plain)
    rough = exported(form, folder, tmp_path / "rough", calibration).log_posteriors(features)
    assert error(rough) > 1.5 * error(found)


@pytest.mark.parametrize("form", INT8)
def test_int8_output_depends_on_the_context_alone(form, folder, tmp_path):
    other = exported(form, folder, tmp_path / "out", [frames(500)])
    features = frames(60, 4)
    features[40:] *= 5
    whole, padded = other.log_posteriors(features), pad(features, other.context)
    for begin in range(0, 60, 16):
        piece = other.forward_chunk(padded[begin : begin + 16 + 18])[0]
        np.testing.assert_allclose(piece, whole[begin : begin + 16], atol=1e-4)
