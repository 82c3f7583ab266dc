"""Cepstra (MFCC without the energy) from log-mel filterbanks, normalised per speaker, or in a stream by what came."""

import functools
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from asrdistill.config import option
from asrdistill.data.archive import FrameArchive, ShardWriter, finish
from asrdistill.errors import UserError, check_left_out, shorten
from asrdistill.features.options import options_of
from asrdistill.features.perturb import by_speaker, original_id
from asrdistill.features.statistics import moments
from asrdistill.parallel import map_utterances

WINDOW = 600  # frames of a stream's running mean: 6 s, so that it follows another speaker
PRIOR_FRAMES = 100  # that the mean over training counts for in a stream's running mean
UTTERANCES_PER_SHARD = 250  # fixed, so that the archive does not depend on the number of jobs


@dataclass(frozen=True)
class CepstraOptions:
    coefficients: int = option(13, "number of cepstral coefficients")
    floor: float = option(-16.0, "floor of log-mel energies, as coded silence is far below that of any room")
    lifter: float = option(22.0, "lifter: weight 1 + lifter/2 · sin(π i / lifter) for coefficient i; 0: none")
    normalise: str = option(
        "speaker", "unit of mean and variance normalisation", choices=("speaker", "utterance", "none")
    )


def cepstra(fbank: np.ndarray, options: CepstraOptions) -> np.ndarray:
    """Cepstra without normalisation: log-mel (T, bins) -> float32 (T, coefficients)."""
    floored = np.maximum(fbank, np.float32(options.floor))
    return floored @ dct_matrix(fbank.shape[1], options.coefficients, options.lifter)


@functools.lru_cache
def dct_matrix(bins: int, coefficients: int, lifter: float) -> np.ndarray:
    """Orthonormal DCT-II and lifter as one matrix, float32 (bins, coefficients), as Kaldi's feature/mfcc."""
    i = np.arange(coefficients)
    dct = np.cos(np.pi / bins * np.outer(np.arange(bins) + 0.5, i)) * np.sqrt(2 / bins)
    dct[:, 0] = np.sqrt(1 / bins)
    weight = 1 + lifter / 2 * np.sin(np.pi * i / lifter) if lifter else np.ones(coefficients)
    return (dct * weight).astype(np.float32)


def make_cepstra(fbank: Path, speakers: Mapping[str, str], out: Path, options: CepstraOptions, jobs: int) -> None:
    """Write the cepstra of the archive `fbank` into the existing folder `out`.

    speakers  utterance -> speaker; copies count as other speakers, see :func:`by_speaker`

    Utterances without filterbanks, or with damaged ones, are left out. Raises UserError if these are too many, for
    utterances without a speaker, and if the filterbank has fewer bins than coefficients.
    """
    archive = check(fbank, speakers, options)
    groups = [[utterance] for utterance in archive]  # utterances that share one mean and variance
    if options.normalise == "speaker":
        groups = list(by_speaker(archive, speakers).values())
    write, load, tasks = partial(_write_shard, Path(out), options), partial(FrameArchive, fbank), _shards(groups)
    made = map_utterances(write, tasks, jobs, "cepstra", load, weight=lambda task: sum(map(len, task[1])))
    shards, moments_of = zip(*made, strict=True)
    meta = {"frame_shift": archive.meta["frame_shift"], "features": settings(archive, options)}
    finish(out, "features", _parts(options), list(shards), **meta, level=_level(moments_of))


def check(fbank: Path, speakers: Mapping[str, str], options: CepstraOptions) -> FrameArchive:
    """The archive `fbank`; raises UserError if cepstra cannot be made from it."""
    archive = FrameArchive(fbank, kind="features")
    bins = options_of(archive.meta["features"], str(fbank)).bins
    if not 1 <= options.coefficients <= bins:
        raise UserError(f"{options.coefficients} coefficients do not fit {bins} bins of {fbank}; change --coefficients")
    missing = [u for u in speakers if u not in archive]
    check_left_out(missing, len(speakers), reason=f"are not in {fbank}", remedy="make it again")
    if missing := [u for u in archive if u not in speakers and original_id(u) not in speakers]:
        raise UserError(f"the data directory lacks {len(missing)} utterances of {fbank}: {shorten(missing)}; add them")
    return archive


def settings(archive: FrameArchive, options: CepstraOptions) -> dict[str, Any]:
    """Settings that archives and models store."""
    return {"type": "cepstra", **options.__dict__, "fbank": archive.meta["features"]}


def _parts(options: CepstraOptions) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {"frames": ("float32", (options.coefficients,))}


def _shards(groups: list[list[str]]) -> list[tuple[int, list[list[str]]]]:
    """Numbered shards: whole groups of about UTTERANCES_PER_SHARD utterances in total."""
    shards: dict[int, list[list[str]]] = {}
    for end, group in zip(itertools.accumulate(map(len, groups)), groups, strict=True):
        shards.setdefault((end - 1) // UTTERANCES_PER_SHARD, []).append(group)
    return list(enumerate(shards.values()))


def _write_shard(
    out: Path, options: CepstraOptions, archive: FrameArchive, task: tuple[int, list[list[str]]]
) -> tuple[dict[str, Any], np.ndarray]:
    """The closed shard; and summed over its frames (1 + 2 F,): ones, means and variances that normalised them."""
    number, groups = task
    writer, sums = ShardWriter(out, number, _parts(options)), np.zeros(1 + 2 * options.coefficients)
    for group in filter(None, (archive.readable(group, writer.faults) for group in groups)):
        mean, deviation = np.zeros(options.coefficients), np.ones(options.coefficients)
        if options.normalise != "none":
            mean, deviation = moments(cepstra(archive[utterance], options) for utterance in group)
        for utterance in group:
            writer.write(utterance, frames=(cepstra(archive[utterance], options) - mean) / deviation)
        sums += sum(map(archive.rows, group)) * np.concatenate([[1], mean, deviation**2])
    return writer.close(), sums


def _level(sums: Iterable[np.ndarray]) -> dict[str, list[float]]:
    """For meta.json: what speakers' means and deviations are on average, with which a stream begins."""
    count, *rest = np.sum(list(sums), 0)
    mean, variance = np.split(np.array(rest) / max(count, 1), 2)
    return {"mean": mean.tolist(), "std": np.sqrt(variance).tolist()}
