"""From a data directory to an archive of log-mel features."""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from asrdistill.data.archive import ShardWriter, finish
from asrdistill.data.directory import DataDirectory, Utterance
from asrdistill.errors import UserError, noting
from asrdistill.features.fbank import fbank
from asrdistill.features.options import FbankOptions, frames
from asrdistill.features.perturb import UNPERTURBED, Noise, Perturbation, Perturbations, warped
from asrdistill.parallel import Chunk, gather, map_utterances, split

UTTERANCES_PER_SHARD = 250  # fixed, so that the archive does not depend on the number of jobs
_BATCH_SECONDS = 60.0  # of audio, transformed together


def make_fbank(
    data: DataDirectory, out: Path, options: FbankOptions, jobs: int, copies: Perturbations = UNPERTURBED
) -> None:
    """Write the log-mel filterbank of every utterance into the existing folder `out`, an archive of kind "features".

    Each utterance has a row block per copy, see :mod:`asrdistill.features.perturb`. Utterances whose audio cannot be
    read or is too short for one frame are left out; raises UserError if they are too many.
    """
    if not len(data):
        raise UserError("the data directory has no utterances; there is nothing to make features of")
    variants = [(copy, warped(options, copy.warp)) for copy in copies.each()]
    tasks = split(data.utterances, -(-len(data) // UTTERANCES_PER_SHARD))
    write = partial(_write_shard, Path(out), variants, copies.pipes)
    shards = list(map_utterances(write, tasks, jobs, "features", partial(copies.source, data.utterances)))
    meta = {"frame_shift": options.frame_shift / 1000, "features": options.describe(), **copies.describe()}
    finish(out, "features", _parts(options), shards, len(data), **meta)


def _parts(options: FbankOptions) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {"frames": ("float32", (options.bins,))}


def _write_shard(
    out: Path,
    variants: list[tuple[Perturbation, FbankOptions]],
    pipes: bool,
    noise: Noise | None,
    shard: Chunk[Utterance],
) -> dict[str, Any]:
    options = variants[0][1]
    writer = ShardWriter(out, shard.number, _parts(options))
    readable = _samples(shard, options, pipes, writer.faults)
    for batch in gather(readable, _BATCH_SECONDS * options.rate, lambda pair: len(pair[1])):
        for copy, variant in variants:
            changed = [copy.samples(utterance, samples, options.rate, noise) for utterance, samples in batch]
            for (utterance, _), features in zip(batch, fbank(changed, variant), strict=True):
                if len(features):
                    writer.write(copy.name(utterance.id), frames=features)
                else:
                    writer.faults[utterance.id] = f"utterance {utterance.id} is too short at speed {copy.value:g}"
    return writer.close()


def _samples(
    utterances: Iterable[Utterance], options: FbankOptions, pipes: bool, faults: dict[str, str]
) -> Iterator[tuple[Utterance, np.ndarray]]:
    """Utterances with their samples; `faults` gets a sentence on each that cannot be read or is too short."""
    for utterance in utterances:
        samples = None
        with noting(faults, utterance.id):
            samples = utterance.samples(options.rate, pipes)
            if not frames(len(samples), options):
                few = f"{len(samples)} samples at {options.rate} Hz are no frame of {options.frame_length:g} ms"
                raise UserError(f"utterance {utterance.id}: {few}; remove it from the data directory")
        if utterance.id not in faults and samples is not None:
            yield utterance, samples
