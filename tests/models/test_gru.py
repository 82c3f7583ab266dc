"""The recurrent network, compared with its definition, at once and in blocks."""

import numpy as np
import pytest
import torch

from asrdistill.decode.acoustic import PosteriorScorer, ScoreStream
from asrdistill.hmm.senones import Senones
from asrdistill.lang.lexicon import Lang
from asrdistill.models.acoustic import AcousticModel
from asrdistill.models.gru import Gru
from asrdistill.models.io import load_model, save_model
from asrdistill.models.network import pad
from asrdistill.models.options import NetworkConfig
from asrdistill.models.registry import build_network
from tests.refusals import refused

SENONES = Senones.monophones(Lang.build({"a": [(1.0, ("A",))]}, ["A"]))


def options(left: int = 6, right: int = 2) -> NetworkConfig:
    return NetworkConfig(architecture="gru", layers=2, width=10, left=left, right=right)


def random_network(left: int = 6, right: int = 2) -> Gru:
    torch.manual_seed(0)
    module = build_network(options(left, right), 4, SENONES.count).eval()
    torch.nn.init.normal_(module.output.weight)
    module.mean.fill_(0.5)
    module.std.fill_(2.0)
    return module


def frames(count: int) -> np.ndarray:
    return np.random.default_rng(count).normal(size=(count, 4)).astype(np.float32)


def by_the_formula(layer: torch.nn.GRU, inputs: torch.Tensor) -> torch.Tensor:
    """Cho et al. (2014), with the reset gate after the product: frame by frame."""
    (wr, wz, wn), (ur, uz, un) = (weight.chunk(3) for weight in (layer.weight_ih_l0, layer.weight_hh_l0))
    (br, bz, bn), (cr, cz, cn) = (bias.chunk(3) for bias in (layer.bias_ih_l0, layer.bias_hh_l0))
    h, out = torch.zeros(len(br), dtype=inputs.dtype), []
    for x in inputs:
        r, z = torch.sigmoid(wr @ x + br + ur @ h + cr), torch.sigmoid(wz @ x + bz + uz @ h + cz)
        h = (1 - z) * torch.tanh(wn @ x + bn + r * (un @ h + cn)) + z * h
        out.append(h)
    return torch.stack(out)


def test_output_equals_the_formula_delayed_by_the_look_ahead():
    module = random_network().double()
    x = torch.randn(1, 20, 4, dtype=torch.float64)
    hidden = (x[0] - 0.5) / 2
    for layer in module.recurrent:
        hidden = by_the_formula(layer, hidden)
    torch.testing.assert_close(module(x)[0], module.output(hidden[8:]))


def test_output_depends_on_the_look_ahead_and_no_later_frame():
    module = random_network()
    features = torch.randn(1, 28, 4, requires_grad=True)
    module(features)[0, 10].square().sum().backward()
    seen = features.grad[0].abs().sum(1).nonzero().flatten()
    assert (int(seen.min()), int(seen.max())) == (0, 10 + 6 + 2)


@pytest.mark.parametrize(("left", "right"), [(6, 2), (6, 0), (0, 3)])
@pytest.mark.parametrize("count", [1, 30, 90])
def test_stream_gives_the_scores_of_the_whole_utterance(left, right, count):
    model = PosteriorScorer(AcousticModel(random_network(left, right), SENONES, np.full(SENONES.count, 0.1), {}), 1e-5)
    whole = model.loglikes(frames(count))
    for size in (1, 16):
        stream = ScoreStream(model)
        scores = [stream.accept(frames(count)[t : t + size]) for t in range(0, count, size)]
        assert sum(map(len, scores)) == max(0, count - right)
        np.testing.assert_allclose(np.concatenate([*scores, stream.finish()]), whole, atol=1e-4)


def test_output_depends_on_distant_past_frames():
    """Beyond `left`, which is only where training begins to hear."""
    model = AcousticModel(random_network(), SENONES, np.full(SENONES.count, 0.1), {})
    features = frames(30)
    other = features.copy()
    other[0] += 5
    assert np.abs(model.log_posteriors(features)[12] - model.log_posteriors(other)[12]).max() > 1e-6


def test_untrained_output_is_uniform():
    module = build_network(options(), 4, 5)
    torch.testing.assert_close(module(torch.randn(1, 30, 4)), torch.zeros(1, 22, 5))


def test_widths_are_refused():
    with refused("dnn", "widths"):
        build_network(NetworkConfig(architecture="gru", widths=[0.5]), 4, 5)


def test_saved_network_is_rebuilt(tmp_path):
    module = random_network()
    priors = np.full(SENONES.count, -1, np.float32)
    save_model(tmp_path, module, options(), SENONES, priors, features={"type": "fbank"})
    loaded = load_model(tmp_path)
    assert isinstance(loaded.module, Gru)
    padded = torch.from_numpy(pad(frames(20), (6, 2)))
    torch.testing.assert_close(loaded.logits(frames(20)), module(padded[None])[0])
