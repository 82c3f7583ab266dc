"""Where a network runs, and its posteriors of many utterances in batches."""

import itertools
import shutil
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

BATCH = 20_000  # frames of a batch on a GPU, with those that fill shorter utterances up
WINDOW = 2 * BATCH  # frames whose utterances are sorted by length


class Compute(NamedTuple):
    """Where and how a network runs: device auto, cpu, cuda or cuda:N; precision float32 or bfloat16."""

    device: str = "cpu"
    precision: str = "float32"

    def is_plain(self) -> bool:
        """Whether the compiled library, which needs no torch, does the same: float32 on the processor."""
        if self.precision != "float32":
            return False
        return self.device == "cpu" or (self.device == "auto" and shutil.which("nvidia-smi") is None)


PLAIN = Compute()


def posteriors(model: Any, features: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Log posteriors (T, S) of utterances (T, F) in their order; on a GPU in batches of utterances of like length."""
    if not getattr(model, "batches", False):
        yield from map(model.log_posteriors, features)
        return
    for window in _windows(features):
        order = sorted(range(len(window)), key=lambda i: len(window[i]))
        found: dict[int, np.ndarray] = {}
        for batch in _batches(order, window):
            found |= zip(batch, model.log_posteriors_of([window[i] for i in batch]), strict=True)
        yield from (found[i] for i in range(len(window)))


def _windows(features: Iterable[np.ndarray]) -> Iterator[list[np.ndarray]]:
    """Consecutive utterances of WINDOW frames in all, or a little more."""
    window, frames = list[np.ndarray](), 0
    for utterance in itertools.chain(features, [None]):
        if utterance is None or frames >= WINDOW:
            yield window
            window, frames = [], 0
        if utterance is not None:
            window.append(utterance)
            frames += len(utterance)


def _batches(order: list[int], window: list[np.ndarray]) -> Iterator[list[int]]:
    """Utterances, shortest first, in batches of at most BATCH frames once they are filled up; at least one."""
    batch: list[int] = []
    for i in order:
        if batch and (len(batch) + 1) * len(window[i]) > BATCH:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
