"""The native library under the address and undefined-behaviour sanitizers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from asrdistill.core import build

FLAGS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-g", "-O1"]


@pytest.fixture(scope="module")
def sanitised(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The library, and the environment of processes that load it."""
    if "ziglang" in build.compiler() or sys.platform != "linux":
        pytest.skip("sanitizers need a system compiler on Linux")
    asked = [*build.compiler(), "-print-file-name=libasan.so"]
    runtime = Path(subprocess.run(asked, capture_output=True, text=True).stdout.strip())
    if not runtime.is_absolute():
        pytest.skip("the C compiler has no libasan")
    library = build.build(tmp_path_factory.mktemp("core") / "libcore.so", FLAGS)
    return library, {**os.environ, "LD_PRELOAD": str(runtime), "ASAN_OPTIONS": "detect_leaks=0"}


@pytest.mark.slow
def test_random_and_hostile_graphs_stay_within_their_arrays(sanitised: tuple[Path, dict[str, str]]) -> None:
    library, environment = sanitised
    command = [sys.executable, str(Path(__file__).with_name("fuzz.py")), str(library), "0", "12"]
    run = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr[-3000:]
    outcomes = json.loads(run.stdout)
    assert outcomes["refused"] > 30
    assert outcomes["searched"] > 10


@pytest.mark.slow
def test_sanitizers_find_a_write_past_the_end(sanitised: tuple[Path, dict[str, str]]) -> None:
    library, environment = sanitised
    code = """if 1:
        import ctypes, sys, numpy as np
        array, best, came = np.zeros(1, np.int32), np.zeros(1), np.zeros(1, np.int32)
        pointers = [ctypes.c_void_p(value.ctypes.data) for value in (array, array, best, best, came)]
        ctypes.CDLL(sys.argv[1]).core_lattice_best(
            ctypes.c_int64(0), *pointers[:3], ctypes.c_int64(99), *pointers[3:]
        )
    """
    run = subprocess.run([sys.executable, "-c", code, str(library)], capture_output=True, text=True, env=environment)
    assert run.returncode != 0
    assert "AddressSanitizer" in run.stderr
