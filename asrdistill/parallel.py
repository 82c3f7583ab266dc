"""Work per utterance (or per shard) over processes: the one function that does it.

A cluster runs the same work by giving each machine its own list of items.
"""

import itertools
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

import threadpoolctl

from asrdistill.errors import UserError
from asrdistill.progress import Meter

T = TypeVar("T")
R = TypeVar("R")
S = TypeVar("S", bound=Sequence[Any])


def default_jobs() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(
    function: Callable[[T], R],
    items: Sequence[T],
    jobs: int,
    what: str,
    unit: str = "utterances",
    setup: Callable[..., None] | None = None,
    setup_args: tuple[Any, ...] = (),
    weight: Callable[[T], float] = lambda item: 1,
    pool: Executor | None = None,
) -> Iterator[R]:
    """Yield ``function(item)`` in the order of the items, computed by `jobs` processes.

    `function` and `setup` stand at module level. ``setup(*setup_args)`` runs once in each process
    before its first item (to load a model, say); each has one numerical thread. At most a few items a
    process are in flight, so memory stays flat. `weight` says how much of `unit` an item counts in the progress bar.
    One job means this very process. Work that comes in rounds hands in the :func:`workers` that
    it keeps as `pool`.
    """
    total = sum(weight(item) for item in items)
    own = workers(min(jobs, len(items)), setup, setup_args)
    with Meter(what, total, unit) as meter, nullcontext(pool) if pool else own as executor:
        if executor is None:
            for item in items:
                yield function(item)
                meter.advance(weight(item))
            return
        pending: list[Any] = []
        position = 0
        try:
            while position < len(items) or pending:
                while position < len(items) and len(pending) < 4 * jobs:
                    pending.append(executor.submit(_work, function, items[position]))
                    position += 1
                yield pending.pop(0).result()
                meter.advance(weight(items[position - len(pending) - 1]))
        except BrokenProcessPool:
            raise UserError(
                f"{what}: a worker process was killed, likely for want of memory; use fewer --jobs"
            ) from None
        finally:
            for future in pending:
                future.cancel()


@contextmanager
def workers(
    jobs: int, setup: Callable[..., None] | None = None, setup_args: tuple[Any, ...] = ()
) -> Iterator[Executor | None]:
    """`jobs` processes, each set up, for one or several calls of :func:`run`; None for one job: this process."""
    if jobs <= 1:
        single_thread()
        if setup:
            setup(*setup_args)
        yield None
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, context, _initialise, (setup, setup_args))
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()  # one that has only just started still reads what the caller may remove next


def split(items: S, parts: int) -> list[S]:
    """Divide items into at most `parts` slices of nearly equal length, in order, none empty."""
    parts = max(1, min(parts, len(items)))
    bounds = [len(items) * i // parts for i in range(parts + 1)]
    return [items[a:b] for a, b in itertools.pairwise(bounds)]  # type: ignore[misc]


def _initialise(setup: Callable[..., None] | None, setup_args: tuple[Any, ...]) -> None:
    """One numerical thread in each process, so that `jobs` processes use `jobs` cores."""
    global _failure
    end_with_parent()
    single_thread()
    try:
        if setup:
            setup(*setup_args)
    except UserError as error:
        _failure = error


_failure: UserError | None = None  # of this process's setup; an exception there would end the pool without a word


def _work(function: Callable[[T], R], item: T) -> R:
    if _failure:
        raise _failure
    return function(item)


def end_with_parent() -> None:
    """Let this process die with its parent: it would go on writing to files that the next run makes again."""

    def end() -> None:
        if parent := multiprocessing.parent_process():
            parent.join()
            os._exit(1)

    threading.Thread(target=end, daemon=True).start()


def single_thread() -> None:
    """One numerical thread from here on, so that sums come out the same for any number of processes."""
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"  # for libraries that are loaded later
    threadpoolctl.threadpool_limits(1)  # for those that are loaded
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
