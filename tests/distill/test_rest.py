"""Mass outside the kept soft targets, compared with dense formulas, finite differences and bounds."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from asrdistill.data.archive import FrameArchive, ShardWriter, finish
from asrdistill.distill.losses import completed, one_rest_cross_entropy, soft_cross_entropy
from asrdistill.distill.store import SoftTargets

B, S, K, T = 4, 9, 3, 2.0
RESTS = ("states", "even", "one", "drop")


def distributions(seed: int, scale: float = 2.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Student logits z and the true targets p at T, float64 (B, S)."""
    generator = torch.Generator().manual_seed(seed)
    z, v = (scale * torch.randn(B, S, generator=generator, dtype=torch.float64) for _ in range(2))
    return z, (v / T).softmax(-1)


def split(p: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """ids (B, K), log probabilities of them, log of the rest."""
    top = p.topk(K)
    return top.indices, top.values.log(), (1 - top.values.sum(-1)).log()


def naive(z: torch.Tensor, p: torch.Tensor, rest: str, tails: torch.Tensor) -> torch.Tensor:
    """The loss, frame by frame and senone by senone."""
    total = torch.zeros((), dtype=torch.float64)
    for b in range(B):
        q = (z[b] / T).softmax(-1)
        kept = sorted(range(S), key=lambda i: -p[b, i].item())[:K]
        others = [i for i in range(S) if i not in kept]
        r = sum(p[b, i] for i in others)
        scale = 1 / (1 - r) if rest == "drop" else 1
        for i in kept:
            total = total - scale * p[b, i] * q[i].log()
        if rest == "one":
            total = total - r * sum(q[i] for i in others).log()
        elif rest != "drop":
            weights = {i: 1.0 if rest == "even" else tails[b, i].item() for i in others}
            for i in others:
                total = total - r * weights[i] / sum(weights.values()) * q[i].log()
    return T**2 * total / B


class Planted:
    """A store of float64-like rows: what SoftTargets.loss takes, without its rounding on disk."""

    def __init__(self, folder, p: torch.Tensor, rest: str, tails: torch.Tensor):
        folder.mkdir()
        parts = {"ids": ("<u2", (K,)), "logp": ("<f2", (K,)), "rest": ("<f4", (1,))}
        writer = ShardWriter(folder, 0, parts)
        finish(folder, "soft-targets", parts, [writer.close()], temperatures=[T])
        owner = torch.zeros(S, dtype=torch.int64)
        owner[:] = torch.arange(S)
        save_file({"tails": tails[None], "owner": owner}, folder / "tails.safetensors")
        self.targets = SoftTargets(FrameArchive(folder), T, rest)
        ids, logp, log_rest = split(p)
        # what is stored are log probabilities at T = 1 and the log-sum of p^(1/T): any scale of both serves
        self.rows = [ids.to(torch.int16), T * logp, log_rest]

    def loss(self, z: torch.Tensor) -> torch.Tensor:
        return self.targets.loss(z, self.rows)


@pytest.fixture
def planted(tmp_path):
    z, p = distributions(0)
    tails = torch.rand(S, S, generator=torch.Generator().manual_seed(1), dtype=torch.float64) + 0.1
    mine = tails[p.argmax(-1)]
    return z, p, mine, lambda rest: Planted(tmp_path / rest, p, rest, tails)


@pytest.mark.parametrize("rest", RESTS)
def test_value_is_the_naive_one(planted, rest):
    z, p, tails, make = planted
    torch.testing.assert_close(make(rest).loss(z), naive(z, p, rest, tails), rtol=1e-5, atol=0)


@pytest.mark.parametrize("rest", RESTS)
def test_gradient_is_that_of_finite_differences(planted, rest):
    z, p, tails, make = planted
    store = make(rest)
    z.requires_grad_()
    store.loss(z).backward()
    step = 1e-5
    for b, i in np.ndindex(B, S):
        with torch.no_grad():
            moved = [z.clone(), z.clone()]
            moved[0][b, i] += step
            moved[1][b, i] -= step
            slope = (naive(moved[0], p, rest, tails) - naive(moved[1], p, rest, tails)) / (2 * step)
        assert z.grad[b, i].item() == pytest.approx(slope.item(), rel=1e-4, abs=1e-6)


def test_tail_class_gradient_is_proportional_to_the_posteriors():
    z, p = distributions(3)
    ids, logp, rest = split(p)
    z.requires_grad_()
    one_rest_cross_entropy(z, ids, logp, rest, T).backward()
    q = (z.detach() / T).softmax(-1)
    outside = q.scatter(-1, ids, 0)
    wanted = p.scatter(-1, p.argsort(-1)[:, : S - K], 0) + rest.exp()[:, None] * outside / outside.sum(-1, keepdim=True)
    torch.testing.assert_close(z.grad, (q - wanted) / T / B)


def test_empty_tail_class_is_the_whole_distribution():
    z, p = distributions(4)
    z.requires_grad_()
    top = p.topk(S)
    nothing = torch.full((B,), -torch.inf, dtype=torch.float64)
    loss = one_rest_cross_entropy(z, top.indices, top.values.log(), nothing, T)
    torch.testing.assert_close(loss, soft_cross_entropy(z, p, T))
    loss.backward()
    assert torch.isfinite(z.grad).all()


def error(rest: str, z: torch.Tensor, p: torch.Tensor, tails: torch.Tensor) -> torch.Tensor:
    """(B,) L1 of the gradient of T² · CE less the true one."""
    ids, logp, log_rest = split(p)
    z = z.clone().requires_grad_()
    if rest == "drop":
        logp, log_rest = logp - logp.logsumexp(-1, keepdim=True), torch.full_like(log_rest, -torch.inf)
    if rest == "one":
        loss = one_rest_cross_entropy(z, ids, logp, log_rest, T)
    else:
        loss = soft_cross_entropy(
            z, completed(ids, logp, log_rest, tails if rest == "states" else torch.ones_like(p)), T
        )
    (T**2 * B * loss).backward()
    return (z.grad - T * ((z.detach() / T).softmax(-1) - p)).abs().sum(-1)


def rest_error_bound(treatment, rest, smallest, others, temperature):
    """Bound of the L1 error of a frame's gradient; docs/distillation.md derives it.

    rest (B,) mass outside of the K, smallest (B,) least kept probability, `others` number of senones that share it.
    """
    if treatment == "even":
        return 2 * temperature * rest * (1 - rest / (max(others, 1) * smallest)).clamp_min(0)
    return 2 * temperature * rest


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.01, 8))
def test_errors_lie_below_their_bounds(seed, scale):
    z, p = distributions(seed, scale)
    tails = torch.rand(B, S, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 1e-3
    mass, smallest = 1 - p.topk(K).values.sum(-1), p.topk(K).values[:, -1]
    for rest in RESTS:
        found, bound = error(rest, z, p, tails), rest_error_bound(rest, mass, smallest, S - K, T)
        assert (found <= bound * (1 + 1e-9) + 1e-12).all(), rest
        if rest == "drop":
            torch.testing.assert_close(found, bound)


def test_bound_of_even_tails_is_tight():
    """Where a part of the others has all that it may have, the smallest of the kept, and the rest nothing."""
    p = torch.tensor([[0.4, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.0, 0.0]], dtype=torch.float64)
    mass, smallest = torch.tensor([0.4], dtype=torch.float64), torch.tensor([0.1], dtype=torch.float64)
    found = T * (p[:, K:] - 0.4 / 6).abs().sum(-1)
    torch.testing.assert_close(rest_error_bound("even", mass, smallest, S - K, T), found)


def test_tail_mode_is_an_option_of_the_student(planted):
    losses = {rest: planted[3](rest).loss(planted[0]).item() for rest in RESTS}
    assert len({round(loss, 6) for loss in losses.values()}) == len(RESTS)
    from asrdistill.training.options import TrainOptions

    assert {field.name: field.default for field in dataclasses.fields(TrainOptions)}["tail_mode"] == "states"
