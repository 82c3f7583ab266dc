"""A small time-delay network: few weights, much context, nothing computed twice.

    first     a convolution over the few frames that the blocks leave of the context, ReLU
    blocks    x + project(relu(expand(delay(x)))): `delay` weighs `taps` frames that are `dilation` apart, each
              channel by itself (a depthwise convolution); expand and project are width-1 layers
    output    of relu(x)

Waibel et al. (1989) for the idea, Peddinti, Povey and Khudanpur (2015) for dilation, Howard et al. (2017,
MobileNets) for depthwise convolutions, He et al. (2016) for the sum. There is no normalisation between the layers:
a block begins as the identity (Zhang et al. 2019, Fixup), and scores depend on no other frame than those in reach.

No layer pads. Each shortens what it is given by its reach, and which of the frames are said to be the left
context and which the look-ahead decides only which one a block's sum adds: `right` frames of look-ahead are spent
by the first layers, half of their reach each, until there are none left. With right = 0 the network is causal.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from asrdistill.errors import UserError
from asrdistill.models.network import Network, Part, windows
from asrdistill.models.options import DnnOptions

EXPANSION = 2  # hidden units of a block for each of its channels


class Block(nn.Module):
    """(B, T + reach, C) -> (B, T, C); the sum adds the frames from `centre` on."""

    def __init__(self, channels: int, taps: int, dilation: int, centre: int):
        super().__init__()
        self.taps, self.dilation, self.centre, self.reach = taps, dilation, centre, (taps - 1) * dilation
        self.delay = nn.Parameter(torch.empty(taps, channels))
        self.expand = nn.Linear(channels, EXPANSION * channels)
        self.project = nn.Linear(EXPANSION * channels, channels)
        nn.init.normal_(self.delay, std=1 / math.sqrt(taps))
        nn.init.kaiming_normal_(self.expand.weight, nonlinearity="relu")
        nn.init.zeros_(self.expand.bias)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def delayed(self, x: Tensor, rate: int = 1, step: int = 1) -> Tensor:
        taps = (self._frames(x, k * self.dilation, rate, step) * self.delay[k] for k in range(self.taps))
        return sum(taps)  # type: ignore[return-value]

    def added(self, x: Tensor, rate: int = 1, step: int = 1) -> Tensor:
        return self._frames(x, self.centre, rate, step)

    def _frames(self, x: Tensor, begin: int, rate: int, step: int) -> Tensor:
        """From frame `begin` on what one tap reads, for every `step`-th output; x holds every `rate`-th frame."""
        begin //= rate
        return x[:, begin : begin + x.shape[1] - self.reach // rate : step]


class Tdnn(Network):
    """Features (B, left + T + right, F), unnormalised, -> logits (B, T, S)."""

    blocks: Sequence[Block]

    def __init__(self, options: DnnOptions, features: int, senones: int):
        super().__init__(options, features)
        reaches = [(options.taps - 1) * dilation for dilation in options.dilations]
        if min([*options.dilations, options.taps]) < 1:
            raise UserError(f"taps and dilations must be at least 1, not {options.taps} and {options.dilations}")
        self.span = self.window - sum(reaches)  # frames that the first layer looks at
        if self.span < 1:
            raise UserError(
                f"blocks with {options.taps} taps and dilations {options.dilations} reach over {sum(reaches)} frames, "
                f"but left and right are {self.window - 1} together; raise left by {1 - self.span}"
            )
        self.first = nn.Linear(self.span * features, options.width)
        ahead = options.right - min((self.span - 1) // 2, options.right)
        blocks = []
        for dilation, reach in zip(options.dilations, reaches, strict=True):
            after = min((reach + 1) // 2, ahead)
            ahead -= after
            blocks.append(Block(options.width, options.taps, dilation, reach - after))
        self.blocks = nn.ModuleList(blocks)  # type: ignore[assignment]
        self.output = nn.Linear(options.width, senones)
        nn.init.kaiming_normal_(self.first.weight, nonlinearity="relu")
        nn.init.zeros_(self.first.bias)
        nn.init.zeros_(self.output.weight)  # all senones equally likely at the start
        nn.init.zeros_(self.output.bias)

    def forward(self, features: Tensor, part: Part = None) -> Tensor:
        x = functional.relu(self.first(windows(self.normalised(features), self.span)))
        for block, (rate, step) in zip(self.blocks, self._rates(self.stride if self.training else 1), strict=True):
            hidden = functional.relu(block.expand(block.delayed(x, rate, step)))
            x = block.added(x, rate, step) + block.project(self.drop(hidden, part))
        return self.output(functional.relu(x))

    def _rates(self, stride: int) -> list[tuple[int, int]]:
        """For each block how many frames its inputs are apart, and how many inputs its outputs.

        Outputs that are `stride` frames apart need no other inputs of a block whose dilation is a multiple of it.
        """
        rates = []
        for block in reversed(self.blocks):
            rate = math.gcd(stride, block.dilation, block.centre) if block is not self.blocks[0] else 1
            rates.append((rate, stride // rate))
            stride = rate
        return rates[::-1]
