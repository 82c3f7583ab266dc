"""The GPU's benchmark in its form for processors."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_small_form_checks_and_measures():
    done = subprocess.run(
        [sys.executable, ROOT / "tools/bench/gpu.py", "--device", "cpu"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["killed"]
    assert figures["resumed_difference"] == 0
    assert figures["torchrun_difference"] < 1e-5
    for network in ("paper", "tdnn", "tdnnf"):
        assert figures[network]["difference"] <= 1e-4
        assert figures[network]["trained_per_second"] > 0
        assert 0 < figures[network]["share_of_products"] < 1.5
