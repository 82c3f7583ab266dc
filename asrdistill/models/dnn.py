"""The paper's frame classifier: a window of frames through fully connected ReLU layers.

Hinton, Vinyals and Dean (2015), section 4: 26 frames of 40 log-mel coefficients predict the
senone of the 21st frame (20 to the left, 5 to the right). The first layer is a convolution over
the window, the others have width 1, so that one module serves single frames in training, chunks,
and whole utterances in decoding.
"""

import itertools

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from asrdistill.models.options import DnnOptions


class Dnn(nn.Module):
    """Features (B, left + T + right, F), unnormalised, -> logits (B, T, S)."""

    mean: Tensor
    std: Tensor

    def __init__(self, options: DnnOptions, features: int, senones: int):
        super().__init__()
        self.context = (options.left, options.right)
        window = options.left + 1 + options.right
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("std", torch.ones(features))
        sizes = [window * features] + [options.width] * options.layers
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.output = nn.Linear(sizes[-1], senones)
        self.dropout = options.dropout
        self.window = window
        for layer in self.hidden:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")  # type: ignore[arg-type]
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.output.weight)  # all senones equally likely at the start
        nn.init.zeros_(self.output.bias)

    def forward(self, features: Tensor) -> Tensor:
        hidden = (features - self.mean) / self.std
        hidden = hidden.unfold(1, self.window, 1).transpose(2, 3).flatten(2)  # (B, T, window * F)
        for layer in self.hidden:
            hidden = functional.relu(layer(hidden))
            hidden = functional.dropout(hidden, self.dropout, self.training)
        return self.output(hidden)


def pad(features: np.ndarray, context: tuple[int, int]) -> np.ndarray:
    """(T, F) -> (left + T + right, F): the first and last frame repeated."""
    return np.pad(np.asarray(features, dtype=np.float32), (context, (0, 0)), mode="edge")
