"""TorchScript for libtorch: features (B, left + T + right, F) float32, unnormalised, -> log posteriors (B, T, S)."""

import warnings
from pathlib import Path

import numpy as np
import torch

from asrdistill.models.network import Network


class _LogPosteriors(torch.nn.Module):
    def __init__(self, module: Network):
        super().__init__()
        self.module = module

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.module(features).log_softmax(-1)


def write_torchscript(module: Network, path: Path) -> None:
    example = torch.zeros(1, module.window + 1, len(module.mean))
    with warnings.catch_warnings():  # TorchScript is deprecated
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # sizes that a recurrent network checks are fixed
        torch.jit.trace(_LogPosteriors(module), example, check_trace=False).save(str(path))


class TorchScript:
    """A file that was just written, run as other programs run it."""

    def __init__(self, path: Path, original: Network):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            self.module = torch.jit.load(str(path))
        self.padded = original.padded

    @torch.inference_mode()
    def log_posteriors(self, features: np.ndarray) -> np.ndarray:
        """(T, F) float32 -> (T, S) float32"""
        return self.module(self.padded(features))[0].numpy()
