"""Losses against soft targets (Hinton, Vinyals and Dean 2015, section 2); see docs/distillation.md."""

import torch
from torch import Tensor


def soft_cross_entropy(logits: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """Mean over the batch of the cross-entropy at T; logits and target probabilities (B, S), which sum to one."""
    return _SoftCrossEntropy.apply(logits, targets, temperature)


class _SoftCrossEntropy(torch.autograd.Function):
    """Loss and gradient in one pass over the logits, in half of autograd's time."""

    @staticmethod
    def forward(ctx, logits, targets, temperature):
        log_q = (logits / temperature).log_softmax(-1)
        loss = -torch.linalg.vecdot(targets, log_q).mean()
        ctx.save_for_backward(log_q.exp_().sub_(targets).div_(temperature * len(logits)))
        return loss

    @staticmethod
    def backward(ctx, scale):
        (slope,) = ctx.saved_tensors
        return scale * slope, None, None


def one_rest_cross_entropy(
    logits: Tensor, ids: Tensor, log_targets: Tensor, log_rest: Tensor, temperature: float
) -> Tensor:
    """Mean cross-entropy at T with all senones outside of `ids` as one class; arguments as in :func:`completed`."""
    log_q = (logits / temperature).log_softmax(-1)
    cross_entropy = -(log_targets.exp() * log_q.gather(-1, ids)).sum(-1)
    if ids.shape[-1] < logits.shape[-1]:
        cross_entropy = cross_entropy - log_rest.exp() * log_q.scatter(-1, ids, -torch.inf).logsumexp(-1)
    return cross_entropy.mean()


def logit_matching(logits: Tensor, targets: Tensor) -> Tensor:
    """Half the mean squared difference of logits and targets (B, S), each less its mean over the S.

    The targets may be log-probabilities. Buciluă, Caruana and Niculescu-Mizil (2006), "Model compression".
    """
    difference = logits - targets
    return (difference - difference.mean(-1, keepdim=True)).square().mean() / 2


def completed(ids: Tensor, log_targets: Tensor, log_rest: Tensor, tails: Tensor) -> Tensor:
    """Target distributions (B, S) from the K known targets of each frame.

    ids and log_targets (B, K); log_rest (B,): log of the mass of all other senones, divided in proportion to
    tails (B, S) > 0.
    """
    targets = tails.scatter(-1, ids, 0)
    share = log_rest.exp() / targets.sum(-1).clamp_min(torch.finfo(tails.dtype).tiny)
    return targets.mul_(share[:, None]).scatter_(-1, ids, log_targets.exp())
