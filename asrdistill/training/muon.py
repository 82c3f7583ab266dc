"""Muon: AdamW, but the steps of hidden weight matrices are their momentum made orthogonal.

Jordan et al. (2024), "Muon: an optimizer for hidden layers in neural networks"; steps are scaled to the size of AdamW's
(Liu et al. 2025, "Muon is scalable for LLM training"), so that one learning rate serves all weights. PyTorch's own
multiplies in bfloat16 alone, 50 times slower than in float32 on processors that lack it, and takes no other weights.
"""

import math
from typing import Any

import torch
from torch import Tensor

from asrdistill.models.network import Network

MOMENTUM = 0.95
SIZE = 0.2  # root mean square of AdamW's steps over the learning rate
# Of singular values in (0, 1] a x + b x^3 + c x^5, applied five times, makes values between 0.7 and 1.2.
A, B, C, TIMES = 3.4445, -4.775, 2.0315, 5


class Muon(torch.optim.AdamW):
    """Muon for all weight matrices of `model` but its output layer's, AdamW for the other weights.

    precision  dtype of the matrix products
    """

    def __init__(self, model: Network, rate: float, weight_decay: float, precision: torch.dtype):
        matrices = [each for each in model.parameters() if each.dim() == 2 and each is not model.output.weight]
        chosen = set(map(id, matrices))
        others = [each for each in model.parameters() if id(each) not in chosen]
        super().__init__([{"params": others}, {"params": matrices}], rate, weight_decay=weight_decay, fused=True)
        self.precision = precision

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update of all weights that have a gradient; the gradients of matrices are gone after it."""
        group = self.param_groups[1]
        for matrix in group["params"]:
            if matrix.grad is None:
                continue
            state = self.state[matrix]
            if not state:  # AdamW asks for a step when it loads a state
                state.update(step=torch.zeros(()), momentum=torch.zeros_like(matrix))
            momentum = state["momentum"].lerp_(matrix.grad, 1 - MOMENTUM)
            step = orthogonal(matrix.grad.lerp(momentum, MOMENTUM).to(self.precision))
            matrix.mul_(1 - group["lr"] * group["weight_decay"])
            matrix.add_(step, alpha=-group["lr"] * SIZE * math.sqrt(max(matrix.shape)))
            matrix.grad = None  # AdamW's step passes it by
        super().step(closure)


def orthogonal(matrix: Tensor) -> Tensor:
    """(M, N) -> (M, N) with the same singular vectors and singular values of about 1, by Newton's and Schulz's way."""
    is_tall = len(matrix) > matrix.shape[1]
    x = (matrix.T if is_tall else matrix) / matrix.norm().clamp(min=1e-7)
    for _ in range(TIMES):
        square = x @ x.T
        x = torch.addmm(x, torch.addmm(square, square, square, beta=B, alpha=C), x, beta=A)
    return x.T if is_tall else x
