"""Speed of acoustic models on one core."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

_FRAMES, _TRIALS = 1000, 20  # utterances of ten seconds


def frames_per_second(models: Sequence[Any], frames: int = _FRAMES, trials: int = _TRIALS) -> list[float]:
    """Frames of whole utterances that each loaded model classifies in a second of one core.

    The models take turns, and the shortest processor time of each counts. ONNX Runtime takes as many threads as torch
    had when the model was loaded: load it with one.
    """
    rng = np.random.default_rng(0)
    features = [rng.normal(size=(frames, model.dimension)).astype(np.float32) for model in models]
    best = [float("inf")] * len(models)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        for _ in range(trials):
            for number, model in enumerate(models):
                start = time.process_time()
                model.log_posteriors(features[number])
                best[number] = min(best[number], time.process_time() - start)
    torch.set_num_threads(threads)
    return [frames / seconds for seconds in best]
