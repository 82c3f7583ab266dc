"""The factored time-delay network: definition, context, semi-orthogonal maps, sizes."""

import numpy as np
import pytest
import torch

from asrdistill.models.network import pad
from asrdistill.models.options import NetworkConfig
from asrdistill.models.registry import build_network
from asrdistill.models.tdnnf import EVERY, Tdnnf
from tests.refusals import refused

CONTEXTS = [(26, 6), (32, 0), (13, 15)]


def random_network(left: int, right: int, **options) -> Tdnnf:
    torch.manual_seed(0)
    config = NetworkConfig(architecture="tdnnf", width=16, left=left, right=right, dilations=[1, 2, 4, 6], **options)
    module = build_network(config, 4, 5).eval()
    for value in module.parameters():
        torch.nn.init.normal_(value, std=0.3)
    return module


@pytest.mark.parametrize("context", CONTEXTS)
def test_block_equals_the_formula(context):
    """The network against its definition, frame by frame, in float64."""
    module = random_network(*context).double()
    features = torch.randn(1, 1 + sum(context), 4, dtype=torch.float64)
    trunk = torch.stack([module.first(row.flatten()) for row in features[0].unfold(0, module.span, 1).mT])
    for block in module.blocks:
        d, ready, factor = block.dilation, torch.relu(trunk), block.factor()
        z = torch.stack([factor @ torch.cat([ready[t], ready[t + d]]) for t in range(len(ready) - d)])
        change = [block.wide(torch.cat([z[t], z[t + d]])) for t in range(len(z) - d)]
        trunk = torch.stack([trunk[t + block.centre] + y for t, y in enumerate(change)])
    wanted = module.output(module.squeeze(torch.relu(trunk)))
    torch.testing.assert_close(module(features)[0], wanted)


@pytest.mark.parametrize("context", CONTEXTS)
def test_output_depends_on_its_context_alone(context):
    features = torch.randn(1, 40 + sum(context), 4, requires_grad=True)
    random_network(*context)(features)[0, 20].square().sum().backward()
    seen = features.grad[0].abs().sum(1).nonzero().flatten()
    assert (int(seen.min()), int(seen.max())) == (20, 20 + sum(context))


def test_chunks_give_the_scores_of_the_whole():
    module, features = random_network(26, 6), np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    padded = torch.from_numpy(pad(features, module.context))[None]
    parts = [module(padded[:, t : min(t + 7, 50) + 32])[0] for t in range(0, 50, 7)]
    torch.testing.assert_close(torch.cat(parts), module(padded)[0], rtol=1e-4, atol=1e-4)


def test_narrow_maps_become_semi_orthogonal():
    """From any start, a few dozen steps, of which most updates are none."""
    module = random_network(26, 6)
    before = module.blocks[0].factor().clone()
    module.after_update(EVERY + 1)
    assert torch.equal(module.blocks[0].factor(), before)
    for step in range(1, 200):
        module.after_update(EVERY * step)
    for block in module.blocks:
        square = block.factor() @ block.factor().T
        torch.testing.assert_close(square, square.trace() / len(square) * torch.eye(len(square)), atol=1e-4, rtol=1e-4)


def test_dropout_is_one_factor_per_chunk_and_channel():
    module = random_network(26, 6, dropout=0.2).train()
    hidden = torch.ones(300, 7, 16)
    dropped = module.drop(hidden, None)
    assert (dropped == dropped[:, :1]).all()
    assert (dropped.min() >= 0.6) & (dropped.max() <= 1.4)
    assert dropped.mean() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(("width", "millions"), [(160, 0.3), (384, 1.05), (1024, 6.5)])
def test_one_dial_for_the_size(width, millions):
    options = NetworkConfig(architecture="tdnnf", width=width, left=42, right=24, dilations=[3] * 9)
    count = sum(value.numel() for value in build_network(options, 40, 1500).parameters())
    assert count == pytest.approx(millions * 1e6, rel=0.15)


def test_dilations_that_reach_too_far_are_refused():
    with refused(13):
        build_network(NetworkConfig(architecture="tdnnf", left=10, right=3, dilations=[3, 3, 3]), 4, 5)
