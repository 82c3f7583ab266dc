"""A thousand mutated files of all formats, from a seed that is new in each run: tools/bench/faults.py has more."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_mutated_files_end_in_a_sentence_or_are_read_rightly(tmp_path):
    """In a process of its own: its watchdog and pytest's do not go together."""
    seed = random.SystemRandom().getrandbits(32)
    command = [ROOT / "tools/bench/faults.py", tmp_path / "faults", "--cases", 1000, "--seed", seed, "--jobs", 1]
    done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True)
    assert done.returncode == 0, f"seed {seed}\n{done.stdout}\n{done.stderr[-3000:]}"
    counts = json.loads(done.stdout.splitlines()[-1])
    assert counts["cases"] > 900
    assert counts["refused"] > 300
