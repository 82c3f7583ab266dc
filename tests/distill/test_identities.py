"""The paper's identities of the losses, to 1e-5 in float64 or at their rate of convergence."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from asrdistill.distill.losses import logit_matching, soft_cross_entropy

B, S = 6, 17
TEMPERATURES = [0.5, 1.0, 2.0, 5.0, 20.0]


def draw(seed: int, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    """Student logits z and teacher logits v (B, S); a frame's logits have any mean."""
    generator = torch.Generator().manual_seed(seed)
    z, v = (3 * torch.randn(B, S, generator=generator, dtype=torch.float64) + 1 for _ in range(2))
    return z.to(dtype).requires_grad_(), v.to(dtype)


def gradient(loss: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    """dloss/dz (B, S) of each frame alone: the loss is the mean over the B."""
    return B * torch.autograd.grad(loss, z)[0]


def relative(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return ((found.double() - wanted.double()).norm() / wanted.double().norm()).item()


def zero_mean(x: torch.Tensor) -> torch.Tensor:
    return x - x.mean(-1, keepdim=True)


def slow_loss(z: np.ndarray, v: np.ndarray, temperature: float) -> float:
    """The mean cross-entropy by the definition of softmax, nothing else."""
    p, q = (np.exp(x / temperature) / np.exp(x / temperature).sum(-1, keepdims=True) for x in (v, z))
    return float(-(p * np.log(q)).sum(-1).mean())


def soft_gradient(z: torch.Tensor, v: torch.Tensor, temperature: float) -> torch.Tensor:
    return gradient(soft_cross_entropy(z, (v / temperature).softmax(-1), temperature), z)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_the_gradient_is_q_minus_p_over_t(temperature):
    z, v = draw(0)
    wanted = ((z / temperature).softmax(-1) - (v / temperature).softmax(-1)) / temperature
    assert relative(soft_gradient(z, v, temperature), wanted.detach()) < 1e-12


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_the_gradient_is_that_of_finite_differences(temperature):
    z, v = draw(1)
    at, step = z.detach().numpy(), 1e-5
    found = np.zeros((B, S))
    for b, i in np.ndindex(B, S):
        move = np.zeros((B, S))
        move[b, i] = step
        rise = slow_loss(at + move, v.numpy(), temperature) - slow_loss(at - move, v.numpy(), temperature)
        found[b, i] = B * rise / (2 * step)
    assert relative(soft_gradient(z, v, temperature), torch.from_numpy(found)) < 1e-5


def slope(x: list[float], y: list[float]) -> float:
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def test_at_high_temperature_the_gradient_is_logit_matching_with_an_error_that_falls_as_1_over_t():
    z, v = draw(2)
    temperatures = list(np.geomspace(1e2, 1e5, 10))
    wanted = (zero_mean(z.detach()) - zero_mean(v)) / S
    errors = [relative(t**2 * soft_gradient(z, v, t), wanted) for t in temperatures]
    assert slope(temperatures, errors) == pytest.approx(-1, abs=0.1)
    assert errors[-1] < 1e-3


def test_with_zero_mean_logits_the_limit_is_z_minus_v_over_n():
    z, v = draw(3)
    z, v = zero_mean(z.detach()).requires_grad_(), zero_mean(v)
    assert relative(1e12 * soft_gradient(z, v, 1e6), (z.detach() - v) / S) < 1e-5


def test_the_limit_is_the_gradient_of_the_named_loss():
    z, v = draw(4)
    matching = gradient(logit_matching(z, v), z)
    assert relative(matching, (zero_mean(z.detach()) - zero_mean(v)) / S) < 1e-12
    assert relative(1e12 * soft_gradient(z, v, 1e6), matching) < 1e-5
    assert torch.autograd.gradcheck(lambda z: logit_matching(z, v), z)


def test_logit_matching_ignores_constants():
    """Log-probabilities are logits less a constant a frame, and serve as well."""
    z, v = draw(5)
    torch.testing.assert_close(logit_matching(z, v), logit_matching(z + 7, v.log_softmax(-1)))
    assert logit_matching(v + torch.arange(B)[:, None], v).item() == pytest.approx(0, abs=1e-20)


def test_gradient_times_t_squared_keeps_its_scale():
    """Without the factor it falls as 1/T²; with it, it stays within a factor of two from T = 5 on."""
    z, v = draw(6)
    temperatures = list(np.geomspace(5, 500, 9))
    norms = [soft_gradient(z, v, t).norm().item() for t in temperatures]
    assert slope(temperatures, norms) == pytest.approx(-2, abs=0.1)
    scaled = [t**2 * norm for t, norm in zip(temperatures, norms, strict=True)]
    assert max(scaled) / min(scaled) < 2


def test_gradients_of_soft_and_hard_targets_add_up():
    """L = T² CE(soft, T) + λ CE(hard, 1), both on the same logits."""
    z, v = draw(7)
    labels, temperature, weight = torch.arange(B) % S, 4.0, 0.5
    p = (v / temperature).softmax(-1)
    loss = temperature**2 * soft_cross_entropy(z, p, temperature) + weight * functional.cross_entropy(z, labels)
    soft = temperature * ((z / temperature).softmax(-1) - p)
    hard = z.softmax(-1) - functional.one_hot(labels, S)
    assert relative(gradient(loss, z), (soft + weight * hard).detach()) < 1e-12


def test_one_hot_targets_at_t_1_are_hard_targets():
    z, _ = draw(8)
    labels = torch.arange(B) % S
    soft, hard = soft_cross_entropy(z, functional.one_hot(labels, S).double(), 1.0), functional.cross_entropy(z, labels)
    torch.testing.assert_close(soft, hard)
    assert relative(gradient(soft, z), gradient(hard, z)) < 1e-12


@pytest.mark.parametrize("temperature", [1.0, 2.0, 20.0])
def test_float32_is_close_to_float64(temperature):
    exact, v = draw(9)
    z = exact.detach().float().requires_grad_()
    wanted = soft_gradient(exact, v, temperature)
    assert relative(soft_gradient(z, v.float(), temperature), wanted) < 1e-5
    assert relative(gradient(logit_matching(z, v.float()), z), gradient(logit_matching(exact, v), exact)) < 1e-5


@pytest.mark.parametrize("temperature", [1.0, 2.0, 20.0])
def test_a_network_in_bfloat16_has_the_gradient_to_its_three_digits(temperature):
    """As training does it: products in bfloat16, loss in float32 on logits that were made float32."""
    generator = torch.Generator().manual_seed(10)
    x = torch.randn(200, 64, generator=generator)
    weight = (torch.randn(S, 64, generator=generator) / 4).requires_grad_()
    p = (3 * torch.randn(200, S, generator=generator) / temperature).softmax(-1)
    found = []
    for enabled in (True, False):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            logits = functional.linear(x, weight)
        assert logits.dtype == (torch.bfloat16 if enabled else torch.float32)
        loss = temperature**2 * soft_cross_entropy(logits.float(), p, temperature)
        found.append(torch.autograd.grad(loss, weight)[0])
    assert relative(*found) < 2**-6  # bfloat16 has eight bits
