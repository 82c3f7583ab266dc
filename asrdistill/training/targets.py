"""What a model learns from. The training loop knows only :class:`Targets`."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from asrdistill.data.archive import FrameArchive


class Targets(Protocol):
    """Targets for the frames of utterances, and the loss of logits against them."""

    def gather(self, utterances: Sequence[str]) -> list[Tensor]:
        """Rows of all frames of the utterances, in order: tensors (frames, …)."""

    def loss(self, logits: Tensor, rows: list[Tensor]) -> Tensor:
        """Mean loss over the batch of float32 logits (B, S) and rows (B, …)."""


class HardTargets:
    """The aligned senone of each frame; cross-entropy at temperature 1."""

    def __init__(self, alignment: FrameArchive):
        self.alignment = alignment

    def gather(self, utterances: Sequence[str]) -> list[Tensor]:
        return [torch.from_numpy(self.alignment.read(utterances).astype(np.int64))]

    def loss(self, logits: Tensor, rows: list[Tensor]) -> Tensor:
        return functional.cross_entropy(logits, rows[0])


class WeightedTargets:
    """A weighted sum of other targets' losses on the same logits."""

    def __init__(self, members: Sequence[tuple[float, Targets]]):
        self.members = list(members)

    def gather(self, utterances: Sequence[str]) -> list[Tensor]:
        gathered = [target.gather(utterances) for _, target in self.members]
        self._counts = [len(rows) for rows in gathered]
        return [row for rows in gathered for row in rows]

    def loss(self, logits: Tensor, rows: list[Tensor]) -> Tensor:
        total = logits.new_zeros(())
        first = 0
        for (weight, target), count in zip(self.members, self._counts, strict=True):
            total = total + weight * target.loss(logits, rows[first : first + count])
            first += count
        return total
