import numpy as np
import pytest
import torch

from asrdistill.distill.losses import soft_cross_entropy, top_k_cross_entropy

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


def test_all_kept_equals_dense():
    z, v = random_pair()
    logp = (v / 2).log_softmax(-1)
    top = logp.topk(S)
    rest = torch.full((B,), -torch.inf, dtype=torch.float64)
    assert top_k_cross_entropy(z, top.indices, top.values, rest, 2.0).item() == pytest.approx(
        soft_cross_entropy(z, logp.exp(), 2.0).item(), rel=1e-12
    )


def test_rest_is_one_class_with_its_own_gradient():
    z, v = random_pair()
    logp = (v / 2).log_softmax(-1)
    top = logp.topk(4)
    rest = torch.log1p(-top.values.exp().sum(-1))
    top_k_cross_entropy(z, top.indices, top.values, rest, 2.0).backward()
    q = (z / 2).softmax(-1).detach()
    kept = torch.zeros(B, S, dtype=torch.bool).scatter(-1, top.indices, True)
    inside = (q - logp.exp()) / 2 / B
    mass = (q * ~kept).sum(-1, keepdim=True)
    outside = q * (1 - rest.exp()[:, None] / mass) / 2 / B
    torch.testing.assert_close(z.grad, torch.where(kept, inside, outside), rtol=1e-9, atol=1e-13)
