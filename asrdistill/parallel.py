"""Work per utterance over processes: :func:`map_utterances`, or :class:`Workers` for work in several rounds."""

import dataclasses
import itertools
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from asrdistill.errors import UserError
from asrdistill.progress import Meter

EXECUTOR: ContextVar[str] = ContextVar("executor", default="processes")  # or ray, ray:ADDRESS
WINDOW = 6  # tasks per process under way, of which the first has not been taken: memory stays flat
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

T = TypeVar("T")
R = TypeVar("R")
S = TypeVar("S", bound="Sums")
W = TypeVar("W", bound="Workers")


@dataclasses.dataclass(frozen=True)
class Chunk(Generic[T]):
    """Consecutive utterances that one task processes, such as those of an archive's shard."""

    number: int
    utterances: Sequence[T]

    def __len__(self) -> int:
        return len(self.utterances)

    def __iter__(self) -> Iterator[T]:
        return iter(self.utterances)


def split(utterances: Sequence[T], parts: int) -> list[Chunk[T]]:
    """At most `parts` chunks of nearly equal length, in order, none empty (but for no utterances at all)."""
    parts = max(1, min(parts, len(utterances)))
    bounds = [len(utterances) * i // parts for i in range(parts + 1)]
    return [Chunk(number, utterances[a:b]) for number, (a, b) in enumerate(itertools.pairwise(bounds))]


def chunks(utterances: Sequence[T], size: int) -> list[Chunk[T]]:
    """Chunks of `size` utterances, in order; the last one may be shorter."""
    return [Chunk(i // size, utterances[i : i + size]) for i in range(0, len(utterances), size)]


def gather(items: Iterable[T], least: float, size: Callable[[T], int]) -> Iterator[list[T]]:
    """Consecutive items whose sizes add up to at least `least`, but for the last ones."""
    some: list[T] = []
    for item in items:
        some.append(item)
        if sum(map(size, some)) >= least:
            yield some
            some = []
    if some:
        yield some


class Sums:
    """Base of dataclasses with the results of chunks, which add up field by field."""

    def __add__(self: S, other: S) -> S:
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        return type(self)(*(getattr(self, field.name) + getattr(other, field.name) for field in fields))


def default_jobs() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_utterances(
    function: Callable[..., R],
    items: Sequence[Any],
    jobs: int,
    what: str,
    load: Callable[[], Any] | None = None,
    unit: str = "utterances",
    weight: Callable[[Any], float] | None = None,
    spawn: bool = False,
) -> Iterator[R]:
    """Yield ``function(load(), item)`` in the order of the items, or ``function(item)`` without `load`.

    function  module-level, or a partial of one; the same for `load`
    items     utterances, or chunks of them
    jobs      processes, each with one numerical thread; 1: this process
    what      title of the progress bar
    load      makes what the function needs (a model, an archive), once in each process
    weight    how many of `unit` an item counts in the progress bar; by default 1, of a chunk its length
    spawn     start anew: a forked process that takes several numerical threads may wait for those of this one for ever

    At most a few items per process are in flight, so memory stays flat. Raises UserError if a process is killed.
    """
    with Workers(min(jobs, len(items)), load, spawn) as workers:
        yield from workers.map(function, items, what, unit, weight)


class Pool(Protocol):
    """What an engine is: a part of :class:`concurrent.futures.Executor`."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Any: ...

    def shutdown(self, wait: bool, *, cancel_futures: bool) -> None: ...


class Workers:
    """Processes for several calls of :meth:`map`, each of which has called `load` once; or a Ray cluster: EXECUTOR.

    with Workers(jobs, partial(load_model, folder)) as workers:
        results = list(workers.map(function, items, "train"))
    """

    def __init__(self, jobs: int, load: Callable[[], Any] | None = None, spawn: bool = False):
        self.jobs, self.load, self.method = jobs, load, "spawn" if spawn else _method()
        self._pool: Pool | None = None
        self._state: tuple[Any, ...] = ()

    def __enter__(self: W) -> W:
        self._thread = one_thread()  # this process too: what it sums must not depend on the number of jobs
        self._thread.__enter__()
        engine, _, address = EXECUTOR.get().partition(":")
        if engine == "ray":
            from asrdistill.ray_pool import RayPool

            pool = RayPool(address, partial(prepare, self.load))
            self._pool, self.jobs = pool, pool.jobs
        elif self.jobs > 1:
            self._pool = ProcessPoolExecutor(self.jobs, multiprocessing.get_context(self.method), _start, (self.load,))
            self._pool.submit(int)  # starts the processes, before a progress bar has its thread
        else:
            self._state = (self.load(),) if self.load else ()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._state = ()
        if self._pool:  # without an error wait: a process that has only just started still reads its inputs
            self._pool.shutdown(wait=kind is None, cancel_futures=kind is not None)
        self._thread.__exit__(None, None, None)

    def map(
        self,
        function: Callable[..., R],
        items: Sequence[Any],
        what: str,
        unit: str = "utterances",
        weight: Callable[[Any], float] | None = None,
    ) -> Iterator[R]:
        """Yield results in the order of the items; see :func:`map_utterances`."""
        weight = weight or (lambda item: len(item) if isinstance(item, Chunk) else 1)
        with Meter(what, sum(map(weight, items)), unit) as meter:
            for item, result in zip(items, self._results(function, items, what), strict=True):
                yield result
                meter.advance(weight(item))

    def _results(self, function: Callable[..., R], items: Sequence[Any], what: str) -> Iterator[R]:
        if self._pool is None:
            yield from (function(*self._state, item) for item in items)
            return
        waiting, pending = iter(items), list[Any]()
        try:
            while True:
                for item in itertools.islice(waiting, WINDOW * self.jobs - len(pending)):
                    pending.append(self._pool.submit(_work, function, item))
                if not pending:
                    return
                yield pending.pop(0).result()
        except BrokenProcessPool:
            raise UserError(f"{what}: a worker process was killed, likely out of memory; use fewer --jobs") from None
        finally:
            for future in pending:
                future.cancel()


def _method() -> str:
    """Fork where it is safe, as PyTorch's DataLoader does: the processes then have what this one has imported."""
    torch = sys.modules.get("torch")
    return "fork" if sys.platform == "linux" and not (torch and torch.cuda.is_initialized()) else "spawn"


_state: tuple[Any, ...] = ()  # of a worker process: what `load` returned
_failure: Exception | None = None  # of `load`; raised by the first item, since here it would end the pool silently


def _start(load: Callable[[], Any] | None) -> None:
    end_with_parent()
    prepare(load)


def prepare(load: Callable[[], Any] | None) -> None:
    """Make this process a worker: one numerical thread, and what `load` returns for its items."""
    global _state, _failure
    single_thread()
    _state, _failure = (), None
    try:
        _state = (load(),) if load else ()
    except Exception as error:
        _failure = error


def _work(function: Callable[..., R], item: Any) -> R:
    if _failure:
        raise _failure
    return function(*_state, item)


def end_with_parent() -> None:
    """End this process when its parent ends: otherwise it writes to files that the next run makes again."""

    def end() -> None:
        if parent := multiprocessing.parent_process():
            parent.join()
            os._exit(1)

    threading.Thread(target=end, daemon=True).start()


def single_thread() -> Any:
    """Use one numerical thread from here on, so that sums are the same for any number of processes.

    Returns the limits, which can be restored.
    """
    for variable in THREADS:
        os.environ[variable] = "1"  # for libraries that are loaded later
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
    import threadpoolctl

    return threadpoolctl.threadpool_limits(1)  # for those that are loaded


@contextmanager
def one_thread() -> Iterator[None]:
    """As :func:`single_thread`, until the block ends."""
    before = {variable: os.environ.get(variable) for variable in THREADS}
    torch = sys.modules.get("torch")
    count, limits = torch.get_num_threads() if torch else int(before[THREADS[0]] or default_jobs()), single_thread()
    try:
        yield
    finally:
        limits.restore_original_limits()
        if torch := sys.modules.get("torch"):
            torch.set_num_threads(count)
        for variable, value in before.items():
            os.environ.pop(variable) if value is None else os.environ.update({variable: value})
