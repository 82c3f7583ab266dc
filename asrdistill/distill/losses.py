"""Losses against soft targets (Hinton, Vinyals and Dean 2015, section 2).

With student logits z (B, S) and targets p at temperature T, q = softmax(z / T):

    CE = -sum_i p_i log q_i        dCE/dz_i = (q_i - p_i) / T

Soft gradients shrink as 1/T², so CE is multiplied by T² whenever it stands beside hard targets.
"""

import torch
from torch import Tensor


def soft_cross_entropy(logits: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """Mean over the batch of the cross-entropy at T; logits and target probabilities (B, S)."""
    return -(targets * (logits / temperature).log_softmax(-1)).sum(-1).mean()


def top_k_cross_entropy(
    logits: Tensor, ids: Tensor, log_targets: Tensor, log_rest: Tensor, temperature: float
) -> Tensor:
    """The same where only K targets a frame are known; all others together are one class.

    logits (B, S); ids (B, K); log_targets (B, K) log probabilities at T; log_rest (B,) the log of
    the mass at T outside of them. The rest is compared with the student's own mass there, so that
    for K = S this is :func:`soft_cross_entropy` and nothing pulls single senones of the rest.
    """
    return _TopK.apply(logits, ids, log_targets, log_rest, temperature)


class _TopK(torch.autograd.Function):
    """Loss and gradient in one pass over the logits: half the time of what autograd makes of the formula.

    The gradient is (q_i - p_i) / T for a kept senone, and (1 - P / Q) q_i / T for another, where P and
    Q are the targets' and the student's mass outside.
    """

    @staticmethod
    def forward(ctx, logits, ids, log_targets, log_rest, temperature):
        targets, rest = log_targets.exp(), log_rest.exp()
        log_q = (logits / temperature).log_softmax(-1)
        kept = log_q.gather(-1, ids)
        slope = log_q.exp_().scatter_(-1, ids, 0)
        outside = slope.sum(-1).clamp_min(torch.finfo(slope.dtype).tiny)
        slope *= (1 - rest / outside)[:, None]
        slope.scatter_(-1, ids, kept.exp() - targets)
        ctx.save_for_backward(slope.div_(temperature * len(logits)))
        return -((targets * kept).sum(-1) + rest * outside.log()).mean()

    @staticmethod
    def backward(ctx, scale):
        (slope,) = ctx.saved_tensors
        return scale * slope, None, None, None, None
