"""Inputs of unusual sizes, here a thousandth of those of tools/bench/faults.py, and utterances of one frame."""

import shutil
from pathlib import Path

import pytest

from tests.faults.disturb import attempt, clean
from tests.faults.sizes import FRAME, Row, measured, sizes


def quick(world: Path, line: str) -> Row:
    found = attempt(world, line)
    clean(world)
    return Row(line, 0.0, 0, found.status, found.stderr if found.status or found.traceback else "")


@pytest.mark.slow
def test_unusual_sizes_are_no_fault(world, tmp_path):
    here = Path(shutil.copytree(world, tmp_path / "world"))
    rows = list(sizes(here, 0.001, quick))
    assert rows[-1].command == FRAME.splitlines()[-1]
    assert not [row for row in rows if row.message]
    assert measured(here, "info data").peak_mb > 10
    assert measured(here, "info nowhere").message
