"""Choose language model weight and insertion penalty on a development set.

Lattices of one search give the errors of a grid of scales around its own. The minimum of a smooth surface through the
grid is where the next search starts; see docs/internals.md.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from asrdistill.data.archive import FrameArchive
from asrdistill.decode.corpus import Recogniser, recognise, recognisers
from asrdistill.decode.decoder import Decoder
from asrdistill.decode.words import join
from asrdistill.errors import UserError, log, shorten
from asrdistill.files import write_json
from asrdistill.models.inference import PLAIN, Compute
from asrdistill.parallel import Workers
from asrdistill.scoring.edit_distance import count_errors

FACTOR, STEP = 1.18, 0.5  # between neighbours in the grid: of the weight, of penalty / weight
WEIGHTS, PENALTIES = range(-4, 5), range(-2, 3)  # the grid, in these steps from the scales of the search
LATTICE_BEAM = 6.0  # where the options have none
MOST = 1.0  # of |penalty / weight|: beyond it, small sets overfit
SEARCHES = 6  # at most
WORTH = 0.98  # a further search must lower the errors to this fraction
NEAR = 1.15  # points up to this many times the lowest error rate are fitted

Scales = tuple[float, float]  # weight, penalty


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
    compute: Compute = PLAIN,
) -> Point:
    """Choose scales on an archive with transcripts, starting from the decoder's; writes ``tuned.json`` into `out`.

    The error rate is that of the nearest point of the last grid. Raises UserError if an utterance has no transcript.
    """
    if missing := [utterance for utterance in archive if utterance not in texts]:
        raise UserError(f"{len(missing)} utterances of {archive.folder} lack text: {shorten(missing)}; add it")
    references = {utterance: texts[utterance].split() for utterance in archive}
    options = replace(decoder.options, lattice_beam=decoder.options.lattice_beam or LATTICE_BEAM)
    with recognisers(model, decoder.with_options(options), jobs, compute) as workers:
        scales, points = _settled(
            (options.lm_weight, options.insertion_penalty),
            lambda scales: _search(scales, archive, references, workers),
        )
    chosen = min(points, key=lambda point: max(_steps(scales, point[:2])))._replace(
        lm_weight=scales[0], insertion_penalty=scales[1]
    )
    floor = {"prior_floor": options.prior_floor}
    write_json(out / "tuned.json", {**chosen._asdict(), **floor, "grid": [point._asdict() for point in points]})
    return chosen


def _settled(scales: Scales, search: Callable[[Scales], list[Point]]) -> tuple[Scales, list[Point]]:
    """Repeat the search at the minimum it found, until that is one grid step away or errors stop falling.

    Returns the minimum and the points of the search that found it.
    """
    found: list[Point] = []
    lowest = np.inf
    for _ in range(SEARCHES):
        points = search(scales)
        if (least := min(point.wer for point in points)) > WORTH * lowest:
            break
        searched, scales, found, lowest = scales, _bottom(points), points, least
        log.info("searched with lm_weight %g, insertion_penalty %g: best near %g, %g", *searched, *scales)
        if max(_steps(scales, searched)) <= 1:
            break
    return scales, found


def _grid(scales: Scales) -> Iterator[Scales]:
    """Grid of scales around some, nearest first, so that they win ties."""
    weight, penalty = scales
    ratios = [penalty / weight + STEP * more for more in sorted(PENALTIES, key=abs)]
    for up in sorted(WEIGHTS, key=abs):
        there = weight * FACTOR**up
        for ratio in ratios:
            if ratio == ratios[0] or abs(ratio) <= MOST:
                yield round(there, 3), round(there * ratio, 3)


def _steps(scales: Scales, others: Scales) -> tuple[float, float]:
    """Grid steps between two pairs of scales, of weight and of penalty."""
    (weight, penalty), (other, others_penalty) = scales, others
    return abs(np.log(weight / other)) / np.log(FACTOR), abs(penalty / weight - others_penalty / other) / STEP


def _bottom(points: list[Point]) -> tuple[float, float]:
    """Scales at the minimum of a paraboloid fitted to the points near the best one, within their range.

    Its axes are log weight and penalty / weight. The best point if the paraboloid has no minimum, or points are few.
    """
    best = min(points, key=lambda point: point.wer)
    weight, penalty, wer = np.array([point for point in points if point.wer <= NEAR * best.wer]).T
    axes = np.log(weight), penalty / weight
    terms = np.stack([np.ones_like(wer), *axes, *(axis**2 for axis in axes)], axis=1)
    (_, *slopes), _, rank, _ = np.linalg.lstsq(terms, wer, rcond=None)
    if rank < terms.shape[1] or min(slopes[2:]) <= 1e-6:
        return best.lm_weight, best.insertion_penalty
    x, ratio = (
        np.clip(-slope / (2 * bend), axis.min(), axis.max())
        for axis, slope, bend in zip(axes, slopes[:2], slopes[2:], strict=True)
    )
    return round(float(np.exp(x)), 3), round(float(np.exp(x) * ratio), 3)


def _search(scales: Scales, archive: FrameArchive, references: dict[str, list[str]], workers: Workers) -> list[Point]:
    """Search the whole set with some scales: the grid around them with error rates."""
    work = [(archive.folder, utterance, references[utterance], scales) for utterance in archive]
    errors = np.sum(list(workers.map(_errors, work, "tune")), axis=0)
    words = max(1, sum(map(len, references.values())))
    return [Point(*there, 100 * int(count) / words) for there, count in zip(_grid(scales), errors, strict=True)]


def _errors(state: Recogniser, work: tuple[Path, str, list[str], Scales]) -> np.ndarray:
    """Word errors (G,) of one utterance at each point of the grid around the scales of its search."""
    features, utterance, reference, scales = work
    lattice = recognise(state, features, utterance, *scales).hypothesis.lattice
    assert lattice is not None  # there is a lattice beam
    found: dict[tuple[str, ...], int] = {}
    errors = []
    for there in _grid(scales):
        hypothesis = tuple(word.word for word in join(lattice.best(*there)[1]))
        if hypothesis not in found:
            found[hypothesis] = sum(count_errors(reference, hypothesis))
        errors.append(found[hypothesis])
    return np.array(errors)
