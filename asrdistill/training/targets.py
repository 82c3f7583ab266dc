"""Training targets. The loop knows only :class:`Targets`, of single frames, and :class:`ChunkTargets`."""

from collections.abc import Sequence
from itertools import compress
from typing import Protocol, runtime_checkable

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


@runtime_checkable
class ChunkTargets(Protocol):
    """Targets of whole chunks: the loss of a frame depends on the frames around it."""

    def gather(self, utterances: Sequence[str]) -> list[Tensor]:
        """As of :class:`Targets`."""

    def chunk_loss(self, logits: Tensor, rows: list[Tensor], inside: Tensor) -> Tensor:
        """Sum of the losses of float32 logits (b, L, S); rows are of the frames that are `inside` (b, L) only."""


UNLABELLED = -1  # the senone of a frame that has no alignment


class HardTargets:
    """The aligned senone of each frame; cross-entropy at temperature 1.

    `features` gives the lengths of utterances without an alignment. Their frames add 0 to the sum but count in the
    mean, so the weight of a labelled frame does not depend on them.
    """

    def __init__(self, alignment: FrameArchive, features: FrameArchive | None = None):
        self.alignment, self.lengths = alignment, alignment if features is None else features

    def gather(self, utterances: Sequence[str]) -> list[Tensor]:
        aligned = [utterance in self.alignment for utterance in utterances]
        has_label = np.repeat(aligned, [self.lengths.rows(utterance) for utterance in utterances])
        labels = np.full(len(has_label), UNLABELLED, np.int64)
        if any(aligned):
            labels[has_label] = self.alignment.read(list(compress(utterances, aligned)))
        return [torch.from_numpy(labels)]

    def loss(self, logits: Tensor, rows: list[Tensor]) -> Tensor:
        return functional.cross_entropy(logits, rows[0], ignore_index=UNLABELLED, reduction="sum") / len(logits)


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
