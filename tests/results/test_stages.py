"""Times, memory and environment from the markers."""

from typing import Any

import pytest

from asrdistill.results.stages import describe_environment, read_markers, stage_costs, union


@pytest.mark.parametrize(
    ("intervals", "length"),
    [
        ([], 0),
        ([(0, 10)], 10),
        ([(5, 15), (0, 10)], 15),  # side by side
        ([(0, 10), (20, 25)], 15),  # with a pause
        ([(0, 100), (10, 20), (30, 40)], 100),  # one within another
    ],
)
def test_union(intervals: list[tuple[float, float]], length: float) -> None:
    assert union(intervals) == length


def test_costs_of_the_small_experiment(world: Any) -> None:
    world.mark(world.data / "dev" / "fbank", "features", start=-20, end=-5.5, peak_mb=77)
    world.mark(world.exp / ".teacher.9.partial", "teacher", start=0, end=9999, peak_mb=9999)  # killed: does not count
    assert stage_costs(read_markers([world.data, world.exp])) == {
        "features": {"seconds": 14.5, "peak_mb": 77},
        "mono": {"seconds": 100, "peak_mb": 0},
        "teacher": {"seconds": 150, "peak_mb": 200},
        "ensemble": {"seconds": 100, "peak_mb": 300},
        "student": {"seconds": 150, "peak_mb": 500},
    }


def test_a_marker_counts_once(world: Any) -> None:
    assert len(read_markers([world.exp, world.exp, world.root])) == 6


def test_environment_names_what_changed(world: Any) -> None:
    world.mark(world.exp / "late", "late", 5000, 6000, 1, commit="def", torch="2.9", date="2025-01-02")
    assert describe_environment(read_markers([world.exp]), ["", "float32", "float32"]) == {
        "commit": "abc, def",
        "torch": "2.9",
        "cpu": "a cpu",
        "precision": "float32",
        "date": "2025-01-02",
    }


def test_environment_without_markers() -> None:
    assert describe_environment([], [])["commit"]
