"""The two scales of a decoder, chosen on a development set.

A climb by coordinates: the weight of the language model goes up or down as long as errors fall,
then the penalty for a word, which is tried in multiples of the weight, because what a word costs
in the language model grows with it; then both again in smaller steps. A few words more or less
decide between neighbours on a small set, so what is chosen is the bottom of a smooth surface through
all that was tried, not the luckiest point.
"""

import logging
import shutil
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from asrdistill import parallel
from asrdistill.data.archive import FrameArchive
from asrdistill.decode.corpus import warm_up, write_loglikes
from asrdistill.decode.decoder import Decoder
from asrdistill.decode.options import DecodeOptions
from asrdistill.errors import UserError, shorten
from asrdistill.files import read_json, write_json
from asrdistill.scoring.alignment import count_errors

log = logging.getLogger("asrdistill")

START = 6.0  # the weight that is tried first, without a penalty
STEPS = ((1.4, 1.0), (1.18, 0.5))  # factor of the weight, step of penalty / weight: first coarse, then fine
NEAR = 1.15  # error rates up to this many times the lowest say where the surface's bottom is


class Point(NamedTuple):
    """Scales and the word error rate with them, percent."""

    lm_weight: float
    insertion_penalty: float
    wer: float


def tune(
    model: Path,
    archive: FrameArchive,
    decoder: Decoder,
    texts: dict[str, str],
    out: Path,
    jobs: int,
) -> Point:
    """Choose scales on an archive with transcripts; writes ``tuned.json`` into the folder `out`.

    The model runs once; its log-likelihoods stand in an archive while the grid is decoded. Raises
    UserError when an utterance has no transcript.
    """
    if missing := [utterance for utterance in archive if utterance not in texts]:
        raise UserError(f"{len(missing)} utterances of {archive.folder} have no transcript: {shorten(missing)}")
    scores = out / "loglikes"
    shutil.rmtree(scores, ignore_errors=True)
    scores.mkdir()
    write_loglikes(model, archive, decoder.options.prior_floor, scores, jobs)
    references = {utterance: texts[utterance].split() for utterance in archive}
    tried: dict[tuple[float, float], Point] = {}
    with parallel.workers(jobs, _set_up, (scores, decoder, references)) as pool:
        for weight, penalty in _scales(tried):
            if (weight, penalty) not in tried:
                wer = _error_rate(weight, penalty, archive, references, jobs, pool)
                tried[weight, penalty] = Point(weight, penalty, wer)
                log.info("lm_weight %g, insertion_penalty %g: WER %.2f %%", weight, penalty, wer)
    shutil.rmtree(scores)
    chosen = tried[weight, penalty]
    grid = [point._asdict() for point in sorted(tried.values())]
    write_json(out / "tuned.json", {**chosen._asdict(), "grid": grid})
    return chosen


def tuned(options: DecodeOptions, folder: Path) -> DecodeOptions:
    """The options with the scales that :func:`tune` found."""
    record = read_json(Path(folder) / "tuned.json")
    return replace(options, lm_weight=record["lm_weight"], insertion_penalty=record["insertion_penalty"])


def _scales(tried: dict[tuple[float, float], Point]) -> Iterator[tuple[float, float]]:
    """Scales to try next, given what the ones before gave; the last are those to choose."""
    yield START, 0.0
    for factor, step in STEPS:
        yield from _climb(tried, factor, 0.0)
        yield from _climb(tried, 1.0, step)
    yield _bottom(list(tried.values()))


def _bottom(points: list[Point]) -> tuple[float, float]:
    """Scales at the lowest place of a paraboloid through the points near the best one, within their range.

    Its axes are the logarithm of the weight and penalty / weight. Where the points bend it down, or are too few
    to bend it, the best of them.
    """
    best = min(points, key=lambda point: point.wer)
    weight, penalty, wer = np.array([point for point in points if point.wer <= NEAR * best.wer]).T
    axes = np.log(weight), penalty / weight
    terms = np.stack([np.ones_like(wer), *axes, *(axis**2 for axis in axes)], axis=1)
    (_, *slopes), _, rank, _ = np.linalg.lstsq(terms, wer, rcond=None)
    if rank < terms.shape[1] or min(slopes[2:]) <= 0:
        return best.lm_weight, best.insertion_penalty
    x, ratio = (
        np.clip(-slope / (2 * bend), axis.min(), axis.max())
        for axis, slope, bend in zip(axes, slopes[:2], slopes[2:], strict=True)
    )
    return round(float(np.exp(x)), 3), round(float(np.exp(x) * ratio), 3)


def _climb(tried: dict[tuple[float, float], Point], factor: float, step: float) -> Iterator[tuple[float, float]]:
    """Steps from the best scales in one direction while they get better, or else in the other."""
    start = _best(tried)
    for sign in (-1, 1):
        before = None
        while before != _best(tried):
            before = _best(tried)
            weight = before.lm_weight * factor**sign
            ratio = before.insertion_penalty / before.lm_weight + step * sign
            yield round(weight, 3), round(weight * ratio, 3)
        if before != start:
            return


def _best(tried: dict[tuple[float, float], Point]) -> Point:
    """The lowest error rate; of equal ones the first that was tried."""
    return min(tried.values(), key=lambda point: point.wer)


def _error_rate(
    weight: float,
    penalty: float,
    archive: FrameArchive,
    references: dict[str, list[str]],
    jobs: int,
    pool: Executor | None,
) -> float:
    work = [(utterance, weight, penalty) for utterance in archive]
    frames = parallel.run(_errors, work, jobs, "tune", "utterances", pool=pool)
    return 100 * sum(frames) / max(1, sum(map(len, references.values())))


# What a worker process holds; set up once.
_scores: FrameArchive
_decoder: Decoder
_references: dict[str, list[str]]


def _set_up(scores: Path, decoder: Decoder, references: dict[str, list[str]]) -> None:
    global _scores, _decoder, _references
    _scores, _decoder, _references = FrameArchive(scores, "loglikes"), decoder, references
    warm_up(decoder)


def _errors(work: tuple[str, float, float]) -> int:
    """Word errors of one utterance under the given scales."""
    utterance, weight, penalty = work
    try:
        heard = _decoder.with_scales(weight, penalty).decode(_scores[utterance])
    except UserError as error:
        raise UserError(f"utterance {utterance}: {error}") from None
    return sum(count_errors(_references[utterance], heard.words))
