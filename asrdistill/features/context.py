"""Deltas and splicing; edge frames repeat beyond the ends."""

import functools

import numpy as np

_SLOPE = np.arange(-2, 3) / 10  # regression over two frames to each side: j / sum of j²


def add_deltas(features: np.ndarray, order: int = 2) -> np.ndarray:
    """Append differences up to `order`: (T, F) -> float32 (T, (order + 1) F), as Kaldi's add-deltas.

    The delta of order n is the regression filter, convolved n times with itself, over the features.
    """
    features = np.asarray(features, np.float32)
    windows = splice(features, 2 * order, 2 * order).reshape(len(features), 4 * order + 1, features.shape[1])
    return np.matmul(_filters(order), windows).reshape(len(features), (order + 1) * features.shape[1])


@functools.cache
def _filters(order: int) -> np.ndarray:
    """(order + 1, 4 order + 1) float32: filter of each order."""
    taps, filters = np.ones(1), []
    for _ in range(order + 1):
        filters.append(np.pad(taps, 2 * order - len(taps) // 2))
        taps = np.convolve(taps, _SLOPE)
    return np.array(filters, np.float32)


def splice(features: np.ndarray, left: int, right: int) -> np.ndarray:
    """Each frame with its `left` and `right` neighbours: (T, F) -> (T, (left + 1 + right) F), oldest first."""
    places = np.arange(len(features))[:, None] + np.arange(-left, right + 1)
    windows = features.take(places, axis=0, mode="clip")  # beyond the ends the edge frames
    return windows.reshape(len(features), (left + 1 + right) * features.shape[1])
