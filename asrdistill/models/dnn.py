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

    def forward(self, features: Tensor, part: tuple[int, int] | None = None) -> Tensor:
        """`part` = (first, B): `features` are rows first, …, first + b - 1 of a batch of B that processes share."""
        hidden = (features - self.mean) / self.std
        hidden = hidden.unfold(1, self.window, 1).transpose(2, 3).flatten(2)  # (B, T, window * F)
        for layer in self.hidden:
            hidden = functional.relu(layer(hidden))
            hidden = self._drop(hidden, part)
        return self.output(hidden)

    def _drop(self, hidden: Tensor, part: tuple[int, int] | None) -> Tensor:
        """Dropout; of a part it is what the whole batch would have had, so that it does not depend on the division."""
        if part is None or part[1] == len(hidden) or not self.training or self.dropout == 0:
            return functional.dropout(hidden, self.dropout, self.training)
        first, size = part
        whole = functional.dropout(hidden.new_ones(size, *hidden.shape[1:]), self.dropout)
        return hidden * whole[first : first + len(hidden)]


def pad(features: np.ndarray, context: tuple[int, int]) -> np.ndarray:
    """(T, F) -> (left + T + right, F): the first and last frame repeated."""
    return np.pad(np.asarray(features, dtype=np.float32), (context, (0, 0)), mode="edge")
