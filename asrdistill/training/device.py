"""Choosing the device and the precision by what is there, not by what is written on the box."""

import time

import torch

from asrdistill.errors import UserError


def choose_device(wanted: str) -> torch.device:
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UserError("device 'cuda' was asked for, but torch finds no GPU; use 'auto' or 'cpu'")
    return torch.device("cuda" if wanted == "cuda" or (wanted == "auto" and torch.cuda.is_available()) else "cpu")


def choose_precision(wanted: str, device: torch.device) -> torch.dtype:
    """float32, or bfloat16 where this processor multiplies it at least 1.3 times as fast.

    Measured, since processors without bfloat16 arithmetic emulate it some twenty times slower.
    Weights, optimiser and losses stay float32 either way.
    """
    if wanted != "auto":
        return getattr(torch, wanted)
    fast = _seconds(torch.bfloat16, device) * 1.3 < _seconds(torch.float32, device)
    return torch.bfloat16 if fast else torch.float32


def _seconds(dtype: torch.dtype, device: torch.device) -> float:
    """Best of three times of a product of the size that training does."""
    a, b = (torch.ones(512, 512, dtype=dtype, device=device) for _ in range(2))
    times = []
    for _ in range(4):  # the first one pays for set-up
        begin = time.perf_counter()
        (a @ b).sum().item()
        times.append(time.perf_counter() - begin)
    return min(times[1:])
