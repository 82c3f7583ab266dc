"""recipes/mnist in small: scikit-learn's digits, one pass over them, one seed."""

import os
import subprocess
from pathlib import Path

import pytest

from asrdistill.results.plan import read_results

ROOT = Path(__file__).resolve().parents[2]
RUN = ROOT / "recipes/mnist/run.sh"


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([str(RUN), *arguments], capture_output=True, text=True, env={**os.environ, "TERM": "dumb"})


def test_help_lists_the_stages():
    done = run("--help")
    stages = [line for line in done.stdout.splitlines() if line.strip()[:1].isdigit() and "min" in line]
    assert (done.returncode, len(stages)) == (0, 6)


def test_the_digits_go_the_whole_way(tmp_path):
    pytest.importorskip("sklearn")
    done = run("--digits", "--seeds", "1", "--epochs", "1", "--data", f"{tmp_path}/data", "--exp", f"{tmp_path}/exp")
    assert done.returncode == 0, done.stderr
    assert "not MNIST" in done.stderr
    results = read_results(tmp_path / "exp/results.json")
    table = results.table
    assert table.mean("teacher", "frame_accuracy", "test") > 50  # it learns
    assert table.mean("without_3_bias", "offset") > 0 > table.mean("only_7_8_bias", "offset")
    assert table.mean("without_3_bias", "phone_accuracy", "test") > table.mean("without_3", "phone_accuracy", "test")
    assert len(results.plan.curves["2 × 30"]) == 6
    text = (tmp_path / "exp/RESULTS.md").read_text()
    assert "8 × 8 pixels" in text
    assert (tmp_path / "exp/results.png").read_bytes().startswith(b"\x89PNG")
