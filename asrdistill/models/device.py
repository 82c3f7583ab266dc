"""Choice of device and precision, for training and for whatever runs a network."""

import multiprocessing
import os
import re

import torch
from torch import Tensor

from asrdistill.errors import UserError


def choose_device(wanted: str) -> torch.device:
    """The processor or a GPU.

    auto and cuda: torchrun's processes on a machine have a GPU each, and so have worker processes while there are as
    many. Raises UserError for a GPU that is not there.
    """
    there = torch.cuda.device_count() if wanted != "cpu" else 0
    if wanted == "cpu" or (wanted == "auto" and not there):
        return torch.device("cpu")
    if not (named := re.fullmatch(r"auto|cuda(?::(\d+))?", wanted)):
        raise UserError(f"no device '{wanted}'; say auto, cpu, cuda or cuda:N")
    if not there:
        raise UserError(f"torch finds no GPU for device '{wanted}'; use 'auto' or 'cpu'")
    if named[1]:
        number = int(named[1])
    elif (rank := os.environ.get("LOCAL_RANK")) is not None:
        number = int(rank)
    else:
        worker = (multiprocessing.current_process()._identity or (1,))[-1]  # type: ignore[attr-defined]
        number = (worker - 1) % there
    if number >= there:
        raise UserError(f"there is no GPU number {number} among {there}; start torchrun with --nproc-per-node {there}")
    torch.cuda.set_device(number)
    return torch.device("cuda", number)


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on the device; to a GPU it is copied asynchronously from pinned memory."""
    if device.type == "cpu":
        return tensor
    with torch.cuda.device(device):  # a thread does not have its process's current device
        return tensor.pin_memory().to(device, non_blocking=True)


def choose_precision(wanted: str, device: torch.device) -> torch.dtype:
    """float32, or bfloat16 if it is measured to be at least 1.3 times as fast; CPUs may emulate it slowly.

    Weights, optimiser and losses stay float32 either way.
    """
    if wanted != "auto":
        return getattr(torch, wanted)
    seconds = _seconds([torch.float32, torch.bfloat16], device)
    return torch.bfloat16 if seconds[1] * 1.3 < seconds[0] else torch.float32


def _seconds(dtypes: list[torch.dtype], device: torch.device, trials: int = 10) -> list[float]:
    """Shortest time of a product of training size in each type, on one thread; the types take turns."""
    from torch.utils.benchmark import Timer  # slow to import

    matrices = [torch.ones(512, 512, dtype=dtype, device=device) for dtype in dtypes]
    timers = [Timer("(a @ a).sum().item()", globals={"a": matrix}) for matrix in matrices]
    rounds = [[timer.timeit(1).mean for timer in timers] for _ in range(trials)]
    return [min(times) for times in zip(*rounds, strict=True)]
