import numpy as np
import pytest
import torch

from asrdistill.distill.losses import completed, soft_cross_entropy

B, S = 5, 12


def random_pair(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Student logits z and teacher logits v, float64."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda: torch.randn(B, S, generator=generator, dtype=torch.float64)  # noqa: E731
    return draw().requires_grad_(), 2 * draw()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 10.0])
def test_gradient_is_q_minus_p_over_t(temperature):
    z, v = random_pair()
    p = (v / temperature).softmax(-1)
    soft_cross_entropy(z, p, temperature).backward()
    expected = ((z / temperature).softmax(-1) - p) / temperature / B
    torch.testing.assert_close(z.grad, expected.detach(), rtol=1e-10, atol=1e-14)


def test_high_temperature_is_logit_matching_with_error_falling_as_1_over_t():
    z, v = random_pair()
    zero_mean = lambda x: x - x.mean(-1, keepdim=True)  # noqa: E731
    errors = []
    for temperature in (1e2, 1e3, 1e4):
        z.grad = None
        loss = temperature**2 * soft_cross_entropy(z, (v / temperature).softmax(-1), temperature)
        loss.backward()
        limit = (zero_mean(z.detach()) - zero_mean(v)) / S / B
        errors.append((z.grad - limit).abs().max().item())
    assert errors[0] / errors[1] == pytest.approx(10, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(10, rel=0.1)


def test_value_equals_naive_sum():
    z, v = random_pair()
    p = (v / 2).softmax(-1).numpy()
    q = (z / 2).softmax(-1).detach().numpy()
    naive = np.mean([-sum(p[b, i] * np.log(q[b, i]) for i in range(S)) for b in range(B)])
    assert soft_cross_entropy(z, torch.from_numpy(p), 2.0).item() == pytest.approx(naive, rel=1e-12)


def test_gradient_is_that_of_the_formula():
    z, v = random_pair()
    p = (v / 2).softmax(-1)
    assert torch.autograd.gradcheck(lambda z: soft_cross_entropy(z, p, 2.0), z)


def test_all_kept_is_the_whole_distribution():
    logp = random_pair()[1].log_softmax(-1)
    top = logp.topk(S)
    rest = torch.full((B,), -torch.inf, dtype=torch.float64)
    torch.testing.assert_close(completed(top.indices, top.values, rest, torch.ones_like(logp)), logp.exp())


def test_remaining_mass_is_distributed_by_the_tails():
    logp, tails = random_pair()[1].log_softmax(-1), torch.rand(B, S, dtype=torch.float64) + 0.1
    top = logp.topk(4)
    rest = torch.log1p(-top.values.exp().sum(-1))
    whole = completed(top.indices, top.values, rest, tails)
    for b in range(B):
        kept = set(top.indices[b].tolist())
        others = [i for i in range(S) if i not in kept]
        shares = tails[b, others] / tails[b, others].sum() * rest[b].exp()
        torch.testing.assert_close(whole[b, others], shares)
        torch.testing.assert_close(whole[b, list(kept)], logp[b, list(kept)].exp())


def test_unbiased_tails_give_an_unbiased_gradient():
    """Many frames with the same best senones and one student: their mean gradient is the true one."""
    generator = torch.Generator().manual_seed(0)
    tails = torch.rand(2000, S - 4, generator=generator, dtype=torch.float64)
    p = torch.cat([torch.full((2000, 4), 0.2, dtype=torch.float64), 0.2 * tails / tails.sum(-1, keepdim=True)], -1)
    ids, rest = torch.arange(4).expand(2000, 4), torch.full((2000,), np.log(0.2), dtype=torch.float64)
    mean = p.clone()
    mean[:, 4:] = p[:, 4:].mean(0)
    z = torch.randn(S, generator=generator, dtype=torch.float64).expand(2000, S)
    gradients = []
    for targets in (p, completed(ids, p[:, :4].log(), rest, mean)):
        logits = z.clone().requires_grad_()
        soft_cross_entropy(logits, targets, 2.0).backward()
        gradients.append(logits.grad.sum(0))
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-14)
