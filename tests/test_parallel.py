import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest
import torch

from asrdistill import parallel
from asrdistill.errors import UserError
from tests.refusals import refused


def square(value: int) -> int:
    return value * value


def slow_first(value: int) -> int:
    """The first items take longest, so that later ones are done before them."""
    time.sleep(0.05 if value < 2 else 0)
    return value


def load(value: int) -> int:
    return value


def add(loaded: int, value: int) -> int:
    return loaded + value


def length(loaded: int, chunk: parallel.Chunk[int]) -> tuple[int, int]:
    return chunk.number, sum(chunk) + loaded


def complain(value: int) -> int:
    if value == 3:
        raise UserError("utterance 3 is bad")
    return value


def complain_at_start() -> int:
    raise UserError("the model is bad")


def die(value: int) -> int:
    if value == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return value


def break_at_start() -> int:
    raise ZeroDivisionError


def product(threads: int) -> float:
    """The sum of a product of matrices of ones, on some threads."""
    torch.set_num_threads(threads)
    ones = torch.ones(512, 512)
    return (ones @ ones).sum().item()


def touch(path: str) -> None:
    Path(path).touch()


def threads(_: int) -> str:
    return os.environ["OMP_NUM_THREADS"]


@pytest.mark.parametrize("jobs", [1, 3])
def test_results_come_in_the_order_of_the_items(jobs):
    assert list(parallel.map_utterances(slow_first, range(20), jobs, "count")) == list(range(20))
    assert list(parallel.map_utterances(square, [], jobs, "count")) == []


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_process_loads_its_state(jobs):
    assert list(parallel.map_utterances(add, range(5), jobs, "add", partial(load, 10))) == [*range(10, 15)]
    chunks = parallel.chunks(range(5), 2)
    assert list(parallel.map_utterances(length, chunks, jobs, "add", partial(load, 10))) == [(0, 11), (1, 15), (2, 14)]


@pytest.mark.parametrize("jobs", [1, 2])
def test_user_errors_of_workers_are_raised(jobs):
    with refused("utterance 3"):
        list(parallel.map_utterances(complain, range(50), jobs, "complain"))
    with refused("model"):
        list(parallel.map_utterances(add, range(5), jobs, "complain", complain_at_start))


def test_killed_worker_is_refused():
    with refused("square", "--jobs"):
        list(parallel.map_utterances(die, range(10), 2, "square"))


def test_errors_of_loading_are_raised_as_they_are():
    with pytest.raises(ZeroDivisionError):
        list(parallel.map_utterances(add, [1, 2], 2, "test", break_at_start))


@pytest.mark.slow
def test_spawned_workers_take_several_threads():
    """Forked ones would wait for ever: the threads of this process's products are not in them."""
    before = torch.get_num_threads()
    try:
        wanted = product(2)
        found = parallel.map_utterances(product, [2, 2], 2, "test", spawn=True)
        assert list(found) == [wanted, wanted]
    finally:
        torch.set_num_threads(before)


def test_only_a_few_items_are_in_flight(tmp_path):
    """Whoever takes results slowly does not let the work pile up."""
    results = parallel.map_utterances(touch, [str(tmp_path / str(i)) for i in range(100)], 2, "touch")
    next(results)
    time.sleep(0.3)
    assert 1 <= len(list(tmp_path.iterdir())) <= 2 * parallel.WINDOW + 1
    results.close()
    assert len(list(tmp_path.iterdir())) <= 2 * parallel.WINDOW + 1


def test_workers_are_reused():
    with parallel.Workers(2, partial(load, 5)) as workers:
        for _ in range(2):
            assert list(workers.map(add, range(4), "add")) == [5, 6, 7, 8]


def test_each_process_has_one_numerical_thread():
    assert list(parallel.map_utterances(threads, range(2), 2, "threads")) == ["1", "1"]


@pytest.mark.parametrize("count", [0, 1, 2, 7, 10])
@pytest.mark.parametrize("parts", [1, 3, 10])
def test_split_is_in_order_and_even(count, parts):
    blocks = parallel.split(range(count), parts)
    assert [item for block in blocks for item in block] == list(range(count))
    sizes = [len(block) for block in blocks]
    assert len(blocks) == max(1, min(count, parts))
    assert max(sizes) - min(sizes) <= 1


def test_default_jobs():
    assert 1 <= parallel.default_jobs() <= os.cpu_count()


@pytest.mark.parametrize("jobs", [1, 2])
def test_threads_of_the_caller_are_restored(jobs, monkeypatch):
    import torch

    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with parallel.Workers(jobs) as workers:
            assert torch.get_num_threads() == 1
            with pytest.raises(UserError):
                list(workers.map(complain, [1, 2, 3], "test"))
        assert torch.get_num_threads() == 3
        assert (os.environ["OMP_NUM_THREADS"], os.environ.get("MKL_NUM_THREADS")) == ("3", None)
    finally:
        torch.set_num_threads(before)
