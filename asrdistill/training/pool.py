"""Sampler: training frames in random order from archives of any size, in constant memory; see docs/internals.md.

Blocks of utterances in random order fill a pool, and chunks of neighbouring frames are drawn from it at random.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from asrdistill.data.archive import FrameArchive
from asrdistill.errors import UserError
from asrdistill.models.device import send
from asrdistill.training import distributed
from asrdistill.training.targets import ChunkTargets, Targets

T = TypeVar("T")

BLOCK_FRAMES = 2048  # about 20 s: long enough to read quickly, short enough to mix well


class Batch(NamedTuple):
    """This process's b chunks of a batch of B: chunks first, …, first + b - 1 of it. A chunk is L frames, or fewer."""

    windows: Tensor  # (b, left + L + right, F)
    rows: list[Tensor]  # what the targets hold of their n frames, (n, …) each
    first: int
    size: int  # B
    ends_pool: bool
    ends_epoch: bool
    inside: Tensor | None = None  # (b, L) which of the frames lie within the utterance; None: all, as L is 1
    frames: int = 0  # of the whole batch; 0: B
    beside: Tensor | None = None  # (b, left + L + right, G) windows of a teacher's own features


class FramePool:
    """Windows and targets of training frames, pool by pool.

    features  (T, F) archive; every utterance of `utterances` must be in it and in the targets
    batch     frames per update, of all processes together: batch // chunk chunks
    chunk     frames per chunk, each `stride` after the one before; an utterance's last chunk may have fewer
    keep      of utterances: the frames (T,) bool to train on, in chunks of 1; the others are context only
    beside    (T, G) archive of further features of the same frames
    """

    def __init__(
        self,
        features: FrameArchive,
        targets: Targets | ChunkTargets,
        utterances: Sequence[str],
        context: tuple[int, int],
        pool_frames: int,
        batch: int,
        seed: int,
        chunk: int = 1,
        keep: Callable[[Sequence[str]], np.ndarray] | None = None,
        stride: int = 1,
        beside: FrameArchive | None = None,
    ):
        self.features, self.targets, self.context, self.beside = features, targets, context, beside
        self.batch, self.seed, self.chunk, self.keep = batch, seed, chunk, keep
        self.stride, self.span = stride, stride * chunk
        self.blocks = _blocks(features, utterances)
        if keep:
            if chunk > 1:
                raise UserError(f"single frames cannot be left out of chunks of {chunk}; set chunk to 1")
            counted = [(names, int(keep(names).sum())) for names, _ in self.blocks]
            self.blocks = [(names, frames) for names, frames in counted if frames]
            if not self.blocks:
                raise UserError(f"no frame of {features.folder} is left to train on; omit fewer phones")
        self.pool_frames = min(pool_frames, sum(frames for _, frames in self.blocks))
        self.draws = [self._drawn(*block) for block in self.blocks]
        self.frames = self._learnt()

    def plan(self, epoch: int) -> list[list[int]]:
        """The blocks of each pool of this epoch."""
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.blocks))
        pools: list[list[int]] = [[]]
        filled = drawn = 0
        for block in order:
            if drawn and filled + self.blocks[block][1] > self.pool_frames:
                pools.append([])
                filled = drawn = 0
            pools[-1].append(int(block))
            filled += self.blocks[block][1]
            drawn += self.draws[block]
        if not drawn and len(pools) > 1:  # nothing to learn from in the last
            rest = pools.pop()
            pools[-1] += rest
        return pools

    def updates(self, epochs: int) -> int:
        """Number of batches in N epochs."""
        chunks = (sum(self.draws[b] for b in pool) for epoch in range(epochs) for pool in self.plan(epoch))
        return sum(map(self._batches, chunks))

    def _batches(self, chunks: int) -> int:
        return math.ceil(chunks / max(1, self.batch // self.chunk))

    def _learnt(self) -> int:
        """Frames per epoch, up to the random ends of strides."""
        return sum(frames for _, frames in self.blocks) // self.stride

    def _drawn(self, names: Sequence[str], frames: int) -> int:
        """Chunks per epoch of a block with `frames` kept frames."""
        if self.chunk == 1:
            return frames
        return sum(-(-self.features.rows(name) // self.span) for name in names)

    def _order(self, names: Sequence[str], frames: int, rng: np.random.Generator) -> np.ndarray:
        """First frame of each chunk of a pool, in training order."""
        return rng.permutation(np.flatnonzero(self.keep(names)) if self.keep else self._chunks(names, rng))

    def read(self, epoch: int, first: int, epochs: int, device: torch.device) -> Iterator[Batch]:
        """Batches on the device: of this epoch from pool `first` on, and of the following until there were `epochs`."""
        for pool in read_ahead(self.pools(epoch, first, epochs, device)):
            yield from self._cut(pool)

    def pools(self, first_epoch: int, first: int, epochs: int, device: torch.device) -> Iterator["Pool"]:
        """What :meth:`read` cuts its batches from."""
        for epoch in range(first_epoch, epochs):
            plan = self.plan(epoch)
            for number in range(first if epoch == first_epoch else 0, len(plan)):
                names = [name for block in sorted(plan[number]) for name in self.blocks[block][0]]
                frames = self.features.read(names).astype(np.float32, copy=False)
                order = self._order(names, len(frames), np.random.default_rng((self.seed, epoch, number)))
                ours = [send(torch.from_numpy(array), device) for array in (frames, self._bounds(names), order)]
                rows = [send(row, device) for row in self.targets.gather(names)]
                beside = self._beside(names, device)
                yield Pool(ours[0], ours[1], ours[2], rows, number + 1 == len(plan), beside)

    def _beside(self, names: Sequence[str], device: torch.device) -> Tensor | None:
        if self.beside is None:
            return None
        return send(torch.from_numpy(self.beside.read(names).astype(np.float32, copy=False)), device)

    def _chunks(self, names: Sequence[str], rng: np.random.Generator) -> np.ndarray:
        """The first frame of each chunk: one of its first `stride` at random."""
        lengths = [self.features.rows(name) for name in names]
        begins = np.cumsum([0, *lengths])
        chunks = []
        for begin, frames in zip(begins, lengths, strict=False):
            first = np.arange(0, frames, self.span)
            first += rng.integers(self.stride, size=len(first))  # a stride of 1 draws nothing
            chunks.append(begin + np.minimum(first, frames - 1))
        return np.concatenate(chunks)

    def _bounds(self, names: Sequence[str]) -> np.ndarray:
        """(frames, 2) where the utterance of each frame begins and ends: its first and its last frame."""
        lengths = np.array([self.features.rows(name) for name in names])
        ends = np.cumsum(lengths)
        return np.repeat(np.stack([ends - lengths, ends - 1], 1), lengths, axis=0)

    def _cut(self, pool: "Pool") -> Iterator[Batch]:
        """The pool's batches: windows that reach over an utterance's edge repeat the frame there."""
        left, right = self.context
        offsets = torch.arange(-left, right + self.span - self.stride + 1, device=pool.order.device)
        batches = pool.order.tensor_split(self._batches(len(pool.order)))
        for number, batch in enumerate(batches, 1):
            share = distributed.rank_slice(len(batch))
            chosen = batch[share]
            bounds = pool.bounds[chosen]
            window = (chosen[:, None] + offsets).clamp(bounds[:, :1], bounds[:, 1:])
            last = number == len(batches)
            place = (share.start, len(batch), last, last and pool.ends_epoch)
            beside = pool.beside[window] if pool.beside is not None else None
            if self.chunk == 1:
                yield Batch(pool.frames[window], [row[chosen] for row in pool.rows], *place, beside=beside)
                continue
            frames = batch[:, None] + torch.arange(0, self.span, self.stride, device=batch.device)  # (B, L)
            inside = frames <= pool.bounds[batch, 1:]
            rows = [row[frames[share][inside[share]]] for row in pool.rows]
            yield Batch(pool.frames[window], rows, *place, inside[share], int(inside.sum()), beside)


class HalfPool(FramePool):
    """Half of every batch are frames of a specialist's own senones, half are others, drawn at random from the pool.

    An epoch has each own frame once, and as many others. own (S,) bool: the specialist's senones; labels: the
    alignment. Raises UserError if no frame is the specialist's.
    """

    def __init__(self, *args: Any, labels: FrameArchive, own: np.ndarray, **settings: Any):
        self.labels, self.own = labels, own
        super().__init__(*args, **settings)
        if not self.frames:
            raise UserError(f"no frame of {labels.folder} is of the specialist's {own.sum()} senones; take another set")

    def _learnt(self) -> int:
        return sum(self.draws)

    def _drawn(self, names: Sequence[str], frames: int) -> int:
        return 2 * int(self.own[self.labels.read(names)].sum())

    def _order(self, names: Sequence[str], frames: int, rng: np.random.Generator) -> np.ndarray:
        """Own frame, other frame, own frame, …, so that every slice has half of each."""
        own = self.own[self.labels.read(names)]
        ours, others = rng.permutation(np.flatnonzero(own)), rng.permutation(np.flatnonzero(~own))
        others = others if len(others) else ours  # a pool of nothing else
        return np.stack([ours, np.resize(others, len(ours))], 1).ravel()


class Pool(NamedTuple):
    """n frames that are shuffled together, on the device."""

    frames: Tensor  # (n, F) features, in the order of the disk
    bounds: Tensor  # (n, 2) first and last frame of the utterance of each
    order: Tensor  # the first frame of each chunk as they come into batches
    rows: list[Tensor]  # their targets, (n, …) each
    ends_epoch: bool
    beside: Tensor | None = None  # (n, G) further features


def read_ahead(items: Iterator[T]) -> Iterator[T]:
    """The items; a thread makes the next one while one is in use."""
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, items, None)
            yield item


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
