"""recipes/mnist in small: scikit-learn's digits, one pass over them, one seed."""

import subprocess
from pathlib import Path

import pytest

from asrdistill.results.plan import read_results

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
RUN = ROOT / "recipes/mnist/run.sh"


def test_the_digits_go_the_whole_way(tmp_path):
    pytest.importorskip("sklearn")
    options = ("--digits", "--seeds", "1", "--epochs", "1", "--data", f"{tmp_path}/data", "--exp", f"{tmp_path}/exp")
    done = subprocess.run([RUN, *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    results = read_results(tmp_path / "exp/results.json")
    table = results.table
    assert table.mean("teacher", "frame_accuracy", "test") > 50  # it learns
    assert table.mean("without_3_bias", "offset") > 0 > table.mean("only_7_8_bias", "offset")
    assert table.mean("without_3_bias", "phone_accuracy", "test") > table.mean("without_3", "phone_accuracy", "test")
    assert len(results.plan.curves["2 × 30"]) == 6
    text = (tmp_path / "exp/RESULTS.md").read_text()
    assert "8 × 8 pixels" in text
    assert (tmp_path / "exp/results.png").read_bytes().startswith(b"\x89PNG")
