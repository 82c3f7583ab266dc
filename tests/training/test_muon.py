"""Muon against singular value decompositions and PyTorch's."""

import pytest
import torch

from asrdistill.models.options import NetworkConfig
from asrdistill.models.tdnnf import Tdnnf
from asrdistill.training.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(30, 80), (80, 30), (40, 40), (1, 7)])
def test_steps_keep_singular_vectors_and_have_values_of_about_one(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    between = left.T @ orthogonal(matrix) @ right.T
    large = values > 0.02 * values.norm()
    assert ((between.diagonal() > 0.6) & (between.diagonal() < 1.3))[large].all()
    assert (between - between.diagonal().diag()).abs().max() < 1e-9


def test_no_gradient_no_step_and_zero_gradient_is_finite():
    assert (orthogonal(torch.zeros(3, 5)) == 0).all()


def test_updates_are_those_of_pytorchs_muon_and_adamw():
    """PyTorch's Muon takes the matrices, its AdamW the rest; both here in one."""
    torch.manual_seed(0)
    config = NetworkConfig(architecture="tdnnf", width=64, left=4, right=4, dilations=[1, 2])
    ours, theirs = (Tdnnf(config, 5, 7) for _ in range(2))
    with torch.no_grad():  # a gradient of 0 but for rounding would be made orthogonal too
        for each in ours.parameters():
            each.normal_(0, 0.2)
    start = [each.clone() for each in ours.parameters()]
    theirs.load_state_dict(ours.state_dict())
    matrices = [each for each in theirs.parameters() if each.dim() == 2 and each is not theirs.output.weight]
    rest = [each for each in theirs.parameters() if each.dim() != 2 or each is theirs.output.weight]
    peers = (
        torch.optim.Muon(matrices, 0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, 0.01, weight_decay=0.1),
    )
    optimiser = Muon(ours, 0.01, 0.1, torch.bfloat16)
    for _ in range(3):
        features, labels = torch.randn(4, 14, 5), torch.randint(7, (4 * 6,))
        for model in (ours, theirs):
            model.zero_grad()
            torch.nn.functional.cross_entropy(model(features).flatten(0, 1), labels).backward()
        optimiser.step()
        for peer in peers:
            peer.step()
    for (name, found), expected, before in zip(ours.named_parameters(), theirs.parameters(), start, strict=True):
        assert (found - expected).norm() <= 0.02 * (expected - before).norm(), name
