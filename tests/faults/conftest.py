"""The world of files, made once."""

from pathlib import Path

import pytest

from asrdistill import parallel
from tests.faults.world import make_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with parallel.one_thread():
        return make_world(tmp_path_factory.mktemp("faults") / "world")
