"""The Ray engine gives what processes do, also where a machine of the cluster is lost in the middle."""

import importlib.util
import os
import time
from functools import partial

import pytest

from asrdistill import parallel
from asrdistill.cli import main
from asrdistill.distill.options import StoreOptions
from asrdistill.distill.store import make_store
from asrdistill.errors import UserError
from tests.distill.test_store import write_teacher
from tests.refusals import refused
from tests.test_parallel import add, complain, complain_at_start, load, square

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed"),
]


@pytest.fixture(scope="module")
def cluster():
    """Two machines of one processor each, on this one."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.second = cluster.add_node(num_cpus=1)
    yield cluster
    import ray

    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def on_ray(cluster):
    before = parallel.EXECUTOR.set(f"ray:{cluster.address}")
    yield cluster
    parallel.EXECUTOR.reset(before)


def node_of(folder, number: int) -> int:
    """A slow item, which notes the process it ran in."""
    (folder / f"{number}.{os.getpid()}").touch()
    time.sleep(0.3)
    return number


def test_a_cluster_that_does_not_answer_is_named():
    before = parallel.EXECUTOR.set("ray:127.0.0.1:1")
    try:
        with refused("127.0.0.1:1"):
            list(parallel.map_utterances(square, range(3), 2, "square"))
    finally:
        parallel.EXECUTOR.reset(before)


def test_results_come_in_order_with_what_was_loaded(on_ray):
    assert list(parallel.map_utterances(square, range(20), 2, "square")) == [n * n for n in range(20)]
    with parallel.Workers(2, partial(load, 7)) as workers:
        assert list(workers.map(add, range(5), "add")) == [7, 8, 9, 10, 11]
        assert list(workers.map(add, [1], "add")) == [8]


def test_errors_of_items_and_of_loading_come_back(on_ray):
    with pytest.raises(UserError, match="utterance 3"):
        list(parallel.map_utterances(complain, range(5), 2, "complain"))
    with pytest.raises(UserError, match="the model"):
        list(parallel.map_utterances(add, range(5), 2, "complain", complain_at_start))


def test_versions_must_agree(on_ray, monkeypatch):
    monkeypatch.setattr("asrdistill.ray_pool.versions", lambda: ("0.0", "3.0"))
    with pytest.raises(UserError, match=r"0\.0 on Python 3\.0"):
        list(parallel.map_utterances(square, range(3), 2, "square"))


def test_soft_targets_are_the_same_bytes(cluster, corpus, tmp_path):
    model, options = write_teacher(corpus, tmp_path / "model"), StoreOptions(keep=3)
    for name in ("processes", f"ray:{cluster.address}"):
        before = parallel.EXECUTOR.set(name)
        (out := tmp_path / name[:3]).mkdir()
        make_store(model, corpus.features, out, options, 2)
        parallel.EXECUTOR.reset(before)
    names = sorted(path.relative_to(tmp_path / "pro") for path in (tmp_path / "pro").rglob("*") if path.is_file())
    assert len(names) > 2
    for name in names:
        assert (tmp_path / "pro" / name).read_bytes() == (tmp_path / "ray" / name).read_bytes(), name


def test_an_unknown_engine_is_named(capsys):
    assert main(["gmm", "mono", "a", "b", "c", "d", "--executor", "slurm"]) == 2
    assert "slurm" in capsys.readouterr().err


def test_a_lost_machine_costs_no_result(on_ray, tmp_path):
    """Runs last: the second machine is gone afterwards."""
    import ray

    work = parallel.map_utterances(partial(node_of, tmp_path), range(24), 2, "work")
    found = [next(work) for _ in range(4)]
    assert len({path.name.split(".")[1] for path in tmp_path.iterdir()}) > 1  # both worked
    on_ray.remove_node(on_ray.second)
    found += list(work)
    assert found == list(range(24))
    assert ray.cluster_resources()["CPU"] == 1
