"""What the recipes' scripts say before they do anything; CI runs them for real."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
RUN = ROOT / "recipes/amazon_queen/run.sh"


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([str(RUN), *arguments], capture_output=True, text=True, env={**os.environ, "TERM": "dumb"})


def test_help_lists_every_stage_with_its_time():
    done = run("--help")
    stages = [line for line in done.stdout.splitlines() if line.strip()[:1].isdigit() and "min" in line]
    assert done.returncode == 0
    assert len(stages) == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--stages", "3"], "unknown option '--stages'"),
        (["--stage"], "--stage needs a value"),
        (["--seeds", "many"], "--seeds must be a whole number, not 'many'"),
    ],
)
def test_mistakes_are_one_sentence(arguments, message):
    done = run(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_stage_without_the_one_before_says_so(tmp_path):
    done = run("--stage", "7", "--data", str(tmp_path / "data"), "--exp", str(tmp_path / "exp"))
    assert done.returncode == 2
    assert "does not exist; run the stage that makes it first" in done.stderr
    assert "Traceback" not in done.stderr


def test_librispeech_lists_its_stages_and_refuses_mistakes():
    script = ROOT / "recipes/librispeech/run.sh"

    def run(*arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run([script, *arguments], capture_output=True, text=True)

    stages = [line for line in run("--help").stdout.splitlines() if line.startswith("  ") and line.split()[0].isdigit()]
    assert len(stages) == 14
    for arguments, message in (
        (["--hours", "200"], "run.sh: --hours must be 100, 460 or 960, not '200'\n"),
        (["--teachers", "0"], "run.sh: --teachers must be a whole number above 0, not '0'\n"),
        (["--parts", "dev-clean"], "run.sh: unknown option '--parts'; see --help\n"),
    ):
        done = run(*arguments)
        assert (done.returncode, done.stderr) == (2, message)


def test_timit_says_what_it_needs():
    script = ROOT / "recipes/timit/run.sh"
    done = subprocess.run([script, "--help"], capture_output=True, text=True)
    stages = [line for line in done.stdout.splitlines() if line.strip()[:1].isdigit() and "min" in line]
    assert (done.returncode, len(stages)) == (0, 11)
    done = subprocess.run([script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "run.sh: give the folder of TIMIT with --timit PATH\n")
