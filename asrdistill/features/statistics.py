"""Means and standard deviations of features, in one streaming pass."""

from collections.abc import Iterable

import numpy as np

from asrdistill.data.archive import FrameArchive
from asrdistill.errors import UserError

PIXELS = "pixels"  # type of features that share one mean and deviation
SAMPLE_FRAMES = 10_000_000  # 28 hours

_SMALLEST_VARIANCE = 1e-10  # a constant dimension becomes 0


def moments(utterances: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation, float64 (F,) each, over all frames of the arrays (T, F)."""
    count, total, squares = 0, np.zeros(1), np.zeros(1)
    for frames in utterances:
        values = np.asarray(frames, np.float64)
        count += len(values)
        total = total + values.sum(axis=0)
        squares = squares + np.square(values).sum(axis=0)
    mean = total / count
    return mean, np.sqrt(np.maximum(squares / count - mean**2, _SMALLEST_VARIANCE))


def global_stats(archive: FrameArchive) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation, float64 (F,) each, over an archive; raises UserError if it is empty.

    Pixels share one mean and deviation. Of large archives every nth utterance is read, about SAMPLE_FRAMES frames.
    """
    if archive.total_rows == 0:
        raise UserError(f"{archive.folder} holds no frames; make it again")
    step = -(-archive.total_rows // SAMPLE_FRAMES)
    mean, std = moments(archive.read([utterance]) for utterance in archive.utterances[::step])
    if archive.meta.get("features", {}).get("type") == PIXELS:
        variance = (std**2 + mean**2).mean() - mean.mean() ** 2
        return np.full_like(mean, mean.mean()), np.full_like(std, np.sqrt(variance))
    return mean, std
