"""From a data directory to an archive of log-mel features."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from asrdistill import parallel
from asrdistill.data.archive import ShardWriter, finish
from asrdistill.data.directory import DataDirectory, Utterance
from asrdistill.errors import UserError
from asrdistill.features.copies import copy_name, warped
from asrdistill.features.options import FbankOptions, frames

UTTERANCES_PER_SHARD = 250  # fixed, so that the archive does not depend on the number of jobs
_BATCH_SECONDS = 60.0  # of audio, transformed together


def make_fbank(
    data: DataDirectory,
    out: Path,
    options: FbankOptions,
    jobs: int,
    pipes: bool = False,
    warps: Sequence[float] = (1.0,),
) -> None:
    """Write the log-mel filterbank of every utterance into the existing folder `out`, an archive of kind "features".

    With several `warps` each utterance stands there once for each, its frequency axis stretched by
    that factor as another speaker's vocal tract would; see :mod:`asrdistill.features.copies`.
    Raises UserError that names the utterance for audio that cannot be read or is too short for one
    frame, and for a data directory without utterances.
    """
    if not len(data):
        raise UserError("the data directory has no utterances; there is nothing to make features of")
    variants = [(warp, warped(options, warp)) for warp in warps]
    groups = parallel.split(data.utterances, -(-len(data) // UTTERANCES_PER_SHARD))
    tasks = [(number, Path(out), group, variants, pipes) for number, group in enumerate(groups)]
    shards = parallel.run(_write_shard, tasks, jobs, "features", weight=lambda task: len(task[2]))
    finish(
        out,
        "features",
        _parts(options),
        list(shards),
        frame_shift=options.frame_shift / 1000,
        features=options.describe(),
        warps=list(warps),
    )


def _parts(options: FbankOptions) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {"frames": ("float32", (options.bins,))}


def _write_shard(task: tuple[int, Path, list[Utterance], list[tuple[float, FbankOptions]], bool]) -> dict[str, Any]:
    from asrdistill.features.fbank import fbank  # loads torch, which only the workers need

    number, out, utterances, variants, pipes = task
    options = variants[0][1]
    writer = ShardWriter(out, number, _parts(options))
    for ids, samples in _batches(utterances, options, pipes):
        for warp, variant in variants:
            for id, features in zip(ids, fbank(samples, variant), strict=True):
                writer.write(copy_name(id, warp), frames=features)
    return writer.close()


def _batches(
    utterances: Iterable[Utterance], options: FbankOptions, pipes: bool
) -> Iterator[tuple[list[str], list[np.ndarray]]]:
    """Ids and samples of as many utterances as together reach _BATCH_SECONDS."""
    ids: list[str] = []
    batch: list[np.ndarray] = []
    for utterance in utterances:
        samples = utterance.samples(options.rate, pipes)
        if not frames(len(samples), options):
            raise UserError(
                f"utterance {utterance.id}: {len(samples)} samples at {options.rate} Hz are too few for one frame "
                f"of {options.frame_length:g} ms; remove it from the data directory"
            )
        ids.append(utterance.id)
        batch.append(samples)
        if sum(map(len, batch)) >= _BATCH_SECONDS * options.rate:
            yield ids, batch
            ids, batch = [], []
    if ids:
        yield ids, batch
