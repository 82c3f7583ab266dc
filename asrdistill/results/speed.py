"""Speed of acoustic models on one core."""

import time
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

_FRAMES, _TRIALS = 1000, 20  # utterances of ten seconds


def frames_per_second(model: Any) -> float:
    """Frames that a loaded model classifies in a second of one core, best of 20; load an ONNX model in one thread."""
    features = np.random.default_rng(0).normal(size=(_FRAMES, model.dimension)).astype(np.float32)
    best = float("inf")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        for _ in range(_TRIALS):
            start = time.process_time()
            model.log_posteriors(features)
            best = min(best, time.process_time() - start)
    torch.set_num_threads(threads)
    return _FRAMES / best
