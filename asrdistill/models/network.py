"""What all networks share: features (B, left + T + right, F), unnormalised, -> logits (B, T, S)."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from asrdistill.models.options import DnnOptions

Part = tuple[int, int] | None  # (first, B): rows first, first + 1, … of a batch of B that processes share


class Network(nn.Module):
    """Normalises features, and knows how many frames before and after a frame it looks at: `context`."""

    mean: Tensor
    std: Tensor
    output: nn.Linear

    def __init__(self, options: DnnOptions, features: int):
        super().__init__()
        self.context = (options.left, options.right)
        self.window = options.left + 1 + options.right
        self.dropout = options.dropout
        self.stride = 1  # in training: frames between one that logits are computed for and the next
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("std", torch.ones(features))

    def normalised(self, features: Tensor) -> Tensor:
        return (features - self.mean) / self.std

    def go_on(self, features: Tensor, memory: Any = None) -> tuple[Tensor, Any]:
        """Logits of the T frames of a piece of an utterance, (B, left + T + right, F), and what its next piece needs.

        `memory` is what the piece before gave: the first left + right frames are its last.
        """
        return self(features), None

    def drop(self, hidden: Tensor, part: Part) -> Tensor:
        """Dropout; of a part it is what the whole batch would have had, so that it does not depend on the division."""
        if not self.training or self.dropout == 0:
            return hidden
        first, size = part or (0, len(hidden))
        kept = drawn((size, *hidden.shape[1:]), 1 - self.dropout, hidden.device)
        return hidden * kept[first : first + len(hidden)].to(hidden.dtype).div_(1 - self.dropout)


def drawn(shape: Sequence[int], probability: float, device: torch.device) -> Tensor:
    """Booleans, each true with this probability to 2^-16: 16 random bits decide, a third of the time of a float's."""
    count = math.prod(shape)
    bits = torch.empty(-(-count // 4), dtype=torch.int64, device=device).random_(-(2**63), None)
    below = min(round(probability * 2**16), 2**16 - 1) - 2**15
    return (bits.view(torch.int16)[:count] < below).view(shape)


def windows(frames: Tensor, size: int) -> Tensor:
    """Each run of `size` neighbouring frames side by side: (B, T + size - 1, F) -> (B, T, size · F)."""
    return frames.unfold(1, size, 1).transpose(2, 3).flatten(2)


def pad(features: np.ndarray, context: tuple[int, int]) -> np.ndarray:
    """(T, F) -> (left + T + right, F): the first and last frame repeated."""
    return np.pad(np.asarray(features, dtype=np.float32), (context, (0, 0)), mode="edge")
