"""Ensembles: the mean of several networks' posteriors, optionally with a GMM's likelihoods."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from asrdistill.errors import UserError
from asrdistill.features.paste import columns
from asrdistill.hmm.gmm import Gmm
from asrdistill.models.acoustic import AcousticModel


class Evidence(NamedTuple):
    """A GMM that is part of an ensemble, and the exponent of its likelihoods."""

    gmm: Gmm
    scale: float


class Ensemble:
    """Several networks over the same senones as one model; each reads its own columns of pasted features.

    The (weighted) arithmetic mean of the members' distributions, or the geometric mean, renormalised (Hinton, Vinyals
    and Dean 2015, section 2). With a GMM, p(s | x) ∝ p_networks(s | x) · p_GMM(x | s)^scale.
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
    def batches(self) -> bool:
        """As that of :class:`asrdistill.models.acoustic.AcousticModel`."""
        return any(member.batches for member in self.members)

    def log_posteriors(self, features: np.ndarray, members: Sequence[int] | None = None) -> np.ndarray:
        """(T, F) float32 -> (T, S) float32 natural-log posteriors of the combined distribution (of some members)."""
        return self.log_posteriors_of([features], members)[0]

    def log_posteriors_of(self, batch: Sequence[np.ndarray], members: Sequence[int] | None = None) -> list[np.ndarray]:
        """As :meth:`log_posteriors`, of several utterances at once."""
        chosen = range(len(self.members)) if members is None else members
        weights = [self.weights[k] for k in chosen] if self.weights else None
        each = [self.members[k].logits_of([features[:, self.columns[k]] for features in batch]) for k in chosen]
        return [
            self._together(torch.stack(logits), weights, features)
            for features, *logits in zip(batch, *each, strict=True)
        ]

    def _together(self, logits: Tensor, weights: Sequence[float] | None, features: np.ndarray) -> np.ndarray:
        together = average_posteriors(logits, self.combine, weights).cpu()
        if self.evidence:
            loglikes = torch.from_numpy(self.evidence.gmm.loglikes(features))
            together = (together + self.evidence.scale * loglikes).log_softmax(-1)
        return together.numpy()


def average_posteriors(logits: Tensor, how: str, weights: Sequence[float] | None = None) -> Tensor:
    """Members' logits (M, …, S) -> log of their combined distribution (…, S), weighted by `weights` (M,)."""
    shares = torch.tensor(weights or [1.0] * len(logits), dtype=logits.dtype, device=logits.device)
    shares /= shares.sum()
    if how == "arithmetic":  # three times as fast as in logarithms
        p = torch.tensordot(shares, logits.softmax(-1), 1)
        return p.clamp_min_(torch.finfo(p.dtype).tiny).log_()
    if how != "geometric":
        raise UserError(f"posteriors cannot be combined by '{how}'; say arithmetic or geometric")
    return torch.tensordot(shares, logits.log_softmax(-1), 1).log_softmax(-1)
