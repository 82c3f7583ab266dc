"""Workers end with a killed parent."""

import subprocess
import sys
import time
from pathlib import Path

SCRIPT = """
import sys, time
from asrdistill import parallel

def scribble(path):
    while True:
        with open(path, "a") as handle:
            handle.write("x")
        time.sleep(0.01)

if __name__ == "__main__":
    list(parallel.map_utterances(scribble, [sys.argv[1] + "/1", sys.argv[1] + "/2"], 2, "scribble"))
"""


def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    script, out = tmp_path / "script.py", tmp_path / "out"
    script.write_text(SCRIPT)
    out.mkdir()
    parent = subprocess.Popen([sys.executable, script, out])
    wait_until(lambda: len(list(out.iterdir())) == 2)
    parent.kill()
    parent.wait()
    wait_until(lambda: not grows(out))


def grows(folder: Path) -> bool:
    before = [path.stat().st_size for path in folder.iterdir()]
    time.sleep(0.3)
    return before != [path.stat().st_size for path in folder.iterdir()]


def wait_until(condition, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
