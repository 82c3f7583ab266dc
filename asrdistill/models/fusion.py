"""Fusion of a generalist with its specialists (Hinton, Vinyals and Dean 2015, section 5.5).

Per frame, the q that minimises KL(p_g, q) + Σ_m KL(p_m, q) over the active specialists m, by
expectation maximisation: q ← (p_g + Σ_m r^m) / (M + 1). r^m is specialist m's posteriors, with the dustbin's mass
divided among its senones as q divides it. docs/distillation.md derives it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

UPDATES = 200  # at most
TOLERANCE = 1e-7  # of a probability, between two updates; where numbers are as coarse, a few of their steps


class SpecialistPosteriors(NamedTuple):
    """One specialist's posteriors on the frames where it is active."""

    frames: Tensor  # (n,) int64, each once
    own: Tensor | None  # (m,) int64 senones; None for all of them, and no dustbin
    p: Tensor  # (n, m + 1) probabilities, the dustbin's last; (n, S)


def fuse(log_p: Tensor, specialists: Sequence[SpecialistPosteriors]) -> Tensor:
    """Generalist's log posteriors (T, S) and the active specialists' -> log q (T, S) of the same type.

    Frames without an active specialist keep their log posteriors.
    """
    counts = _counts(len(log_p), specialists)
    touched = counts.nonzero()[:, 0]
    if not len(touched):
        return log_p
    p = log_p[touched].exp().clamp_min(torch.finfo(log_p.dtype).tiny)
    active = [one._replace(p=one.p.to(p.dtype)) for one in _on(touched, len(log_p), specialists)]
    q = minimise(p, active)
    return log_p.index_copy(0, touched, q.log().to(log_p.dtype))


def minimise(p: Tensor, specialists: Sequence[SpecialistPosteriors]) -> Tensor:
    """The minimising q (T, S), from the generalist's p (T, S) > 0.

    Senones of the same dustbins are updated as one group: within it q is proportional to e, their named mass.
    """
    outside = p.new_zeros(p.shape[-1], len(specialists))  # (S, M): whether a senone is in a specialist's dustbin
    dustbin = p.new_zeros(len(p), len(specialists))  # d (T, M); 0 where a specialist is inactive or has none
    named = p.clone()  # e (T, S)
    for m, (frames, own, posteriors) in enumerate(specialists):
        if own is None:
            named.index_add_(0, frames, posteriors)
            continue
        outside[:, m] = 1
        outside[own, m] = 0
        dustbin[frames, m] = posteriors[:, -1]
        named[frames[:, None], own] += posteriors[:, :-1]
    outside, group = outside.unique(dim=0, return_inverse=True)  # (G, M), (S,)
    weight = 1 + _counts(len(p), specialists)[:, None].to(p.dtype)
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


def _on(chosen: Tensor, frames: int, specialists: Sequence[SpecialistPosteriors]) -> list[SpecialistPosteriors]:
    """The specialists restricted to some frames (n,) of T, renumbered."""
    place = torch.full((frames,), -1).scatter(0, chosen, torch.arange(len(chosen)))
    found = []
    for at, own, posteriors in specialists:
        kept = place[at] >= 0
        found.append(SpecialistPosteriors(place[at][kept], own, posteriors[kept]))
    return found


def _counts(frames: int, specialists: Sequence[SpecialistPosteriors]) -> Tensor:
    """(T,) int64: M, the active specialists of each frame."""
    active = [specialist.frames for specialist in specialists]
    return torch.cat([torch.empty(0, dtype=torch.int64), *active]).bincount(minlength=frames)
