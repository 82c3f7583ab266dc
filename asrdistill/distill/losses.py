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
    log_q = (logits / temperature).log_softmax(-1)
    kept = (log_targets.exp() * log_q.gather(-1, ids)).sum(-1)
    if ids.shape[-1] == logits.shape[-1]:
        return -kept.mean()
    outside = log_q.scatter(-1, ids, -torch.inf).logsumexp(-1)
    return -(kept + log_rest.exp() * outside).mean()
