"""Growth with processes: the simulation of the pool, and the recording of its tasks."""

import numpy as np
import pytest
from workers import Round, enlarged, recording, simulate

from asrdistill.parallel import WINDOW, chunks, map_utterances


def tick(tasks: list[list[int]], workers: int, start_up: int, window: int) -> int:
    """The pool second by second: a sender, workers and a receiver, each of which does one thing at a time."""
    queue: list[int] = []
    sending, receiving, working = [0, -1], [0, -1], [[start_up, -1] for _ in range(workers)]
    finished: set[int] = set()
    begun = taken = 0
    for second in range(100_000):
        while True:  # all that happens at this moment
            before = (begun, taken, len(queue), len(finished), receiving[1])
            if sending[1] >= 0 and sending[0] <= second:
                queue.append(sending[1])
                sending[1] = -1
            for worker in working:
                if worker[1] >= 0 and worker[0] <= second:
                    finished.add(worker[1])
                    worker[1] = -1
            if receiving[1] >= 0 and receiving[0] <= second:
                taken += 1
                receiving[1] = -1
            if taken == len(tasks):
                return second
            if sending[1] < 0 and begun < min(len(tasks), taken + window * workers):
                sending = [second + tasks[begun][0], begun]
                begun += 1
            for worker in working:
                if worker[1] < 0 and worker[0] <= second and queue:
                    worker[:] = [second + tasks[queue[0]][1], queue.pop(0)]
            if receiving[1] < 0 and taken in finished:
                receiving = [second + tasks[taken][2], taken]
            if before == (begun, taken, len(queue), len(finished), receiving[1]):
                break
    raise AssertionError("the tasks never end")


@pytest.mark.parametrize("seed", range(6))
def test_simulation_equals_the_pool_second_by_second(seed):
    rng = np.random.default_rng(seed)
    count, workers, window = int(rng.integers(1, 60)), int(rng.integers(1, 7)), int(rng.integers(1, 5))
    tasks = np.stack([rng.integers(0, 3, count), rng.integers(1, 9, count), rng.integers(0, 3, count)], axis=1)
    tasks[rng.integers(count), 1] = 40  # a straggler
    assert simulate(tasks, workers, 5, window) == tick(tasks.tolist(), workers, 5, window)


def test_planted_straggler_holds_up_the_workers():
    tasks = np.zeros((8, 3))
    tasks[:, 1] = 1
    assert simulate(tasks, 2) == 4
    assert simulate(tasks, 4, start_up=3) == 5
    tasks[-1, 1] = 10
    assert simulate(tasks, 2) == 13
    tasks[:, 1] = [10, *[1] * 7]
    assert simulate(tasks, 2) == 10
    assert simulate(tasks, 2, window=2) == 12  # the other worker ends three tasks, and the last four wait


def test_larger_corpus_has_the_planted_time_an_utterance():
    fixed = Round(sizes=[250, 250, 100], tasks=[(0, 25, 0), (0, 25, 0), (0, 10, 0)])
    tasks = enlarged(fixed, 6000, np.random.default_rng(0))
    assert len(tasks) == 30
    assert tasks[:, 1].sum() == pytest.approx(600)
    few = Round(sizes=[10] * 32, tasks=[(0, 1, 0)] * 32)
    assert len(enlarged(few, 6000, np.random.default_rng(0))) == 32
    assert len(enlarged(few, 100_000, np.random.default_rng(0))) == 400
    assert len(enlarged(few, 100_000, np.random.default_rng(0), most=256)) == 256


@pytest.mark.parametrize("jobs", [1, 2])
def test_tasks_are_recorded_and_results_unchanged(jobs):
    with recording() as rounds:
        found = list(map_utterances(sum, chunks(list(range(10)), 4), jobs, "sums"))
    assert found == [6, 22, 17]
    assert [found.sizes for found in rounds] == [[4, 4, 2]]
    assert all(seconds >= 0 for task in rounds[0].tasks for seconds in task)
    assert WINDOW * jobs >= len(rounds[0].tasks)
