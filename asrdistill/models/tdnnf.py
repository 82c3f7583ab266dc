"""Factored time-delay network (TDNN-F): each block is a narrow linear map over two frames, then a wide one over two.

Povey et al. (2018), "Semi-orthogonal low-rank matrix factorization for deep neural networks". Unlike there, a block's
ReLU comes first and its wide map starts at zero, so that no batch statistics are needed (Zhang et al. 2019, Fixup).
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from asrdistill.models.layout import NARROW
from asrdistill.models.network import BatchSlice, windows
from asrdistill.models.options import NetworkConfig
from asrdistill.models.tdnn import TimeBlock, TimeDelay

EVERY = 4  # updates from one step towards semi-orthogonal maps to the next


class FactoredBlock(TimeBlock):
    """A narrow map over two frames, then a wide one over two of its outputs."""

    def __init__(self, channels: int, dilation: int, centre: int):
        super().__init__(dilation, centre, 2 * dilation)
        size = max(1, channels // NARROW)
        self.narrow = nn.Linear(channels, 2 * size, bias=False)  # of a frame; of the one `dilation` later
        self.wide = nn.Linear(2 * size, channels)
        self.factor(nn.init.orthogonal_(torch.empty(size, 2 * channels)))
        nn.init.zeros_(self.wide.weight)
        nn.init.zeros_(self.wide.bias)

    def forward(self, x: Tensor, rate: int = 1, step: int = 1) -> Tensor:
        """What is added; x holds every `rate`-th frame, and every `step`-th output is computed."""
        delay = self.dilation // rate
        this, later = self.narrow(functional.relu(x)).chunk(2, -1)
        z = this[:, :-delay] + later[:, delay:]
        return self.wide(torch.cat([z[:, :-delay:step], z[:, delay::step]], -1))

    def factor(self, new: Tensor | None = None) -> Tensor:
        """The narrow map over both frames as one matrix (size, 2 C); with `new`, sets it."""
        if new is not None:
            with torch.no_grad():
                self.narrow.weight.copy_(torch.cat(new.chunk(2, 1)))
        return torch.cat(self.narrow.weight.chunk(2), 1)


class Tdnnf(TimeDelay):
    """Features (B, left + T + right, F), unnormalised, -> logits (B, T, S)."""

    kind = "factored time-delay network"
    blocks: Sequence[FactoredBlock]

    def __init__(self, config: NetworkConfig, features: int, senones: int):
        size = max(1, 2 * config.width // NARROW)
        super().__init__(config, features, senones, partial(FactoredBlock, config.width), size)
        self.squeeze = nn.Linear(config.width, size, bias=False)
        nn.init.orthogonal_(self.squeeze.weight, gain=2)  # narrow as it is, the output layer learns as fast as others

    def forward(self, features: Tensor, rows: BatchSlice = None) -> Tensor:
        first, rates = self.rates()
        x = self.first(windows(self.normalised(features), self.span, first))
        for block, (rate, step) in zip(self.blocks, rates, strict=True):
            x = block.added(x, rate, step) + self.drop(block(x, rate, step), rows)
        return self.output(self.squeeze(functional.relu(x)))

    def drop(self, hidden: Tensor, rows: BatchSlice) -> Tensor:
        """Factors between 1 - 2 p and 1 + 2 p, the same for all frames of a chunk, as in Kaldi's TDNN-F."""
        if not self.training or self.dropout == 0:
            return hidden
        first, size = rows or (0, len(hidden))
        factors = torch.rand(size, 1, hidden.shape[2], device=hidden.device)[first : first + len(hidden)]
        return hidden * factors.mul_(4 * self.dropout).add_(1 - 2 * self.dropout).to(hidden.dtype)

    @torch.no_grad()
    def after_update(self, update: int) -> None:
        """A step of each narrow map M towards M Mᵀ = s² I, with the s that is nearest; every few updates."""
        if update % EVERY:
            return
        for block in self.blocks:
            factor = block.factor()
            square = factor @ factor.T
            scale = square.square().sum() / square.trace()
            error = square / scale - torch.eye(len(square), device=square.device)
            block.factor(factor - error @ factor / 2)
