"""The time-delay network: context, blocks, streaming."""

import numpy as np
import pytest
import torch

from asrdistill.decode.acoustic import PosteriorScorer, ScoreStream
from asrdistill.hmm.senones import Senones
from asrdistill.lang.lexicon import Lang
from asrdistill.models.acoustic import AcousticModel
from asrdistill.models.io import load_model, save_model
from asrdistill.models.network import pad
from asrdistill.models.options import NetworkConfig
from asrdistill.models.registry import build_network
from asrdistill.models.tdnn import Tdnn
from tests.refusals import refused

SENONES = Senones.monophones(Lang.build({"a": [(1.0, ("A",))]}, ["A"]))
CONTEXTS = [(26, 5), (31, 0), (13, 15), (26, 30)]


def random_network(left: int, right: int, **options) -> Tdnn:
    """A network none of whose weights is zero."""
    torch.manual_seed(0)
    chosen = NetworkConfig(architecture="tdnn", width=12, left=left, right=right, dilations=[1, 2, 4, 6], **options)
    module = build_network(chosen, 4, SENONES.count).eval()
    for name, value in module.named_parameters():
        torch.nn.init.normal_(value, std=0.2 if "first" in name else 0.5)
    module.mean.fill_(0.5)
    module.std.fill_(2.0)
    return module


def frames(count: int) -> np.ndarray:
    return np.random.default_rng(count).normal(size=(count, 4)).astype(np.float32)


@pytest.mark.parametrize("context", CONTEXTS)
def test_whole_utterance_equals_chunks_and_single_frames(context):
    module = random_network(*context)
    features = frames(50)
    padded = torch.from_numpy(pad(features, context))[None]
    whole = module(padded)[0]
    assert whole.shape == (50, SENONES.count)
    for size in (1, 7, 50):
        parts = [module(padded[:, t : min(t + size, 50) + sum(context)])[0] for t in range(0, 50, size)]
        torch.testing.assert_close(torch.cat(parts), whole, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("context", CONTEXTS)
def test_output_depends_on_its_context_alone(context):
    """The gradient of a frame's scores reaches from the first frame of its context to the last."""
    left, right = context
    module = random_network(*context)
    features = torch.randn(1, 40 + left + right, 4, requires_grad=True)
    module(features)[0, 20].square().sum().backward()
    seen = features.grad[0].abs().sum(1).nonzero().flatten()
    assert (int(seen.min()), int(seen.max())) == (20, 20 + left + right)


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("count", [1, 30, 90])
def test_stream_gives_the_scores_of_the_whole_utterance(context, count):
    module = random_network(*context)
    model = PosteriorScorer(AcousticModel(module, SENONES, np.full(SENONES.count, 0.1), {}), 1e-5)
    whole = model.loglikes(frames(count))
    for size in (1, 16):
        stream = ScoreStream(model)
        scores = [stream.accept(frames(count)[t : t + size]) for t in range(0, count, size)]
        assert sum(map(len, scores)) == max(0, count - context[1])
        np.testing.assert_allclose(np.concatenate([*scores, stream.finish()]), whole, atol=1e-3)


def test_block_equals_the_formula():
    """The network against its definition, frame by frame, in float64."""
    module = random_network(26, 5).double()
    x = torch.randn(1, 32, 4, dtype=torch.float64)
    trunk = (x[0] - 0.5) / 2
    span = 32 - 26
    trunk = torch.stack([torch.relu(module.first(trunk[t : t + span].flatten())) for t in range(32 - span + 1)])
    for block in module.blocks:
        out = []
        for t in range(len(trunk) - 2 * block.dilation):
            delayed = sum(block.delay[k] * trunk[t + k * block.dilation] for k in range(3))
            out.append(trunk[t + block.centre] + block.project(torch.relu(block.expand(delayed))))
        trunk = torch.stack(out)
    torch.testing.assert_close(module(x)[0], module.output(torch.relu(trunk)))


def test_look_ahead_counts_the_frames_after_the_newest():
    """What lies after the frame that the blocks add is the look-ahead, but for what the first layer sees of it."""
    for left, right in CONTEXTS[:2]:
        module = random_network(left, right)
        after = sum(block.reach - block.centre for block in module.blocks)
        assert 0 <= right - after <= (module.span - 1) // 2


def test_untrained_output_is_uniform_and_blocks_are_the_identity():
    module = build_network(NetworkConfig(architecture="tdnn", width=8), 4, 5)
    torch.testing.assert_close(module(torch.randn(1, 30, 4)), torch.zeros(1, 5, 5))


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"left": 10, "right": 5}, ["20 frames", "left", "right", 15, 5]),
        ({"dilations": [0]}, ["dilations", "[0]"]),
        ({"taps": 0}, ["taps", 0]),
        ({"widths": [0.5]}, ["dnn", "widths"]),
    ],
)
def test_impossible_options_are_refused(options, names):
    with refused(*names):
        build_network(NetworkConfig(architecture="tdnn", width=8, **options), 4, 5)


def test_saved_network_is_rebuilt(tmp_path):
    options = NetworkConfig(architecture="tdnn", width=12, left=26, right=5, dilations=[1, 2, 4, 6])
    module = random_network(26, 5)
    priors = np.full(SENONES.count, -1, np.float32)
    save_model(tmp_path, module, options, SENONES, priors, features={"type": "fbank"})
    loaded = load_model(tmp_path)
    assert isinstance(loaded.module, Tdnn)
    padded = torch.from_numpy(pad(frames(20), (26, 5)))
    torch.testing.assert_close(loaded.logits(frames(20)), module(padded[None])[0])
