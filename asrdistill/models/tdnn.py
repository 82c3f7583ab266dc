"""Time-delay network with residual blocks of depthwise convolutions; see docs/internals.md.

Waibel et al. (1989), Peddinti, Povey and Khudanpur (2015) for dilation, Howard et al. (2017) for depthwise
convolutions, He et al. (2016) for residual sums.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from asrdistill.models.layout import EXPANSION, lay_out, rates
from asrdistill.models.network import BatchSlice, Network, windows
from asrdistill.models.options import NetworkConfig


class TimeBlock(nn.Module):
    """Base class: (B, T + reach, C) -> (B, T, C); the sum adds the frames from `centre` on."""

    def __init__(self, dilation: int, centre: int, reach: int):
        super().__init__()
        self.dilation, self.centre, self.reach = dilation, centre, reach

    def added(self, x: Tensor, rate: int = 1, step: int = 1) -> Tensor:
        return self.frames(x, self.centre, rate, step)

    def frames(self, x: Tensor, begin: int, rate: int, step: int) -> Tensor:
        """Inputs from frame `begin` on, for every `step`-th output; x holds every `rate`-th frame."""
        begin //= rate
        return x[:, begin : begin + x.shape[1] - self.reach // rate : step]


class Block(TimeBlock):
    """Depthwise convolution over `taps` frames, then two layers."""

    def __init__(self, channels: int, taps: int, dilation: int, centre: int):
        super().__init__(dilation, centre, (taps - 1) * dilation)
        self.taps = taps
        self.delay = nn.Parameter(torch.empty(taps, channels))
        self.expand = nn.Linear(channels, EXPANSION * channels)
        self.project = nn.Linear(EXPANSION * channels, channels)
        nn.init.normal_(self.delay, std=1 / math.sqrt(taps))
        nn.init.kaiming_normal_(self.expand.weight, nonlinearity="relu")
        nn.init.zeros_(self.expand.bias)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def delayed(self, x: Tensor, rate: int = 1, step: int = 1) -> Tensor:
        taps = (self.frames(x, k * self.dilation, rate, step) * self.delay[k] for k in range(self.taps))
        return sum(taps)  # type: ignore[return-value]


class TimeDelay(Network):
    """Base class, of this kind: a first layer over `span` frames, blocks, an output layer."""

    kind: str

    exports = (*Network.exports, "int8", "onnx-int8", "kaldi")
    blocks: Sequence[Any]

    def __init__(
        self,
        config: NetworkConfig,
        features: int,
        senones: int,
        block: Callable[[int, int], TimeBlock],
        inputs: int,
    ):
        """block  (dilation, centre) -> a block of that reach; inputs: of the output layer"""
        super().__init__(config, features, senones)
        self.span, places = lay_out(config)
        self.first = nn.Linear(self.span * features, config.width)
        self.blocks = nn.ModuleList(block(place.dilation, place.centre) for place in places)  # type: ignore[assignment]
        self.output = nn.Linear(inputs, senones)
        nn.init.kaiming_normal_(self.first.weight, nonlinearity="relu")
        nn.init.zeros_(self.first.bias)
        nn.init.zeros_(self.output.weight)  # all senones equally likely at the start
        nn.init.zeros_(self.output.bias)

    @classmethod
    def summary(cls, config: NetworkConfig) -> str:
        return f"a {cls.kind} of {config.width} channels with dilations {', '.join(map(str, config.dilations))}"

    def rates(self) -> tuple[int, list[tuple[int, int]]]:
        """See :func:`asrdistill.models.layout.rates`."""
        return rates(self.step, self.blocks)


class Tdnn(TimeDelay):
    """Features (B, left + T + right, F), unnormalised, -> logits (B, T, S)."""

    kind = "time-delay network"
    blocks: Sequence[Block]

    def __init__(self, config: NetworkConfig, features: int, senones: int):
        super().__init__(config, features, senones, partial(Block, config.width, config.taps), config.width)

    def forward(self, features: Tensor, rows: BatchSlice = None) -> Tensor:
        first, rates = self.rates()
        x = functional.relu(self.first(windows(self.normalised(features), self.span, first)))
        for block, (rate, step) in zip(self.blocks, rates, strict=True):
            hidden = functional.relu(block.expand(block.delayed(x, rate, step)))
            x = block.added(x, rate, step) + block.project(self.drop(hidden, rows))
        return self.output(functional.relu(x))
