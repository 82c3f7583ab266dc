"""A trained network with its senones and priors."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from asrdistill.hmm.senones import Senones
from asrdistill.models.network import Network


class AcousticModel:
    """A trained network with its senones and priors, ready to classify whole utterances."""

    def __init__(self, module: Network, senones: Senones, priors: np.ndarray, meta: dict[str, Any]):
        self.module, self.senones, self.priors, self.meta = module.eval(), senones, priors, meta
        module.subsampling = senones.subsampling

    @property
    def context(self) -> tuple[int, int]:
        return self.module.context

    @property
    def dimension(self) -> int:
        """F, numbers in a frame of features"""
        return len(self.module.mean)

    @torch.inference_mode()
    def logits(self, features: np.ndarray) -> Tensor:
        """(T, F) -> (T, S), or of every `subsampling`-th frame; edge frames are repeated to fill the context."""
        return self.module(self.module.padded(features))[0].float()

    def log_posteriors(self, features: np.ndarray) -> np.ndarray:
        """(T, F) float32 -> (T, S) float32 natural-log posteriors."""
        return self.logits(features).log_softmax(-1).numpy()

    @torch.inference_mode()
    def forward_chunk(self, features: np.ndarray, memory: Any = None) -> tuple[np.ndarray, Any]:
        """A chunk with its context, (left + T + right, F), -> log posteriors (T, S), and the next chunk's state."""
        logits, memory = self.module.forward_chunk(torch.from_numpy(features)[None], memory)
        return logits[0].float().log_softmax(-1).numpy(), memory
