"""Fusion of a generalist with specialists, compared with its closed form and a brute-force optimiser."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from asrdistill.models.specialists import SpecialistPosteriors, _counts, fuse, minimise

SENONES = 7


def descend(p: Tensor, specialists: list[SpecialistPosteriors], steps: int) -> Tensor:
    """The same by gradient descent on the logits z of q: the paper's way, and a check on the update.

    The objective's curvature in z is at most that of (M + 1) log Σ exp z, whose largest is (M + 1)/2: a step of
    2/(M + 1) never raises the objective.
    """
    weight = 1 + _counts(len(p), specialists)[:, None].to(p.dtype)
    z = p.log()
    for _ in range(steps):
        q = z.softmax(-1)
        z = z - 2 / weight * (weight * q - evidence(p, q, specialists))
    return z.softmax(-1)


def evidence(p: Tensor, q: Tensor, specialists: list[SpecialistPosteriors]) -> Tensor:
    """p_g + Σ_m r^m (T, S)"""
    total = p.clone()
    for frames, own, posteriors in specialists:
        if own is None:
            total.index_add_(0, frames, posteriors)
            continue
        rows = q[frames]
        rows[:, own] = 0
        rows *= (posteriors[:, -1] / rows.sum(-1).clamp_min(torch.finfo(q.dtype).tiny))[:, None]
        rows[:, own] = posteriors[:, :-1]
        total.index_add_(0, frames, rows)
    return total


def objective(p: Tensor, q: Tensor, specialists: list[SpecialistPosteriors]) -> Tensor:
    """(T,) KL(p_g, q) + Σ_m KL(p_m, q), natural log."""
    total = _divergence(p, q)
    for frames, own, posteriors in specialists:
        said = q[frames]
        if own is not None:
            others = said.index_fill(-1, own, 0).sum(-1, keepdim=True)
            said = torch.cat([said[:, own], others], -1)
        total = total.index_add(0, frames, _divergence(posteriors, said))
    return total


def _divergence(p: Tensor, q: Tensor) -> Tensor:
    return (torch.special.xlogy(p, p) - torch.special.xlogy(p, q)).sum(-1)


def distributions(frames, size, seed):
    return torch.from_numpy(np.random.default_rng(seed).dirichlet(np.full(size, 0.7), frames))


def random_case(frames=5, seed=0):
    """A generalist, and specialists with sets that overlap; two are not active on all frames, one is full."""
    p = distributions(frames, SENONES, seed)
    some = torch.arange(0, frames, 2)
    return p, [
        SpecialistPosteriors(torch.arange(frames), torch.tensor([0, 1, 2]), distributions(frames, 4, seed + 1)),
        SpecialistPosteriors(torch.arange(frames), torch.tensor([2, 5]), distributions(frames, 3, seed + 2)),
        SpecialistPosteriors(some, torch.tensor([4, 1, 0, 3]), distributions(len(some), 5, seed + 3)),
        SpecialistPosteriors(some, None, distributions(len(some), SENONES, seed + 4)),
    ]


def one_frame(specialists, frame):
    """The specialists on one frame alone."""
    return [
        SpecialistPosteriors(torch.tensor([0]), own, posteriors[frames == frame])
        for frames, own, posteriors in specialists
        if (frames == frame).any()
    ]


def brute_force(p, specialists):
    """The minimum over the logits of one frame, by scipy with numerical gradients."""

    def value(z):
        return objective(p, torch.from_numpy(z)[None].softmax(-1), specialists).item()

    found = minimize(value, p.log().numpy()[0], method="BFGS", options={"gtol": 1e-9, "maxiter": 2000})
    return torch.from_numpy(found.x).softmax(-1), found.fun


@pytest.mark.parametrize("seed", range(4))
def test_minimum_is_that_of_a_brute_force_optimiser(seed):
    p, specialists = random_case(seed=seed)
    q = minimise(p, specialists)
    for frame in range(len(p)):
        alone = one_frame(specialists, frame)
        best, value = brute_force(p[frame : frame + 1], alone)
        torch.testing.assert_close(q[frame], best, atol=1e-4, rtol=0)
        assert objective(p[frame : frame + 1], q[frame : frame + 1], alone).item() <= value + 1e-9


def test_objective_is_the_sum_of_divergences():
    p, specialists = random_case(frames=1)
    q = distributions(1, SENONES, 9)
    by_hand = (p * (p / q).log()).sum()
    for _, own, posteriors in specialists:
        said = q[0] if own is None else torch.cat([q[0, own], 1 - q[0, own].sum()[None]])
        by_hand += (posteriors[0] * (posteriors[0] / said).log()).sum()
    torch.testing.assert_close(objective(p, q, specialists)[0], by_hand)


def test_gradient_is_that_of_the_objective():
    p, specialists = random_case()
    z = torch.randn(len(p), SENONES, dtype=torch.float64, requires_grad=True)
    q = z.softmax(-1)
    (slope,) = torch.autograd.grad(objective(p, q, specialists).sum(), z)
    active = torch.tensor([[4.0], [2.0], [4.0], [2.0], [4.0]])
    torch.testing.assert_close(slope, (active + 1) * q.detach() - evidence(p, q.detach(), specialists))


def test_gradient_descent_and_update_agree():
    p, specialists = random_case()
    torch.testing.assert_close(descend(p, specialists, 3000), minimise(p, specialists), atol=1e-6, rtol=0)


def test_objective_never_rises():
    p, specialists = random_case(frames=40, seed=3)
    weight = torch.full((40, 1), 3.0, dtype=torch.float64)
    weight[::2] += 2
    by_update, before = distributions(40, SENONES, 11), torch.inf
    for _ in range(30):
        value = objective(p, by_update, specialists)
        assert (value <= before + 1e-12).all()
        by_update, before = evidence(p, by_update, specialists) / weight, value
    values = torch.stack([objective(p, descend(p, specialists, steps), specialists) for steps in range(30)])
    assert (values.diff(dim=0) <= 1e-12).all()


def test_one_specialist_has_a_closed_form():
    p, specialists = random_case(frames=6)
    _, own, posteriors = specialists[0]
    others = [3, 4, 5, 6]
    mass = p[:, others].sum(-1, keepdim=True)
    expected = torch.empty_like(p)
    expected[:, own] = (p[:, own] + posteriors[:, :-1]) / 2
    expected[:, others] = p[:, others] * (mass + posteriors[:, -1:]) / (2 * mass)
    torch.testing.assert_close(minimise(p, specialists[:1]), expected, atol=1e-12, rtol=0)


def test_full_softmax_alone_is_the_arithmetic_mean():
    p = distributions(3, SENONES, 0)
    others = [SpecialistPosteriors(torch.arange(3), None, distributions(3, SENONES, seed)) for seed in (1, 2)]
    torch.testing.assert_close(minimise(p, others), (p + others[0].p + others[1].p) / 3)


def test_frames_without_specialists_are_the_generalists():
    p, specialists = random_case(frames=6)
    some = torch.tensor([1, 4])
    log_p = p.log().float()
    combined = fuse(log_p, [SpecialistPosteriors(some, specialists[0].own, specialists[0].p[some])])
    alone = fuse(log_p[some], [SpecialistPosteriors(torch.arange(2), specialists[0].own, specialists[0].p[some])])
    others = [0, 2, 3, 5]
    assert torch.equal(combined[others], log_p[others])
    torch.testing.assert_close(combined[some], alone)
    torch.testing.assert_close(combined.exp().sum(-1), torch.ones(6))
    assert fuse(log_p, []) is log_p


def test_certain_specialists_leave_every_senone_possible():
    """A specialist that is sure of its own, or of its dustbin, in float32."""
    log_p = torch.tensor([[0.0, -60.0, -90.0], [-90.0, -60.0, 0.0]])
    sure = SpecialistPosteriors(
        torch.tensor([0, 1]), torch.tensor([0, 1]), torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    )
    combined = fuse(log_p, [sure, sure])
    assert torch.isfinite(combined).all()
    torch.testing.assert_close(combined.exp().sum(-1), torch.ones(2))
