"""The sbatch scripts, with commands in the place of Slurm's and Ray's that note how they were called."""

import os
import subprocess
from pathlib import Path

import pytest

SLURM = Path(__file__).resolve().parents[1] / "tools/slurm"
FAKES = {
    "scontrol": "printf 'node1\\nnode2\\n'",
    "srun": 'while [[ $1 == --* ]]; do shift 2; done; exec "$@"',
    "torchrun": 'echo "torchrun $*" >> "$NOTES"',
    "ray": 'echo "ray $*" >> "$NOTES"',
    "python": "exit ${NOT_READY:-0}",
    "sleep": "exit 0",
}


@pytest.fixture
def call(tmp_path):
    """call(script, argument…) under Slurm on two nodes -> (process, what the fakes noted)"""
    for name, body in FAKES.items():
        (tmp_path / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    slurm = {
        "JOB_NODELIST": "node[1-2]",
        "JOB_NUM_NODES": "2",
        "JOB_ID": "7",
        "GPUS_ON_NODE": "4",
        "CPUS_PER_TASK": "8",
    }
    given = {f"SLURM_{name}": value for name, value in slurm.items()}
    given |= {"NOTES": str(tmp_path / "notes"), "PATH": f"{tmp_path}:{os.environ['PATH']}"}

    def run(script: str, *words: str, **more: str):
        process = subprocess.run(
            ["bash", SLURM / script, *words], env={**os.environ, **given, **more}, capture_output=True, text=True
        )
        return process, (tmp_path / "notes").read_text().splitlines()

    return run


def test_training_starts_a_torchrun_with_the_first_nodes_address(call):
    process, notes = call("train.sbatch", "fbank", "ali", "out 1")
    assert process.returncode == 0, process.stderr
    (line,) = notes
    assert "--nnodes 2 --nproc-per-node 4" in line
    assert "--rdzv-id 7 --rdzv-endpoint node1:29500" in line
    assert line.endswith("-m asrdistill nnet train fbank ali out 1")


def test_ray_starts_on_all_nodes_before_the_command(call):
    process, notes = call("ray.sbatch", "bash", "-c", 'echo "$ASRDISTILL_EXECUTOR"')
    assert process.stdout.strip() == "ray:node1:6379"
    assert sorted(note.split()[2] for note in notes) == ["--address", "--head"]
    assert all("--num-cpus 8" in note for note in notes)


def test_ray_without_all_nodes_runs_nothing(call):
    process, _ = call("ray.sbatch", "touch", "never", NOT_READY="1")
    assert process.returncode == 1
    assert "node2" in process.stderr
    assert not Path("never").exists()
