"""Recurrent network of gated units (Cho et al. 2014), `right` frames delayed; with right = 0 it is causal.

An utterance is read from its beginning, and a stream passes the state from chunk to chunk. In training a chunk is
read from `left` frames before it, whose outputs are dropped.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from asrdistill.models.network import BatchSlice, Network
from asrdistill.models.options import NetworkConfig

Memory = list[Tensor]  # of each layer (1, B, W)


class Gru(Network):
    """Features (B, left + T + right, F), unnormalised, -> logits (B, T, S)."""

    is_recurrent = True

    @classmethod
    def summary(cls, config: NetworkConfig) -> str:
        return f"{config.layers} recurrent layers of {config.width} gated units"

    def __init__(self, config: NetworkConfig, features: int, senones: int):
        super().__init__(config, features, senones)
        sizes = [features] + [config.width] * (config.layers - 1)
        self.recurrent = nn.ModuleList(nn.GRU(size, config.width, batch_first=True) for size in sizes)
        self.output = nn.Linear(config.width, senones)
        nn.init.zeros_(self.output.weight)  # all senones equally likely at the start
        nn.init.zeros_(self.output.bias)

    def forward(self, features: Tensor, rows: BatchSlice = None) -> Tensor:
        return self._run(features, [None] * len(self.recurrent), rows, self.window - 1)[0]

    def forward_chunk(self, features: Tensor, memory: Memory | None = None) -> tuple[Tensor, Memory]:
        if memory is None:
            return self._run(features, [None] * len(self.recurrent), None, self.window - 1)
        return self._run(features[:, self.window - 1 :], memory, None)

    def _run(
        self, features: Tensor, memory: Sequence[Tensor | None], rows: BatchSlice, begin: int = 0
    ) -> tuple[Tensor, Memory]:
        """Logits (B, …, S) after every `step`-th frame from frame `begin` on, and the final state of each layer."""
        hidden, states = self.normalised(features), []
        for layer, before in zip(self.recurrent, memory, strict=True):
            hidden, after = layer(hidden, before)
            hidden = self.drop(hidden, rows)
            states.append(after)
        return self.output(hidden[:, begin :: self.step]), states
