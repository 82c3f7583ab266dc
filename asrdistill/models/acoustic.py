"""A trained network with its senones and priors."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from asrdistill.errors import UserError, log
from asrdistill.hmm.senones import Senones
from asrdistill.models.device import choose_device
from asrdistill.models.inference import PLAIN, Compute
from asrdistill.models.layout import pad
from asrdistill.models.network import Network

LONGEST = 30_000  # frames that a network takes at once: longer recordings go chunk by chunk


class AcousticModel:
    """A trained network with its senones and priors, ready to classify whole utterances."""

    def __init__(
        self,
        module: Network,
        senones: Senones,
        priors: np.ndarray,
        meta: dict[str, Any],
        compute: Compute = PLAIN,
    ):
        self.device, self._dtype = choose_device(compute.device), getattr(torch, compute.precision)
        self.module, self.senones, self.priors, self.meta = module.eval().to(self.device), senones, priors, meta
        module.subsampling = senones.subsampling

    @property
    def context(self) -> tuple[int, int]:
        return self.module.context

    @property
    def dimension(self) -> int:
        """F, numbers in a frame of features"""
        return len(self.module.mean)

    @property
    def batches(self) -> bool:
        """Whether several utterances at once are faster; processors are at their limit with one."""
        return self.device.type != "cpu"

    def logits(self, features: np.ndarray) -> Tensor:
        """(T, F) -> (T, S), or of every `subsampling`-th frame; edge frames are repeated to fill the context."""
        return self.logits_of([features])[0]

    @torch.inference_mode()
    def logits_of(self, batch: Sequence[np.ndarray]) -> list[Tensor]:
        """As :meth:`logits`, of several utterances at once; the shorter ones are filled up.

        Raises UserError where the device has too little memory even for half of them.
        """
        try:
            return self._run(batch)
        except torch.OutOfMemoryError:
            half = -(-len(batch) // 2)
            log.warning("%s is out of memory with %d utterances; trying half", self.device, len(batch))
        try:
            return self._run(batch[:half]) + (self._run(batch[half:]) if batch[half:] else [])
        except torch.OutOfMemoryError:
            raise UserError(f"{self.device} has too little memory for this network; use fewer --jobs") from None

    def _run(self, batch: Sequence[np.ndarray]) -> list[Tensor]:
        longest, (left, right) = max(map(len, batch)), self.context
        filled = np.stack([pad(one, (left, right + longest - len(one))) for one in batch])  # (B, left + T + right, F)
        parts, memory = [], None
        size = LONGEST - LONGEST % self.module.step
        for begin in range(0, longest, size):
            chunk = torch.from_numpy(filled[:, begin : begin + left + size + right])
            part, memory = self._chunk(chunk, memory)
            parts.append(part)
        logits = parts[0] if len(parts) == 1 else torch.cat(parts, 1)
        return [row[: -(-len(one) // self.module.step)] for row, one in zip(logits, batch, strict=True)]

    def _chunk(self, features: Tensor, memory: Any) -> tuple[Tensor, Any]:
        with torch.autocast(self.device.type, self._dtype, enabled=self._dtype != torch.float32):
            logits, memory = self.module.forward_chunk(features.to(self.device), memory)
        return logits.float(), memory

    def log_posteriors(self, features: np.ndarray) -> np.ndarray:
        """(T, F) float32 -> (T, S) float32 natural-log posteriors."""
        return self.log_posteriors_of([features])[0]

    def log_posteriors_of(self, batch: Sequence[np.ndarray]) -> list[np.ndarray]:
        """As :meth:`log_posteriors`, of several utterances at once."""
        return [logits.log_softmax(-1).cpu().numpy() for logits in self.logits_of(batch)]

    @torch.inference_mode()
    def forward_chunk(self, features: np.ndarray, memory: Any = None) -> tuple[np.ndarray, Any]:
        """A chunk with its context, (left + T + right, F), -> log posteriors (T, S), and the next chunk's state."""
        logits, memory = self._chunk(torch.from_numpy(features)[None], memory)
        return logits[0].log_softmax(-1).cpu().numpy(), memory
