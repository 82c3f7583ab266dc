"""Losses against soft targets (Hinton, Vinyals and Dean 2015, section 2); see docs/distillation.md."""

import torch
from torch import Tensor


def soft_cross_entropy(logits: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """Mean over the batch of the cross-entropy at T; logits and target probabilities (B, S), which sum to one."""
    return _SoftCrossEntropy.apply(logits, targets, temperature)


class _SoftCrossEntropy(torch.autograd.Function):
    """Loss and gradient in one pass over the logits: half the time of what autograd makes of the formula."""

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
    """Cross-entropy at T, mean over the batch, where all senones outside of `ids` are one class.

    Arguments as in :func:`completed`. With Q the student's mass outside, dCE/dz_j = (q_j - rest · q_j / Q) / T there:
    the others are moved together, in the proportions that they have.
    """
    log_q = (logits / temperature).log_softmax(-1)
    cross_entropy = -(log_targets.exp() * log_q.gather(-1, ids)).sum(-1)
    if ids.shape[-1] < logits.shape[-1]:
        cross_entropy = cross_entropy - log_rest.exp() * log_q.scatter(-1, ids, -torch.inf).logsumexp(-1)
    return cross_entropy.mean()


def logit_matching(logits: Tensor, targets: Tensor) -> Tensor:
    """Half the mean squared difference of logits z and the targets' v (B, S), each less its mean over the S.

    Its gradient for a frame is (z_i - v_i) / S. Logits are known up to a constant a frame, which the means take out, so
    that log-probabilities serve as well. Buciluă, Caruana and Niculescu-Mizil (2006), "Model compression".
    """
    difference = logits - targets
    return (difference - difference.mean(-1, keepdim=True)).square().mean() / 2


def completed(ids: Tensor, log_targets: Tensor, log_rest: Tensor, tails: Tensor) -> Tensor:
    """Whole target distributions (B, S) where only K targets a frame are known.

    ids (B, K); log_targets (B, K) log probabilities; log_rest (B,) the log of the mass outside of them,
    which is shared out among the other senones in proportion to tails (B, S), all above 0.
    """
    targets = tails.scatter(-1, ids, 0)
    share = log_rest.exp() / targets.sum(-1).clamp_min(torch.finfo(tails.dtype).tiny)
    return targets.mul_(share[:, None]).scatter_(-1, ids, log_targets.exp())
