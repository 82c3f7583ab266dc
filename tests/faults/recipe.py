"""Kill recipes/librispeech at random moments, continue each time, and compare the result with an undisturbed run.

The recipe runs in its smallest form (tests/recipes/librispeech_site.py, --mini): once undisturbed in FOLDER/peace,
and in FOLDER/killed.0, … with SIGKILL to the whole process group at random moments, until there were enough of them.
All fetch from a server on loopback that breaks connections.
"""

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from asrdistill.results.plan import read_results
from tests.recipes.flaky_server import FlakyServer
from tests.recipes.librispeech_site import RECIPE, make_site, queen_speech, small_conf, spoken_phones

RESULTS = (".txt", ".ctm", ".tsv", ".safetensors", ".npy")  # files that must be the same byte by byte


def kill_recipe(folder: Path, kills: int, luck: random.Random, jobs: int, queen: bool = False) -> dict[str, Any]:
    """Figures: the stages hit, whether results agree (all but times), files that differ, kB of archives sent twice.

    queen  amazon_queen's speech instead of tones
    """
    folder.mkdir(parents=True)
    said = (queen_speech(folder) if queen else None) or spoken_phones(80)
    site, conf = folder / "site", small_conf(folder / "conf", "mini")
    make_site(site, said)

    def run(name: str, server: FlakyServer) -> subprocess.Popen:
        options = {"--mirror": server.url, "--table": site / "librispeech.tsv", "--conf": conf, "--jobs": jobs}
        options |= {"--teachers": 2, "--data": folder / name / "data", "--exp": folder / name / "exp"}
        command = [str(RECIPE / "run.sh"), "--mini", *(str(part) for pair in options.items() for part in pair)]
        with open(folder / f"{name}.log", "a") as log:
            return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)

    with FlakyServer(site, cut=0.3, busy=0.2) as server:
        start = time.monotonic()
        if run("peace", server).wait():
            sys.exit(f"the run left in peace failed: see {folder / 'peace.log'}")
        seconds = time.monotonic() - start
    hit: list[int] = []
    rounds, same, different = 0, True, 0
    with FlakyServer(site, cut=0.3, busy=0.2, pace=0.05) as server:
        while len(hit) < kills:
            name, rounds = f"killed.{rounds}", rounds + 1
            while lived := lives(run(name, server), luck.uniform(0, 0.6 * seconds) if len(hit) < kills else None):
                hit.append(last_stage(folder / f"{name}.log"))
                print(f"kill {len(hit)} after {lived:.1f} s, in stage {hit[-1]}", flush=True)
            found = compare(folder / "peace", folder / name)
            same, different = same and found[0], different + found[1]
        sent = {path: server.bytes_of(path.relative_to(site).as_posix()) for path in site.rglob("*.gz")}
    twice = sum(count - rounds * path.stat().st_size for path, count in sent.items() if count)
    figures = {"kills": len(hit), "stages": hit, "runs": rounds, "same_results": same, "files_that_differ": different}
    return {**figures, "twice_kb": round(twice / 1000), "seconds_in_peace": round(seconds)}


def lives(process: subprocess.Popen, seconds: float | None) -> float | None:
    """Kill a run and all that it started after `seconds`; None if it ended well by itself."""
    try:
        status = process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return seconds
    if status:
        sys.exit(f"a run failed with status {status}; see the logs")
    return None


def last_stage(log: Path) -> int:
    return int((re.findall(r"== stage (\d+)/", log.read_text()) or ["0"])[-1])


def compare(peace: Path, killed: Path) -> tuple[bool, int]:
    """(whether results agree, number of files that differ)"""
    rows = [read_results(folder / "exp/results.json").table.rows for folder in (peace, killed)]
    results = [[row for row in found if row.measure not in ("rtf", "stage_seconds", "stage_peak_mb")] for found in rows]
    files = [path for path in sorted(peace.rglob("*")) if path.suffix in RESULTS and path.is_file()]
    pairs = [(path, killed / path.relative_to(peace)) for path in files]
    different = [a for a, b in pairs if not b.is_file() or a.read_bytes() != b.read_bytes()]
    for path in different:
        print(f"differs: {path.relative_to(peace)}")
    return results[0] == results[1], len(different)
