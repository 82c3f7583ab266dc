"""What a generalist and specialists say together (Hinton, Vinyals and Dean 2015, section 5.5).

For each frame the distribution q over all senones that minimises

    KL(p_g, q) + Σ_m KL(p_m, q)                 over the M specialists that are active there

where q is summed over the senones that fall into specialist m's dustbin D_m. With

    r^m_i = p_m,i                               of its own senones
            p_m,dustbin · q_i / Σ_(j in D_m) q_j   of the others: the dustbin, shared out as q does

the gradient by the logits of q is (M + 1) q − p_g − Σ_m r^m, and q = (p_g + Σ_m r^m) / (M + 1) is an update
that never raises the objective: it is EM for the multinomial that some observers see only in part. From p_g
one update is the minimum if M = 1. A specialist with the full softmax has an empty dustbin; of those alone, and
the generalist, the minimum is the arithmetic mean.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

UPDATES = 200  # at most
TOLERANCE = 1e-7  # of a probability, between two updates; where numbers are as coarse, a few of their steps


class Opinion(NamedTuple):
    """What one specialist says, where it is active."""

    frames: Tensor  # (n,) int64, each once
    own: Tensor | None  # (m,) int64 senones; None for all of them, and no dustbin
    p: Tensor  # (n, m + 1) probabilities, the dustbin's last; (n, S)


def combine(log_p: Tensor, opinions: Sequence[Opinion]) -> Tensor:
    """Generalist's log posteriors (T, S) and the active specialists' -> log q (T, S) of the same type.

    Frames without an active specialist are handed through.
    """
    counts = _counts(len(log_p), opinions)
    touched = counts.nonzero()[:, 0]
    if not len(touched):
        return log_p
    p = log_p[touched].exp().clamp_min(torch.finfo(log_p.dtype).tiny)
    q = minimise(p, [Opinion(f, own, stated.to(p.dtype)) for f, own, stated in _on(touched, len(log_p), opinions)])
    return log_p.index_copy(0, touched, q.log().to(log_p.dtype))


def minimise(p: Tensor, opinions: Sequence[Opinion]) -> Tensor:
    """q (T, S) of the least objective by the update, from the generalist's p (T, S) > 0.

    Senones that lie in the same dustbins get the same share of them: what q gives to one of these is in proportion to
    e, what is said of it by name. So the update runs on the few sums over such groups, in the place of all senones.
    """
    outside = p.new_zeros(p.shape[-1], len(opinions))  # (S, M): in whose dustbin a senone lies
    dustbin = p.new_zeros(len(p), len(opinions))  # d (T, M); 0 where a specialist does not speak, or has none
    named = p.clone()  # e (T, S)
    for m, (frames, own, stated) in enumerate(opinions):
        if own is None:
            named.index_add_(0, frames, stated)
            continue
        outside[:, m] = 1
        outside[own, m] = 0
        dustbin[frames, m] = stated[:, -1]
        named[frames[:, None], own] += stated[:, :-1]
    outside, group = outside.unique(dim=0, return_inverse=True)  # (G, M), (S,)
    weight = 1 + _counts(len(p), opinions)[:, None].to(p.dtype)
    total = _sums(named, group, len(outside))
    q, tolerance = _sums(p, group, len(outside)), max(TOLERANCE, 8 * torch.finfo(p.dtype).eps)
    for _ in range(UPDATES):
        share = dustbin / (q @ outside).clamp_min(torch.finfo(p.dtype).tiny)
        before, q = q, (total + q * (share @ outside.T)) / weight
        if (q - before).abs().max() < tolerance:
            break
    return named * (q / total)[:, group]


def _sums(values: Tensor, group: Tensor, groups: int) -> Tensor:
    """(T, G) of values (T, S), whose columns fall into groups (S,)."""
    return values.new_zeros(len(values), groups).index_add_(1, group, values)


def descend(p: Tensor, opinions: Sequence[Opinion], steps: int) -> Tensor:
    """The same by gradient descent on the logits z of q: the paper's way, and a check on the update.

    The objective's curvature in z is at most that of (M + 1) log Σ exp z, whose largest is (M + 1)/2: a step of
    2/(M + 1) never raises the objective.
    """
    weight = 1 + _counts(len(p), opinions)[:, None].to(p.dtype)
    z = p.log()
    for _ in range(steps):
        q = z.softmax(-1)
        z = z - 2 / weight * (weight * q - evidence(p, q, opinions))
    return z.softmax(-1)


def evidence(p: Tensor, q: Tensor, opinions: Sequence[Opinion]) -> Tensor:
    """p_g + Σ_m r^m (T, S)"""
    total = p.clone()
    for frames, own, stated in opinions:
        if own is None:
            total.index_add_(0, frames, stated)
            continue
        rows = q[frames]
        rows[:, own] = 0
        rows *= (stated[:, -1] / rows.sum(-1).clamp_min(torch.finfo(q.dtype).tiny))[:, None]
        rows[:, own] = stated[:, :-1]
        total.index_add_(0, frames, rows)
    return total


def objective(p: Tensor, q: Tensor, opinions: Sequence[Opinion]) -> Tensor:
    """(T,) KL(p_g, q) + Σ_m KL(p_m, q), natural log."""
    total = _divergence(p, q)
    for frames, own, stated in opinions:
        said = q[frames]
        if own is not None:
            others = said.index_fill(-1, own, 0).sum(-1, keepdim=True)
            said = torch.cat([said[:, own], others], -1)
        total = total.index_add(0, frames, _divergence(stated, said))
    return total


def _divergence(p: Tensor, q: Tensor) -> Tensor:
    return (torch.special.xlogy(p, p) - torch.special.xlogy(p, q)).sum(-1)


def _on(chosen: Tensor, frames: int, opinions: Sequence[Opinion]) -> list[Opinion]:
    """The opinions on some frames (n,) of so many, as if there were no others."""
    place = torch.full((frames,), -1).scatter(0, chosen, torch.arange(len(chosen)))
    found = []
    for at, own, stated in opinions:
        kept = place[at] >= 0
        found.append(Opinion(place[at][kept], own, stated[kept]))
    return found


def _counts(frames: int, opinions: Sequence[Opinion]) -> Tensor:
    """(T,) int64: M, the active specialists of each frame."""
    counts = torch.zeros(frames, dtype=torch.int64)
    for opinion in opinions:
        counts.index_add_(0, opinion.frames, torch.ones_like(opinion.frames))
    return counts
