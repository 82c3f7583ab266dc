"""Frames in random order from archives of any size, in constant memory.

An epoch takes the archive's blocks (runs of neighbouring utterances) in random order, a pool at a
time: the blocks of a pool are read in disk order, and frames are drawn from it at random. A corpus
smaller than the pool is simply shuffled. The window around a frame is cut out of the pool when a
batch is made, so there is no 26-fold copy of the features.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from asrdistill.data.archive import FrameArchive
from asrdistill.training.targets import Targets

BLOCK_FRAMES = 2048  # about 20 s: long enough to read quickly, short enough to mix well


class FramePool:
    """Windows and targets of training frames, pool by pool.

    `features` (T, F) archive; every utterance of `utterances` must be in it and in the targets.
    """

    def __init__(
        self,
        features: FrameArchive,
        targets: Targets,
        utterances: Sequence[str],
        context: tuple[int, int],
        pool_frames: int,
        batch: int,
        seed: int,
    ):
        self.features, self.targets, self.context = features, targets, context
        self.batch, self.seed = batch, seed
        self.blocks = _blocks(features, utterances)
        self.frames = sum(frames for _, frames in self.blocks)
        self.pool_frames = min(pool_frames, self.frames)

    def plan(self, epoch: int) -> list[list[int]]:
        """The blocks of each pool of this epoch."""
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.blocks))
        pools: list[list[int]] = [[]]
        filled = 0
        for block in order:
            if pools[-1] and filled + self.blocks[block][1] > self.pool_frames:
                pools.append([])
                filled = 0
            pools[-1].append(int(block))
            filled += self.blocks[block][1]
        return pools

    def updates(self, epochs: int) -> int:
        """Number of batches in so many epochs."""
        return sum(self._batches(pool) for epoch in range(epochs) for pool in self.plan(epoch))

    def _batches(self, pool: Sequence[int]) -> int:
        return math.ceil(sum(self.blocks[block][1] for block in pool) / self.batch)

    def read(self, epoch: int, number: int) -> Iterator[tuple[Tensor, list[Tensor]]]:
        """Batches of pool `number`: windows (B, left + 1 + right, F) and the targets' rows (B, …)."""
        pool = self.plan(epoch)[number]
        names = [name for block in sorted(pool) for name in self.blocks[block][0]]
        frames, starts = self._gather(names)
        rows = self.targets.gather(names)
        order = torch.from_numpy(np.random.default_rng((self.seed, epoch, number)).permutation(len(starts)))
        window = torch.arange(sum(self.context) + 1)
        for chosen in order.tensor_split(self._batches(pool)):
            yield frames[starts[chosen][:, None] + window], [row[chosen] for row in rows]

    def _gather(self, names: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Features of the utterances with repeated edge frames between them, and where each frame's window starts."""
        left, right = self.context
        lengths = [self.features.rows(name) for name in names]
        width = self.features[names[0]].shape[1]
        frames = np.empty((sum(lengths) + len(names) * (left + right), width), dtype=np.float32)
        starts = np.empty(sum(lengths), dtype=np.int64)
        begin = done = 0
        for name, length in zip(names, lengths, strict=True):
            source = self.features[name]
            frames[begin : begin + left] = source[0]
            frames[begin + left : begin + left + length] = source
            frames[begin + left + length : begin + left + length + right] = source[-1]
            starts[done : done + length] = np.arange(begin, begin + length)
            begin, done = begin + left + length + right, done + length
        return torch.from_numpy(frames), torch.from_numpy(starts)


def _blocks(features: FrameArchive, utterances: Sequence[str]) -> list[tuple[list[str], int]]:
    """Runs of utterances of about BLOCK_FRAMES frames, with their frame counts."""
    blocks: list[tuple[list[str], int]] = []
    names: list[str] = []
    frames = 0
    for name in utterances:
        names.append(name)
        frames += features.rows(name)
        if frames >= BLOCK_FRAMES:
            blocks.append((names, frames))
            names, frames = [], 0
    return [*blocks, (names, frames)] if names else blocks
