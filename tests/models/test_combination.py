"""The combination of a generalist with specialists, against its closed form and a brute-force optimiser."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from asrdistill.models.combination import Opinion, combine, descend, evidence, minimise, objective

SENONES = 7


def distributions(frames, size, seed):
    return torch.from_numpy(np.random.default_rng(seed).dirichlet(np.full(size, 0.7), frames))


def random_case(frames=5, seed=0):
    """A generalist, and specialists with sets that overlap; two are not active on all frames, one is full."""
    p = distributions(frames, SENONES, seed)
    some = torch.arange(0, frames, 2)
    return p, [
        Opinion(torch.arange(frames), torch.tensor([0, 1, 2]), distributions(frames, 4, seed + 1)),
        Opinion(torch.arange(frames), torch.tensor([2, 5]), distributions(frames, 3, seed + 2)),
        Opinion(some, torch.tensor([4, 1, 0, 3]), distributions(len(some), 5, seed + 3)),
        Opinion(some, None, distributions(len(some), SENONES, seed + 4)),
    ]


def one_frame(opinions, frame):
    """The opinions on one frame alone."""
    return [
        Opinion(torch.tensor([0]), own, stated[frames == frame])
        for frames, own, stated in opinions
        if (frames == frame).any()
    ]


def brute_force(p, opinions):
    """The minimum over the logits of one frame, by scipy with numerical gradients."""

    def value(z):
        return objective(p, torch.from_numpy(z)[None].softmax(-1), opinions).item()

    found = minimize(value, p.log().numpy()[0], method="BFGS", options={"gtol": 1e-9, "maxiter": 2000})
    return torch.from_numpy(found.x).softmax(-1), found.fun


@pytest.mark.parametrize("seed", range(4))
def test_minimum_is_that_of_a_brute_force_optimiser(seed):
    p, opinions = random_case(seed=seed)
    q = minimise(p, opinions)
    for frame in range(len(p)):
        alone = one_frame(opinions, frame)
        best, value = brute_force(p[frame : frame + 1], alone)
        torch.testing.assert_close(q[frame], best, atol=1e-4, rtol=0)
        assert objective(p[frame : frame + 1], q[frame : frame + 1], alone).item() <= value + 1e-9


def test_objective_is_the_sum_of_divergences():
    p, opinions = random_case(frames=1)
    q = distributions(1, SENONES, 9)
    by_hand = (p * (p / q).log()).sum()
    for _, own, stated in opinions:
        said = q[0] if own is None else torch.cat([q[0, own], 1 - q[0, own].sum()[None]])
        by_hand += (stated[0] * (stated[0] / said).log()).sum()
    torch.testing.assert_close(objective(p, q, opinions)[0], by_hand)


def test_gradient_is_that_of_the_objective():
    p, opinions = random_case()
    z = torch.randn(len(p), SENONES, dtype=torch.float64, requires_grad=True)
    q = z.softmax(-1)
    (slope,) = torch.autograd.grad(objective(p, q, opinions).sum(), z)
    active = torch.tensor([[4.0], [2.0], [4.0], [2.0], [4.0]])
    torch.testing.assert_close(slope, (active + 1) * q.detach() - evidence(p, q.detach(), opinions))


def test_gradient_descent_and_update_agree():
    p, opinions = random_case()
    torch.testing.assert_close(descend(p, opinions, 3000), minimise(p, opinions), atol=1e-6, rtol=0)


def test_objective_never_rises():
    p, opinions = random_case(frames=40, seed=3)
    weight = torch.full((40, 1), 3.0, dtype=torch.float64)
    weight[::2] += 2
    by_update, before = distributions(40, SENONES, 11), torch.inf
    for _ in range(30):
        value = objective(p, by_update, opinions)
        assert (value <= before + 1e-12).all()
        by_update, before = evidence(p, by_update, opinions) / weight, value
    values = torch.stack([objective(p, descend(p, opinions, steps), opinions) for steps in range(30)])
    assert (values.diff(dim=0) <= 1e-12).all()


def test_one_specialist_has_a_closed_form():
    p, opinions = random_case(frames=6)
    _, own, stated = opinions[0]
    others = [3, 4, 5, 6]
    mass = p[:, others].sum(-1, keepdim=True)
    expected = torch.empty_like(p)
    expected[:, own] = (p[:, own] + stated[:, :-1]) / 2
    expected[:, others] = p[:, others] * (mass + stated[:, -1:]) / (2 * mass)
    torch.testing.assert_close(minimise(p, opinions[:1]), expected, atol=1e-12, rtol=0)


def test_full_softmax_alone_is_the_arithmetic_mean():
    p = distributions(3, SENONES, 0)
    others = [Opinion(torch.arange(3), None, distributions(3, SENONES, seed)) for seed in (1, 2)]
    torch.testing.assert_close(minimise(p, others), (p + others[0].p + others[1].p) / 3)


def test_frames_without_specialists_are_the_generalists():
    p, opinions = random_case(frames=6)
    some = torch.tensor([1, 4])
    log_p = p.log().float()
    combined = combine(log_p, [Opinion(some, opinions[0].own, opinions[0].p[some])])
    alone = combine(log_p[some], [Opinion(torch.arange(2), opinions[0].own, opinions[0].p[some])])
    others = [0, 2, 3, 5]
    assert torch.equal(combined[others], log_p[others])
    torch.testing.assert_close(combined[some], alone)
    torch.testing.assert_close(combined.exp().sum(-1), torch.ones(6))
    assert combine(log_p, []) is log_p


def test_certain_specialists_leave_every_senone_possible():
    """A specialist that is sure of its own, or of its dustbin, in float32."""
    log_p = torch.tensor([[0.0, -60.0, -90.0], [-90.0, -60.0, 0.0]])
    sure = Opinion(torch.tensor([0, 1]), torch.tensor([0, 1]), torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]))
    combined = combine(log_p, [sure, sure])
    assert torch.isfinite(combined).all()
    torch.testing.assert_close(combined.exp().sum(-1), torch.ones(2))
