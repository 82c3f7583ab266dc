"""How a specialist learns (Hinton, Vinyals and Dean 2015, sections 5.3 and 5.4).

It starts from the generalist's weights. Its softmax has its own m senones and a dustbin for all others; half
of its frames are of its own senones, half are others. Their share of all frames is π, so an own frame comes
(1 − π)/π times as often, beside another, as it does in truth. The paper adds log((1 − π)/π) to the dustbin's
logit after training; here it is taken off the logit while the loss is computed, and so stands in the network
from the beginning: what comes out is the same, but training starts where the generalist was, which knows the
true shares.

A specialist with the full softmax has every senone; the loss of its hard targets corrects all the others'
logits in the same way (logit adjustment, Menon et al. 2021). The generalist's soft targets, beside them, need no
correction: what they say of a frame does not depend on how often it comes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from asrdistill.data.archive import FrameArchive
from asrdistill.distill.sets import read_set
from asrdistill.errors import UserError
from asrdistill.hmm.senones import Senones
from asrdistill.models.folder import AcousticModel
from asrdistill.training.targets import HardTargets


@dataclass(frozen=True)
class Specialty:
    """A specialist's own senones (m,) of S, their share π of the frames, and whether its softmax has the others too."""

    own: np.ndarray
    senones: int
    share: float
    full: bool

    @property
    def is_own(self) -> np.ndarray:
        """(S,) bool"""
        return np.isin(np.arange(self.senones), self.own)

    @property
    def outputs(self) -> int:
        return self.senones if self.full else len(self.own) + 1

    @property
    def classes(self) -> np.ndarray:
        """(S,) int64: the output of each senone; the dustbin is the last."""
        if self.full:
            return np.arange(self.senones)
        classes = np.full(self.senones, len(self.own))
        classes[self.own] = np.arange(len(self.own))
        return classes

    @property
    def correction(self) -> float:
        """log((1 − π)/π), by which the logits of what is not the specialist's own stand higher than its frames say."""
        return math.log((1 - self.share) / self.share)

    def targets(self, alignment: Path) -> HardTargets:
        """The aligned senones, as outputs of the specialist, for frames of which half are its own."""
        offsets = torch.zeros(self.outputs)
        offsets[~self.is_own if self.full else -1] = -self.correction
        return HalfAndHalfTargets(Relabelled(alignment, self.classes), offsets)

    def weights(self, generalist: AcousticModel) -> dict[str, Tensor]:
        """The generalist's weights, with the rows of the specialist's outputs.

        The dustbin's row is the mean of the others' rows, weighted by their priors a, and the entropy of a is
        added to its bias (with equal priors that is the log of their number). This is the largest of the linear
        functions Σ a·z + H(a) that never exceed log Σ exp z, where the generalist predicts what it predicts on average.
        """
        tensors = dict(generalist.module.state_dict())
        if self.full:
            return tensors
        others = torch.from_numpy(~self.is_own)
        prior = torch.from_numpy(generalist.priors).float()[others]
        prior = prior / prior.sum()
        for name, extra in (("output.weight", 0.0), ("output.bias", torch.special.entr(prior).sum())):
            rows = tensors[name]
            dustbin = torch.tensordot(prior, rows[others], 1) + extra
            tensors[name] = torch.cat([rows[torch.from_numpy(self.own)], dustbin[None]])
        return tensors


def read_specialty(sets: Path, number: int, full: bool, labels: FrameArchive, senones: Senones) -> Specialty:
    """What the specialist of a set is to learn from an alignment; raises UserError where that cannot be learnt."""
    own = read_set(sets, number, senones)
    mine = np.isin(np.arange(senones.count), own)
    share = sum(int(mine[labels[utterance]].sum()) for utterance in labels) / labels.total_rows
    if not 0 < share < 1:
        raise UserError(
            f"{labels.folder} has {'no' if share == 0 else 'only'} frames of set {number} of {sets}; "
            "a specialist learns from its own and from others"
        )
    return Specialty(own, senones.count, share, full)


class Relabelled(FrameArchive):
    """An alignment with other labels: `classes` (S,) says which."""

    def __init__(self, folder: Path, classes: np.ndarray):
        super().__init__(folder, "alignment")
        self.classes = classes

    def part(self, utterance: str, name: str) -> np.ndarray:
        return self.classes[super().part(utterance, name)]

    def read(self, utterances: Sequence[str], name: str = "frames") -> np.ndarray:
        return self.classes[super().read(utterances, name)]


class HalfAndHalfTargets(HardTargets):
    """Cross-entropy of logits that are of frames as often as they are in truth, on frames that come more or less often.

    offsets (outputs,): the log of how much more often they come.
    """

    def __init__(self, alignment: FrameArchive, offsets: Tensor):
        super().__init__(alignment)
        self.offsets = offsets

    def loss(self, logits: Tensor, rows: list[Tensor]) -> Tensor:
        self.offsets = self.offsets.to(logits.device)
        return functional.cross_entropy(logits + self.offsets, rows[0])
