"""A generalist and its specialists as one model."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from asrdistill.models.acoustic import AcousticModel
from asrdistill.models.fusion import SpecialistPosteriors, fuse


class Specialists:
    """A specialist is active on frames where one of the generalist's `active` best senones is its own.

    :func:`asrdistill.models.fusion.fuse` combines the posteriors. Other frames cost the generalist only.
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
