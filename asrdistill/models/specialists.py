"""A generalist and its specialists as one model (Hinton, Vinyals and Dean 2015, section 5.5).

Per frame, the q that minimises KL(p_g, q) + Σ_m KL(p_m, q) over the active specialists m, by expectation maximisation:
q ← (p_g + Σ_m r^m) / (M + 1), where r^m is p_m with the dustbin's mass divided as q divides it (docs/distillation.md).
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from asrdistill.models.acoustic import AcousticModel

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


class Specialists:
    """A specialist is active on frames where one of the generalist's `active` best senones is its own.

    :func:`asrdistill.models.specialists.fuse` combines the posteriors. Other frames cost the generalist only.
    """

    def __init__(self, generalist: AcousticModel, members: Sequence[AcousticModel], active: int, meta: dict[str, Any]):
        self.generalist, self.members, self.active, self.meta = generalist, list(members), active, meta
        self.senones, self.priors = generalist.senones, generalist.priors
        self.own = [torch.tensor(member.meta["specialist"]["own"]) for member in members]
        self.covers = torch.zeros(len(members), self.senones.count, dtype=torch.bool)  # (M, S)
        for row, own in zip(self.covers, self.own, strict=True):
            row[own] = True

    def log_posteriors(self, features: np.ndarray) -> np.ndarray:
        """(T, F) float32 -> (T, S) float32 natural-log posteriors of the combined distribution."""
        log_p = torch.from_numpy(self.generalist.log_posteriors(features))
        return fuse(log_p, list(self.specialists(features, log_p))).numpy()

    def specialists(self, features: np.ndarray, log_p: Tensor) -> Iterator[SpecialistPosteriors]:
        """Each specialist's posteriors on its active frames, chosen by the generalist's log posteriors (T, S).

        Those of a specialist without a dustbin are scaled by the generalist's mass of its own senones.
        """
        best = log_p.topk(self.active).indices  # (T, n)
        for member, own, covered in zip(self.members, self.own, self.covers, strict=True):
            frames = covered[best].any(-1).nonzero()[:, 0]
            if not len(frames):
                continue
            p = _posteriors(member, features, frames * self.generalist.module.step)
            if member.meta["specialist"].get("softmax") == "own":
                mass = log_p[frames][:, own].exp().sum(-1, keepdim=True).clamp(max=1)
                p = torch.cat([p * mass, 1 - mass], -1)
            yield SpecialistPosteriors(frames, None if member.meta["kind"] == "dnn" else own, p)


@torch.inference_mode()
def _posteriors(model: AcousticModel, features: np.ndarray, frames: Tensor) -> Tensor:
    """(n, outputs) of some frames (n,) of the features (T, F)."""
    left, right = model.context
    windows = frames[:, None] + torch.arange(left + 1 + right)
    logits = model.module(model.module.padded(features)[0, windows].to(model.device))[:, 0]
    return logits.float().softmax(-1).cpu()
