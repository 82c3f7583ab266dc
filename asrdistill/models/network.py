"""What all networks share: features (B, left + T + right, F), unnormalised, -> logits (B, T, S)."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

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
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("std", torch.ones(features))

    def normalised(self, features: Tensor) -> Tensor:
        return (features - self.mean) / self.std

    def drop(self, hidden: Tensor, part: Part) -> Tensor:
        """Dropout; of a part it is what the whole batch would have had, so that it does not depend on the division."""
        if part is None or part[1] == len(hidden) or not self.training or self.dropout == 0:
            return functional.dropout(hidden, self.dropout, self.training)
        first, size = part
        whole = functional.dropout(hidden.new_ones(size, *hidden.shape[1:]), self.dropout)
        return hidden * whole[first : first + len(hidden)]


def windows(frames: Tensor, size: int) -> Tensor:
    """Each run of `size` neighbouring frames side by side: (B, T + size - 1, F) -> (B, T, size · F)."""
    return frames.unfold(1, size, 1).transpose(2, 3).flatten(2)


def pad(features: np.ndarray, context: tuple[int, int]) -> np.ndarray:
    """(T, F) -> (left + T + right, F): the first and last frame repeated."""
    return np.pad(np.asarray(features, dtype=np.float32), (context, (0, 0)), mode="edge")
