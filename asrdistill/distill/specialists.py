"""Targets, frames and initial weights of specialists (Hinton, Vinyals and Dean 2015, sections 5.3 and 5.4).

See docs/distillation.md for the kinds of softmax, docs/internals.md for the corrections.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from asrdistill.data.archive import FrameArchive
from asrdistill.distill.cluster import read_set
from asrdistill.errors import UserError
from asrdistill.hmm.senones import Senones
from asrdistill.models.acoustic import AcousticModel
from asrdistill.training.pool import FramePool, HalfPool
from asrdistill.training.targets import UNLABELLED, HardTargets


@dataclass(frozen=True)
class Specialty:
    """A specialist's own senones (m,) of S, their share π of the frames, and which of SOFTMAXES it has."""

    own: np.ndarray
    senones: int
    share: float
    softmax: str

    @property
    def is_own(self) -> np.ndarray:
        """(S,) bool"""
        return np.isin(np.arange(self.senones), self.own)

    @property
    def outputs(self) -> int:
        return {"own": len(self.own), "dustbin": len(self.own) + 1, "full": self.senones}[self.softmax]

    @property
    def classes(self) -> np.ndarray:
        """(S,) int64: the output of each senone; the dustbin is the last, and what has no output is UNLABELLED."""
        if self.softmax == "full":
            return np.arange(self.senones)
        classes = np.full(self.senones, len(self.own) if self.softmax == "dustbin" else UNLABELLED)
        classes[self.own] = np.arange(len(self.own))
        return classes

    @property
    def correction(self) -> float:
        """log((1 − π)/π): correction of the other senones' logits for drawing half of the frames from the own ones."""
        return math.log((1 - self.share) / self.share)

    def targets(self, alignment: Path) -> HardTargets:
        """The aligned senones, as outputs of the specialist, for the frames of its :meth:`pool`."""
        labels = Relabelled(alignment, self.classes)
        if self.softmax == "own":
            return HardTargets(labels)
        offsets = torch.zeros(self.outputs)
        offsets[~self.is_own if self.softmax == "full" else -1] = -self.correction
        return HalfAndHalfTargets(labels, offsets)

    def pool(self, labels: FrameArchive, **settings: Any) -> FramePool:
        """The frames to train on: its own, and with a dustbin or the full softmax as many others."""
        if self.softmax == "own":
            return FramePool(**settings, keep=lambda names: self.is_own[labels.read(names)])
        return HalfPool(**settings, labels=labels, own=self.is_own)

    def weights(self, generalist: AcousticModel) -> dict[str, Tensor]:
        """Initial weights: the generalist's, with the rows of the specialist's outputs.

        The dustbin's row is the prior-weighted mean of the others' rows, plus the priors' entropy in the bias.
        """
        tensors = dict(generalist.module.state_dict())
        if self.softmax == "full":
            return tensors
        others = torch.from_numpy(~self.is_own)
        prior = torch.from_numpy(generalist.priors).float()[others]
        prior = prior / prior.sum()
        for name, extra in (("output.weight", 0.0), ("output.bias", torch.special.entr(prior).sum())):
            rows = tensors[name]
            dustbin = torch.tensordot(prior, rows[others], 1) + extra
            tensors[name] = torch.cat([rows[torch.from_numpy(self.own)], dustbin[None]])[: self.outputs]
        return tensors


def read_specialty(sets: Path, number: int, softmax: str, labels: FrameArchive, senones: Senones) -> Specialty:
    """The specialist of a set; raises UserError if the alignment has only own frames or none."""
    own = read_set(sets, number, senones)
    mine = np.isin(np.arange(senones.count), own)
    share = sum(int(mine[labels[utterance]].sum()) for utterance in labels) / labels.total_rows
    if not 0 < share < 1:
        found = "no" if share == 0 else "only"
        raise UserError(f"{labels.folder} has {found} frames of set {number} of {sets}; it needs own and others")
    return Specialty(own, senones.count, share, softmax)


class Relabelled(FrameArchive):
    """An alignment with labels mapped by classes (S,)."""

    def __init__(self, folder: Path, classes: np.ndarray):
        super().__init__(folder, "alignment")
        self.classes = classes

    def part(self, utterance: str, name: str) -> np.ndarray:
        return self.classes[super().part(utterance, name)]

    def read(self, utterances: Sequence[str], name: str = "frames") -> np.ndarray:
        return self.classes[super().read(utterances, name)]


class HalfAndHalfTargets(HardTargets):
    """Cross-entropy with logits corrected for frames that are drawn more or less often than they occur.

    offsets (outputs,): log of the ratio.
    """

    def __init__(self, alignment: FrameArchive, offsets: Tensor):
        super().__init__(alignment)
        self.offsets = offsets

    def loss(self, logits: Tensor, rows: list[Tensor]) -> Tensor:
        self.offsets = self.offsets.to(logits.device)
        return functional.cross_entropy(logits + self.offsets, rows[0])
