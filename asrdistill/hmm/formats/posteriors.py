"""Import of posteriors or log-likelihoods, for decoding and alignment."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.special import logsumexp

from asrdistill.data.archive import FrameArchive, ShardWriter, finish
from asrdistill.data.matrices import check_scores, read_matrices
from asrdistill.errors import UserError
from asrdistill.hmm.formats.options import PosteriorOptions
from asrdistill.hmm.senones import Senones, log_priors
from asrdistill.reader import read_lines

PRIORS = "log_priors.npy"  # priors that the posteriors were divided by
TOLERANCE = 0.05  # of a frame's sum of posteriors, for half precision


def import_posteriors(
    source: Path, senones: Senones, priors: Path | None, options: PosteriorOptions, out: Path
) -> None:
    """Write into the existing folder `out` an archive of kind "loglikes" that also serves as a model.

    source  matrices (T, S) of ``options.form``, see :func:`asrdistill.data.matrices.read_matrices`
    priors  alignment with the counts of the priors, or a file like `source` with their mean

    The priors are stored too, so that a teacher has the posteriors again. Raises UserError naming the utterance for
    other shapes, no frames, NaN, and posteriors that do not sum to 1.
    """
    taken_out = np.zeros(senones.count, np.float32)
    if priors:
        taken_out = np.maximum(_log_priors(priors, senones, options.form), np.float32(np.log(options.prior_floor)))
    parts = {"frames": ("float32", (senones.count,))}
    writer = ShardWriter(out, 0, parts)
    for utterance, scores in _scores(source, senones, options.form):
        writer.write(utterance, frames=scores - taken_out)
    finish(out, "loglikes", parts, [writer.close()], senones=senones.hash, frame_shift=options.frame_shift)
    senones.write(out)
    if options.form != "loglikes":
        np.save(out / PRIORS, taken_out)


def read_units(path: Path, blank: str) -> Senones:
    """Inventory of a CTC model from a file of its units in the order of its outputs, optionally with numbers."""
    units = []
    for number, line in enumerate(read_lines(path)):
        unit, *index = line.split() or [""]
        if not unit or index not in ([], [str(number)]):
            raise UserError(f"{path}, line {number + 1}: '{line}' should be a unit, or a unit and {number}")
        units.append(unit)
    try:
        return Senones.of_ctc(units, blank)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _scores(source: Path, senones: Senones, form: str) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (utterance, log posteriors or log-likelihoods (T, S)), checked."""
    for utterance, matrix in read_matrices(source):
        scores = matrix.astype(np.float32)
        try:
            if form == "posteriors":
                with np.errstate(divide="ignore", invalid="ignore"):
                    scores = np.log(scores)
            check_scores(scores, senones.count)
            if len(scores) == 0:
                raise UserError("there are no frames; leave it out")
            if form != "loglikes":
                _check_posteriors(scores)
        except UserError as error:
            raise UserError(f"{source}: utterance {utterance}: {error}") from None
        yield utterance, scores


def _check_posteriors(log_posteriors: np.ndarray) -> None:
    total = np.exp(logsumexp(log_posteriors.astype(np.float64), axis=1))
    if (bad := np.flatnonzero(abs(total - 1) > TOLERANCE)).size:
        raise UserError(f"the posteriors of frame {bad[0]} sum to {total[bad[0]]:.3g} instead of 1; set --form")


def _log_priors(priors: Path, senones: Senones, form: str) -> np.ndarray:
    """(S,) log of the senones' frequency in an alignment, or of their mean posterior."""
    if priors.is_dir():
        alignment = FrameArchive(priors, "alignment")
        if alignment.meta["senones"] != senones.hash:
            raise UserError(f"{priors} is an alignment of other senones than the posteriors; give its own")
        return log_priors(alignment, senones.count)
    total, frames = np.zeros(senones.count), 0
    for _, scores in _scores(priors, senones, form):
        total += np.exp(scores).sum(axis=0, dtype=np.float64)
        frames += len(scores)
    with np.errstate(divide="ignore"):
        return np.log(total / frames).astype(np.float32)
