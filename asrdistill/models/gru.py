"""A small recurrent network: layers of gated units that remember what they have heard (Cho et al. 2014).

A step takes one frame of features, `right` frames ahead of the one that it speaks of; with right = 0 the network is
causal. How far back it remembers has no limit: an utterance is heard from its beginning on, and a stream carries the
memory from piece to piece. In training a chunk is heard from `left` frames before it on, which are not answered for.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from asrdistill.models.network import Network, Part
from asrdistill.models.options import DnnOptions

Memory = list[Tensor]  # of each layer (1, B, W)


class Gru(Network):
    """Features (B, left + T + right, F), unnormalised, -> logits (B, T, S)."""

    def __init__(self, options: DnnOptions, features: int, senones: int):
        super().__init__(options, features)
        sizes = [features] + [options.width] * (options.layers - 1)
        self.recurrent = nn.ModuleList(nn.GRU(size, options.width, batch_first=True) for size in sizes)
        self.output = nn.Linear(options.width, senones)
        nn.init.zeros_(self.output.weight)  # all senones equally likely at the start
        nn.init.zeros_(self.output.bias)

    def forward(self, features: Tensor, part: Part = None) -> Tensor:
        return self._hear(features, [None] * len(self.recurrent), part)[0][:, self.window - 1 :]

    def go_on(self, features: Tensor, memory: Memory | None = None) -> tuple[Tensor, Memory]:
        if memory is None:
            logits, heard = self._hear(features, [None] * len(self.recurrent), None)
            return logits[:, self.window - 1 :], heard
        return self._hear(features[:, self.window - 1 :], memory, None)

    def _hear(self, features: Tensor, memory: Sequence[Tensor | None], part: Part) -> tuple[Tensor, Memory]:
        """Logits (B, N, S) after each of N frames, and what is remembered at their end."""
        hidden, heard = self.normalised(features), []
        for layer, before in zip(self.recurrent, memory, strict=True):
            hidden, after = layer(hidden, before)
            hidden = self.drop(hidden, part)
            heard.append(after)
        return self.output(hidden), heard
