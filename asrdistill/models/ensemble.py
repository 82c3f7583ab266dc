"""Ensembles: the mean of several networks' posteriors, optionally with a GMM's likelihoods."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from asrdistill.features.paste import columns
from asrdistill.hmm.gmm import Gmm
from asrdistill.models.acoustic import AcousticModel


class Evidence(NamedTuple):
    """A GMM beside an ensemble's networks, and the power of its likelihoods."""

    gmm: Gmm
    scale: float


class Ensemble:
    """Several models over the same senones that act as one; each sees its own columns of joined features.

    The arithmetic mean of the members' distributions, or the geometric mean (the mean of their
    logits), renormalised; both at temperature 1. Hinton, Vinyals and Dean (2015), section 2.
    Where meta.json has `weights`, the means are weighted by them.

    With a GMM of the same senones, that distribution is the prior of Bayes' rule, and the GMM's likelihoods to the
    power of `scale` are the evidence: p(s | x) ∝ p_networks(s | x) · p_GMM(x | s)^scale. Both saw the frame, which is
    why the scale is well below 1; they err in different places, and where data are few that is much.
    """

    def __init__(
        self, members: Sequence[AcousticModel], combine: str, meta: dict[str, Any], evidence: Evidence | None = None
    ):
        self.members, self.combine, self.meta, self.evidence = list(members), combine, meta, evidence
        self.senones = members[0].senones
        self.weights = meta.get("weights")
        self.priors = np.average([member.priors for member in members], axis=0, weights=self.weights)
        self.columns = [columns(meta["features"], member.meta["features"]) for member in members]

    @property
    def parameters(self) -> int:
        networks = sum(member.parameters for member in self.members)
        return networks + (self.evidence.gmm.parameters if self.evidence else 0)

    def log_posteriors(self, features: np.ndarray, asked: Sequence[int] | None = None) -> np.ndarray:
        """(T, F) float32 -> (T, S) float32 natural-log posteriors of the combined distribution (of `asked` members)."""
        asked = range(len(self.members)) if asked is None else asked
        logits = torch.stack([self.members[k].logits(features[:, self.columns[k]]) for k in asked])
        weights = [self.weights[k] for k in asked] if self.weights else None
        together = average_posteriors(logits, self.combine, weights)
        if self.evidence:
            loglikes = torch.from_numpy(self.evidence.gmm.loglikes(features))
            together = (together + self.evidence.scale * loglikes).log_softmax(-1)
        return together.numpy()


def average_posteriors(logits: Tensor, how: str, weights: Sequence[float] | None = None) -> Tensor:
    """Members' logits (M, …, S) -> log of their combined distribution (…, S), weighted by `weights` (M,)."""
    shares = torch.tensor(weights or [1.0] * len(logits), dtype=logits.dtype)
    shares /= shares.sum()
    if how == "arithmetic":  # a third of the time of the same in logarithms, which would differ below 1e-38 alone
        p = torch.tensordot(shares, logits.softmax(-1), 1)
        return p.clamp_min_(torch.finfo(p.dtype).tiny).log_()
    return torch.tensordot(shares, logits.log_softmax(-1), 1).log_softmax(-1)
