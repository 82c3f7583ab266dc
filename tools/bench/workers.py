"""Measure how commands grow with processes, and simulate more processes and a larger corpus from their tasks' times.

Each command is run with one process and with two, and every task's processor time is recorded. OUT in a command stands
for its output folder. The simulation does what asrdistill.parallel does: a limited number of tasks waits in order, the
first free worker takes the next one, and one process sends tasks and takes results in their order. Tasks of the larger
corpus take the time per utterance of measured ones, drawn at random; models and results are as large as in the
measurement. Efficiency is the time in tasks divided by processes and duration.

Example:
  cd recipes/amazon_queen
  python ../../tools/bench/workers.py "feats fbank data/default/corpus/train OUT" \\
    "ali make exp/default/lda_mllt data/default/cepstra/train data/default/corpus/train data/default/lang OUT"
"""

import argparse
import heapq
import pickle
import shlex
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from common import arguments, finish

from asrdistill.cli import main as asrdistill
from asrdistill.hmm.align import SHARDS, shards_of
from asrdistill.hmm.train import SHARDS as MOST
from asrdistill.parallel import WINDOW, Chunk, Workers

LIBRISPEECH = 281241  # utterances of its 960 hours


@dataclass
class Round:
    """The tasks of one call of :meth:`Workers.map`; times in seconds."""

    start_up: float = 0.0
    sizes: list[int] = field(default_factory=list)  # utterances
    tasks: list[tuple[float, float, float]] = field(default_factory=list)  # sending, working, taking the result


class Timed:
    """A task's function that also returns when it began and its processor time; processes can be sent it."""

    def __init__(self, function: Callable[..., Any]):
        self.function = function

    def __call__(self, *arguments: Any) -> tuple[float, float, Any]:
        start, before = time.perf_counter(), time.process_time()
        result = self.function(*arguments)
        return start, time.process_time() - before, result


@contextmanager
def recording() -> Iterator[list[Round]]:
    """Rounds of all that :class:`Workers` do meanwhile."""
    rounds: list[Round] = []
    enter, results = Workers.__enter__, Workers._results
    entered = 0.0

    def timed_enter(self: Workers) -> Workers:
        nonlocal entered
        entered = time.perf_counter()
        return enter(self)

    def timed_results(self: Workers, function: Callable[..., Any], items: Sequence[Any], what: str) -> Iterator[Any]:
        nonlocal entered
        found = Round()
        rounds.append(found)
        for item, (start, seconds, result) in zip(items, results(self, Timed(function), items, what), strict=True):
            found.start_up, entered = found.start_up or (entered and start - entered), 0.0
            found.sizes.append(len(item) if isinstance(item, Chunk) else 1)
            found.tasks.append((transfer((function, item)), seconds, transfer(result)))
            yield result

    Workers.__enter__, Workers._results = timed_enter, timed_results  # type: ignore[method-assign]
    try:
        yield rounds
    finally:
        Workers.__enter__, Workers._results = enter, results  # type: ignore[method-assign]


def transfer(thing: Any) -> float:
    """Seconds to write what goes to or comes from another process, and to read it."""
    start = time.process_time()
    pickle.loads(pickle.dumps(thing, pickle.HIGHEST_PROTOCOL))
    return time.process_time() - start


def simulate(tasks: np.ndarray, workers: int, start_up: float = 0.0, window: int = WINDOW) -> float:
    """Seconds that workers need for tasks (N, 3): sending, working, taking the result.

    At most `window` tasks per worker are under way, counted from the first one whose result has not been taken.
    """
    free, sent, taken = [start_up] * workers, 0.0, [0.0]
    for number, (sending, working, taking) in enumerate(tasks.tolist()):
        sent = max(sent, taken[max(0, number + 1 - window * workers)]) + sending
        end = max(heapq.heappop(free), sent) + working
        heapq.heappush(free, end)
        taken.append(max(taken[-1], end) + taking)
    return taken[-1]


def enlarged(found: Round, utterances: int, rng: np.random.Generator, most: int | None = None) -> np.ndarray:
    """The tasks that the round has with that many utterances, (N, 3); `most`: as many."""
    tasks, sizes = np.array(found.tasks), np.array(found.sizes)
    if len(sizes) == SHARDS:
        wanted = np.array([len(shard) for shard in shards_of(range(utterances), most)])
    else:
        wanted = np.resize(sizes, max(1, round(utterances / sizes.mean())))
    drawn = [rng.integers(len(tasks), size=max(1, round(size / sizes.mean()))) for size in wanted]
    paces = np.array([tasks[some, 1].sum() / sizes[some].sum() for some in drawn])
    first = tasks[[some[0] for some in drawn]]
    return np.stack([first[:, 0], paces * wanted, first[:, 2]], axis=1)


def grow(rounds: list[Round], utterances: int, workers: int, most: int | None) -> dict[str, float]:
    """Duration and efficiency of rounds one after the other on the larger corpus."""
    rng = np.random.default_rng(0)
    worked = duration = longest = 0.0
    for found in rounds:
        tasks = enlarged(found, utterances, rng, most)
        worked, longest = worked + tasks[:, 1].sum(), max(longest, tasks[:, 1].max())
        duration += simulate(tasks, workers, found.start_up)
    efficiency = round(worked / workers / duration, 3)
    return {"seconds": round(duration, 1), "efficiency": efficiency, "longest_task": round(longest, 2)}


def measure(command: str, jobs: int) -> tuple[list[Round], float]:
    """The rounds of a command, and seconds that it took."""
    with tempfile.TemporaryDirectory(dir=".") as scratch, recording() as rounds:
        words = [str(Path(scratch) / "out") if word == "OUT" else word for word in shlex.split(command)]
        start = time.perf_counter()
        if asrdistill([*words, "--jobs", str(jobs)]):
            raise SystemExit(f"{command} failed")
        seconds = time.perf_counter() - start
    return rounds, seconds - sum(task[0] + task[2] for found in rounds for task in found.tasks)


def compare(command: str, args: argparse.Namespace) -> dict[str, Any]:
    """Figures of a command; efficiency_two is in wall time, in_tasks without what is done between them and waits."""
    one, alone = measure(command, 1)
    two, both = measure(command, 2)
    for found, other in zip(one, two, strict=True):
        found.start_up = other.start_up  # of processes, not of this one
    tasks, beside = (np.concatenate([found.tasks for found in rounds]) for rounds in (one, two))
    most = MOST if command.split()[0] == "gmm" else None
    pool = sum(simulate(np.array(found.tasks), 2) for found in two)
    return {
        "seconds": round(alone, 2),
        "seconds_two": round(both, 2),
        "efficiency_two": round(alone / both / 2, 3),
        "in_tasks": round(tasks[:, 1].sum() / pool / 2, 3),
        "slower_beside_another": round(beside[:, 1].sum() / tasks[:, 1].sum(), 3),
        "tasks": len(tasks),
        "milliseconds_an_utterance": round(1000 * tasks[:, 1].sum() / sum(sum(found.sizes) for found in one), 3),
        "start_up": round(max(found.start_up for found in one), 3),
        "transfer": round(float(tasks[:, [0, 2]].sum(1).mean()), 4),
        "simulated": {workers: grow(one, args.utterances, workers, most) for workers in args.workers},
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("commands", nargs="+", metavar="COMMAND", help="of asrdistill, without --jobs")
    parser.add_argument("--utterances", type=int, default=LIBRISPEECH, help="of the larger corpus (default: 960 hours)")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 16, 256], help="simulated (default: %(default)s)")
    args = parser.parse_args()
    figures: dict[str, Any] = {}
    for command in args.commands:
        name = "_".join(command.split()[:2])
        figures[name] = compare(command, args)
        print(name, figures[name], flush=True)
    finish(figures)


if __name__ == "__main__":
    main()
