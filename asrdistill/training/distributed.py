"""Data-parallel training by torchrun: each process takes a slice of every batch; rank 0 writes and reports.

    torchrun --standalone --nproc-per-node 8 -m asrdistill nnet train ...

The result is that of a single process up to the order of float32 sums.
"""

import atexit
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from asrdistill import stage

T = TypeVar("T")


def rank() -> int:
    return distributed.get_rank() if distributed.is_initialized() else 0


def size() -> int:
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank_slice(count: int) -> slice:
    """This process's slice of `count` rows; sizes differ by one at most and may be 0."""
    return slice(count * rank() // size(), count * (rank() + 1) // size())


def agree(decide: Callable[[], T]) -> T:
    """The result of `decide`, called by rank 0, in all processes."""
    answer: list[Any] = [decide() if rank() == 0 else None]
    if size() > 1:
        distributed.broadcast_object_list(answer)
    return answer[0]


def total(values: Tensor) -> Tensor:
    """Sum of the processes' tensors."""
    if size() > 1:
        distributed.all_reduce(values)
    return values


def parallel(model: nn.Module) -> nn.Module:
    """The model with gradients averaged over the processes."""
    if size() == 1:
        return model
    return DistributedDataParallel(model, broadcast_buffers=False, gradient_as_bucket_view=True)


def make(out: Path, work: Callable[[Path], None], verb: str, options: Any, inputs: Sequence[Path]) -> None:
    """:func:`asrdistill.stage.make` by all processes: the first makes the folder, the others work along inside."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        stage.make(out, work, verb, options, inputs)
        return
    if not distributed.is_initialized():  # one group for all seeds: a second one would meet the first one's keys
        distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
        atexit.register(distributed.destroy_process_group)
    if rank() == 0:
        _lead(out, work, verb, options, inputs)
    else:
        logging.getLogger("asrdistill").setLevel(logging.WARNING)
        if partial := agree(lambda: None):
            work(partial)


def _lead(out: Path, work: Callable[[Path], None], verb: str, options: Any, inputs: Sequence[Path]) -> None:
    """Make the folder; broadcasts where to work, or None if it is up to date."""
    sent: list[Path] = []

    def work_together(partial: Path) -> None:
        sent.append(agree(lambda: partial))
        work(partial)

    try:
        stage.make(out, work_together, verb, options, inputs)
    finally:
        if not sent:
            agree(lambda: None)
