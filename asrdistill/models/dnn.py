"""The paper's frame classifier: a window of frames through fully connected ReLU layers.

Hinton, Vinyals and Dean (2015), section 4. The first units of each hidden layer can be trained along as a smaller DNN
(Yu et al. 2019, "Slimmable neural networks").
"""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from asrdistill.models.network import BatchSlice, Network, windows
from asrdistill.models.options import NetworkConfig


class Dnn(Network):
    """Features (B, left + T + right, F), unnormalised, -> logits (B, T, S)."""

    exports = (*Network.exports, "int8", "onnx-int8", "kaldi")

    @classmethod
    def summary(cls, config: NetworkConfig) -> str:
        return f"{config.layers} hidden layers of {config.width} ReLUs"

    def __init__(self, config: NetworkConfig, features: int, senones: int):
        super().__init__(config, features, senones)
        sizes = [self.window * features] + [config.width] * config.layers
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.output = nn.Linear(sizes[-1], senones)
        for layer in self.hidden:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")  # type: ignore[arg-type]
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.output.weight)  # all senones equally likely at the start
        nn.init.zeros_(self.output.bias)

    def forward(self, features: Tensor, rows: BatchSlice = None, units: int | None = None) -> Tensor:
        """Logits; with `units`, of the first N units of each hidden layer."""
        hidden = windows(self.normalised(features), self.window, self.step)
        for layer in self.hidden:
            hidden = layer(hidden) if units is None else _first(units, layer, hidden)
            hidden = self.drop(functional.relu(hidden), rows)
        return self.output(hidden) if units is None else _first(len(self.output.bias), self.output, hidden)


def _first(units: int, layer: nn.Module, inputs: Tensor) -> Tensor:
    """The first units of a linear layer, applied to the first inputs."""
    return functional.linear(inputs, layer.weight[:units, : inputs.shape[-1]], layer.bias[:units])  # type: ignore[index]


def units_of(width: int, share: float) -> int:
    return max(1, round(share * width))


class Widths(nn.Module):
    """A DNN at several shares of its width at once: features -> logits (W, B, T, S)."""

    def __init__(self, model: Dnn, shares: Sequence[float]):
        super().__init__()
        self.model, self.units = model, [units_of(model.hidden[0].out_features, share) for share in shares]  # type: ignore[arg-type]

    def forward(self, features: Tensor, rows: BatchSlice = None) -> Tensor:
        return torch.stack([self.model(features, rows, units) for units in self.units])
