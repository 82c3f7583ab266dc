import numpy as np
import pytest
import torch

from asrdistill.models.dnn import Dnn
from asrdistill.models.network import bernoulli, pad
from asrdistill.models.options import NetworkConfig

OPTIONS = NetworkConfig(layers=2, width=8, left=3, right=1)


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = Dnn(OPTIONS, features=4, senones=5)
    torch.nn.init.normal_(model.output.weight)
    model.mean.fill_(0.5)
    model.std.fill_(2.0)
    return model.eval()


def test_whole_utterance_equals_frame_by_frame(model):
    frames = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    padded = torch.from_numpy(pad(frames, model.context))
    whole = model(padded[None])[0]
    single = torch.cat([model(padded[None, t : t + 5])[0] for t in range(9)])
    torch.testing.assert_close(whole, single)


def test_first_layer_is_a_convolution_over_the_window(model):
    batch = torch.randn(2, 12, 4)
    kernel = model.hidden[0].weight.view(8, 5, 4).transpose(1, 2)  # weights lie frame by frame
    normal = ((batch - 0.5) / 2).transpose(1, 2)
    wanted = torch.relu(torch.nn.functional.conv1d(normal, kernel, model.hidden[0].bias)).transpose(1, 2)
    seen = {}
    model.hidden[1].register_forward_pre_hook(lambda _, inputs: seen.update(hidden=inputs[0]))
    model(batch)
    torch.testing.assert_close(seen["hidden"], wanted, rtol=1e-4, atol=1e-5)


def test_untrained_output_is_uniform():
    logits = Dnn(OPTIONS, 4, 5)(torch.randn(1, 10, 4))
    torch.testing.assert_close(logits, torch.zeros(1, 6, 5))


@pytest.mark.parametrize("probability", [0.1, 0.6, 0.9, 1.0])
def test_drawn_booleans_have_their_probability_at_each_place(probability):
    torch.manual_seed(0)
    kept = bernoulli((4000, 7, 3), probability, torch.device("cpu")).double()
    assert kept.mean().item() == pytest.approx(probability, abs=4 * (0.25 / kept.numel()) ** 0.5 + 2**-16)
    assert (kept.flatten(1).mean(0) - probability).abs().max() < 5 * (0.25 / 4000) ** 0.5  # of whatever 16 bits


def test_dropout_keeps_the_mean_and_ends_with_training():
    torch.manual_seed(0)
    model = Dnn(NetworkConfig(layers=1, width=4, left=0, right=0, dropout=0.3), features=2, senones=3)
    hidden = torch.full((5000, 1, 8), 2.0)
    dropped = model.train().drop(hidden, None)
    assert dropped.unique().tolist() == [0.0, pytest.approx(2 / 0.7)]
    assert dropped.mean().item() == pytest.approx(2.0, abs=0.05)
    assert torch.equal(model.eval().drop(hidden, None), hidden)
