"""What a frame knows of its neighbours: deltas and splicing. Beyond the ends the edge frames repeat."""

import numpy as np

_SLOPE = np.arange(-2, 3) / 10  # regression over two frames to each side: j / sum of j²


def add_deltas(features: np.ndarray, order: int = 2) -> np.ndarray:
    """Append differences up to `order`: (T, F) -> float32 (T, (order + 1) F), as Kaldi's add-deltas.

    The delta of order n is one filter over the features, the regression filter convolved n times
    with itself, so edge frames repeat in the features and not in the lower deltas.
    """
    features = np.asarray(features, np.float32)
    frames, size = features.shape
    out = np.empty((frames, (order + 1) * size), np.float32)
    taps = np.ones(1)
    for n in range(order + 1):
        reach = len(taps) // 2
        padded = np.pad(features, ((reach, reach), (0, 0)), mode="edge")
        out[:, n * size : (n + 1) * size] = sum(
            np.float32(tap) * padded[k : k + frames] for k, tap in enumerate(taps) if tap
        )
        taps = np.convolve(taps, _SLOPE)
    return out


def splice(features: np.ndarray, left: int, right: int) -> np.ndarray:
    """Each frame with its `left` and `right` neighbours: (T, F) -> (T, (left + 1 + right) F), oldest first."""
    padded = np.pad(features, ((left, right), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, left + 1 + right, axis=0)  # (T, F, window)
    return windows.transpose(0, 2, 1).reshape(len(features), -1)
