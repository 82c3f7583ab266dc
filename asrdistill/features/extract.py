"""From a data directory to an archive of log-mel features."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from asrdistill import parallel
from asrdistill.data.archive import ShardWriter, finish
from asrdistill.data.directory import DataDirectory, Utterance
from asrdistill.errors import UserError
from asrdistill.features.copies import ORIGINALS, Copies, Copy, warped
from asrdistill.features.noise import Noise
from asrdistill.features.options import FbankOptions, frames

UTTERANCES_PER_SHARD = 250  # fixed, so that the archive does not depend on the number of jobs
_BATCH_SECONDS = 60.0  # of audio, transformed together


def make_fbank(
    data: DataDirectory,
    out: Path,
    options: FbankOptions,
    jobs: int,
    pipes: bool = False,
    copies: Copies = ORIGINALS,
) -> None:
    """Write the log-mel filterbank of every utterance into the existing folder `out`, an archive of kind "features".

    Each utterance stands there once for each of the `copies`; see :mod:`asrdistill.features.copies`.
    Raises UserError that names the utterance for audio that cannot be read or is too short for one
    frame, for a data directory without utterances, and for copies that cannot be made.
    """
    if not len(data):
        raise UserError("the data directory has no utterances; there is nothing to make features of")
    variants = [(copy, warped(options, copy.warp)) for copy in copies.each()]
    groups = parallel.split(data.utterances, -(-len(data) // UTTERANCES_PER_SHARD))
    tasks = [(number, Path(out), group, variants, pipes) for number, group in enumerate(groups)]
    setup = (copies, data.utterances)
    shards = parallel.run(_write_shard, tasks, jobs, "features", "utterances", _setup, setup, lambda task: len(task[2]))
    finish(
        out,
        "features",
        _parts(options),
        list(shards),
        frame_shift=options.frame_shift / 1000,
        features=options.describe(),
        **copies.describe(),
    )


def _parts(options: FbankOptions) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {"frames": ("float32", (options.bins,))}


_noise: Noise | None = None  # of one process: what noisy copies take theirs from


def _setup(copies: Copies, utterances: Sequence[Utterance]) -> None:
    global _noise
    _noise = copies.source(utterances)


def _write_shard(task: tuple[int, Path, list[Utterance], list[tuple[Copy, FbankOptions]], bool]) -> dict[str, Any]:
    from asrdistill.features.fbank import fbank  # loads torch, which only the workers need

    number, out, utterances, variants, pipes = task
    options = variants[0][1]
    writer = ShardWriter(out, number, _parts(options))
    for heard, samples in _batches(utterances, options, pipes):
        for copy, variant in variants:
            changed = [copy.samples(u, s, options.rate, _noise) for u, s in zip(heard, samples, strict=True)]
            for utterance, features in zip(heard, fbank(changed, variant), strict=True):
                if not len(features):
                    raise UserError(f"utterance {utterance.id} is too short for one frame at speed {copy.value:g}")
                writer.write(copy.name(utterance.id), frames=features)
    return writer.close()


def _batches(
    utterances: Iterable[Utterance], options: FbankOptions, pipes: bool
) -> Iterator[tuple[list[Utterance], list[np.ndarray]]]:
    """As many utterances as together reach _BATCH_SECONDS, with their samples."""
    heard: list[Utterance] = []
    batch: list[np.ndarray] = []
    for utterance in utterances:
        samples = utterance.samples(options.rate, pipes)
        if not frames(len(samples), options):
            raise UserError(
                f"utterance {utterance.id}: {len(samples)} samples at {options.rate} Hz are too few for one frame "
                f"of {options.frame_length:g} ms; remove it from the data directory"
            )
        heard.append(utterance)
        batch.append(samples)
        if sum(map(len, batch)) >= _BATCH_SECONDS * options.rate:
            yield heard, batch
            heard, batch = [], []
    if heard:
        yield heard, batch
