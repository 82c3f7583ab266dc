"""The paper's frame classifier: a window of frames through fully connected ReLU layers.

Hinton, Vinyals and Dean (2015), section 4: 26 frames of 40 log-mel coefficients predict the
senone of the 21st frame (20 to the left, 5 to the right). The first layer is a convolution over
the window, the others have width 1, so that one module serves single frames in training, chunks,
and whole utterances in decoding.

A DNN can be several: the first units of each hidden layer are a smaller DNN, which learns along
with the whole one (Yu et al. 2019, "Slimmable neural networks").
"""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from asrdistill.models.network import Network, Part, windows
from asrdistill.models.options import DnnOptions


class Dnn(Network):
    """Features (B, left + T + right, F), unnormalised, -> logits (B, T, S)."""

    def __init__(self, options: DnnOptions, features: int, senones: int):
        super().__init__(options, features)
        sizes = [self.window * features] + [options.width] * options.layers
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.output = nn.Linear(sizes[-1], senones)
        for layer in self.hidden:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")  # type: ignore[arg-type]
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.output.weight)  # all senones equally likely at the start
        nn.init.zeros_(self.output.bias)

    def forward(self, features: Tensor, part: Part = None, units: int | None = None) -> Tensor:
        """`units`: with the first so many of each hidden layer alone."""
        hidden = windows(self.normalised(features), self.window)
        for layer in self.hidden:
            hidden = layer(hidden) if units is None else _first(units, layer, hidden)
            hidden = self.drop(functional.relu(hidden), part)
        return self.output(hidden) if units is None else _first(len(self.output.bias), self.output, hidden)


def _first(units: int, layer: nn.Module, inputs: Tensor) -> Tensor:
    """The first units of a linear layer, which see as many of its inputs as there are."""
    return functional.linear(inputs, layer.weight[:units, : inputs.shape[-1]], layer.bias[:units])  # type: ignore[index]


def units_of(width: int, share: float) -> int:
    return max(1, round(share * width))


class Widths(nn.Module):
    """A DNN at several shares of its width at once: features -> logits (W, B, T, S)."""

    def __init__(self, model: Dnn, shares: Sequence[float]):
        super().__init__()
        self.model, self.units = model, [units_of(model.hidden[0].out_features, share) for share in shares]  # type: ignore[arg-type]

    def forward(self, features: Tensor, part: Part = None) -> Tensor:
        return torch.stack([self.model(features, part, units) for units in self.units])
