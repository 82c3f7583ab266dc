"""Runs side by side: each is a process of the command, started when what it needs is there and cores are free."""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from asrdistill.errors import UserError
from asrdistill.sweep.plan import Run

log = logging.getLogger("asrdistill")


class _Started(NamedTuple):
    run: Run
    process: subprocess.Popen[bytes]
    log: Path
    begun: float


def execute(runs: Iterable[Run], jobs: int, logs: Path) -> None:
    """Make all folders; what the commands say goes to files in `logs`.

    Runs come in the order in which they stand, where nothing hinders them. One that takes more cores than there are
    jobs has all of them. Raises UserError with the last line of the first that fails, after the others were stopped;
    every run can go on where it was.
    """
    waiting = list(runs)
    total, made = len(waiting), 0
    running: list[_Started] = []
    logs.mkdir(parents=True, exist_ok=True)
    try:
        while waiting or running:
            for run in _ready(waiting, running, jobs):
                waiting.remove(run)
                running.append(_start(run, logs))
            ended = [started for started in running if started.process.poll() is not None]
            for started in ended:
                running.remove(started)
                made += 1
                _finish(started, made, total)
            if not ended:
                time.sleep(0.05)
    finally:
        for started in running:
            started.process.terminate()
        for started in running:
            started.process.wait()


def _ready(waiting: list[Run], running: list[_Started], jobs: int) -> list[Run]:
    """The runs that can start now."""
    missing = {run.folder for run in waiting} | {started.run.folder for started in running}
    free = jobs - sum(started.run.cores for started in running)
    chosen: list[Run] = []
    for run in waiting:
        if free <= 0:
            break
        if missing.isdisjoint(run.needs):
            if run.cores > free and (running or chosen):
                break  # it waits for its cores, and those behind it with it, or it would wait for ever
            chosen.append(run)
            free -= run.cores
    return chosen


def _start(run: Run, logs: Path) -> _Started:
    path = logs / f"{run.arguments[0]}-{'-'.join(run.folder.parts[-3:])}.log"
    threads = {f"{library}_NUM_THREADS": str(run.cores) for library in ("OMP", "MKL", "OPENBLAS")}
    with open(path, "wb") as handle:
        process = subprocess.Popen(
            [sys.executable, "-m", "asrdistill", *run.arguments],
            stdin=subprocess.DEVNULL,
            stdout=handle,
            stderr=subprocess.STDOUT,
            env={**os.environ, **threads, "OMP_WAIT_POLICY": "PASSIVE"},
        )
    return _Started(run, process, path, time.monotonic())


def _finish(started: _Started, made: int, total: int) -> None:
    said = started.log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
    if code := started.process.returncode:
        raise UserError(
            f"'{started.run.arguments[0]}' of {started.run.folder} ended with {code}: {said[-1]} ({started.log})"
        )
    if not said[-1].endswith("up to date"):
        log.info("%d of %d: %s in %.0f s", made, total, started.run.folder, time.monotonic() - started.begun)
