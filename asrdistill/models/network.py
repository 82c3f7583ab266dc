"""What all networks share: features (B, left + T + right, F), unnormalised, -> logits (B, ceil(T / step), S)."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from asrdistill.models.layout import pad
from asrdistill.models.options import NetworkConfig

Context = tuple[int, int]  # frames before and after a frame that its output depends on
BatchSlice = tuple[int, int] | None  # (first, B): rows first, first + 1, … of a batch of B, of one of several processes


class Network(nn.Module):
    """Base class: normalises features. `context` is how many frames before and after a frame its output depends on."""

    exports: tuple[str, ...] = ("safetensors", "onnx", "torchscript")  # formats of asrdistill export
    is_recurrent = False  # has a state that passes from chunk to chunk

    mean: Tensor
    std: Tensor
    output: nn.Linear

    def __init__(self, config: NetworkConfig, features: int, senones: int):
        super().__init__()
        self.context = (config.left, config.right)
        self.window = config.left + 1 + config.right
        self.dropout = config.dropout
        self.stride = self.subsampling = 1  # logits are computed for every N-th frame: in training, and outside of it
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("std", torch.ones(features))

    def padded(self, features: np.ndarray) -> Tensor:
        """An utterance (T, F) as forward takes it, its edge frames repeated: (1, left + T + right, F)."""
        return torch.from_numpy(pad(features, self.context))[None]

    @property
    def step(self) -> int:
        """Frames from one output to the next."""
        return self.stride if self.training else self.subsampling

    def normalised(self, features: Tensor) -> Tensor:
        return (features - self.mean) / self.std

    @classmethod
    def summary(cls, config: NetworkConfig) -> str:
        """The layers in words, for the model card."""
        raise NotImplementedError

    def forward_chunk(self, features: Tensor, memory: Any = None) -> tuple[Tensor, Any]:
        """Logits of T frames of a stream, from (B, left + T + right, F), and the state for the next chunk.

        T is a multiple of `step`, except at the end.
        `memory` is the state that the previous chunk returned; its last left + right frames are the first of these.
        """
        return self(features), None

    def after_update(self, update: int) -> None:
        """Called after each update of the weights, counted from 1: what keeps weights within their constraints."""

    def drop(self, hidden: Tensor, rows: BatchSlice) -> Tensor:
        """Dropout; the mask of some rows of a batch does not depend on how processes divide it."""
        if not self.training or self.dropout == 0:
            return hidden
        first, size = rows or (0, len(hidden))
        kept = bernoulli((size, *hidden.shape[1:]), 1 - self.dropout, hidden.device)
        return hidden * kept[first : first + len(hidden)].to(hidden.dtype).div_(1 - self.dropout)


def bernoulli(shape: Sequence[int], probability: float, device: torch.device) -> Tensor:
    """Booleans, each true with this probability to within 2^-16; 16 random bits each, in a third of rand's time."""
    count = math.prod(shape)
    bits = torch.empty(-(-count // 4), dtype=torch.int64, device=device).random_(-(2**63), None)
    below = min(round(probability * 2**16), 2**16 - 1) - 2**15
    return (bits.view(torch.int16)[:count] < below).view(shape)


def windows(frames: Tensor, size: int, step: int = 1) -> Tensor:
    """Runs of `size` frames side by side, one each `step`: (B, T + size - 1, F) -> (B, ceil(T / step), size · F)."""
    return frames.unfold(1, size, step).transpose(2, 3).flatten(2)


def cropped(windows: Tensor, has: Context, wanted: Context) -> Tensor:
    """Windows (b, W, F) with a smaller context."""
    return windows[:, has[0] - wanted[0] : windows.shape[1] - (has[1] - wanted[1])]
