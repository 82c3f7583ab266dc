"""Runs side by side: each is a process of the command, started when what it needs is there and cores are free.

The processes are forks of one that has loaded torch and nothing else: most runs are shorter than its loading.
"""

import logging
import multiprocessing
import os
import sys
import time
from collections.abc import Iterable
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import NamedTuple

from asrdistill import parallel
from asrdistill.errors import UserError
from asrdistill.sweep.plan import Run

log = logging.getLogger("asrdistill")


class _Started(NamedTuple):
    run: Run
    process: ForkServerProcess
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
            wait([started.process.sentinel for started in running])
            for started in [started for started in running if started.process.exitcode is not None]:
                running.remove(started)
                made += 1
                _finish(started, made, total)
    finally:
        for started in running:
            started.process.terminate()
        for started in running:
            started.process.join()


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
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["asrdistill.models.io"])
    process = context.Process(target=_call, args=(run.arguments, path))
    process.start()
    return _Started(run, process, path, time.monotonic())


def _call(arguments: tuple[str, ...], path: Path) -> None:
    """The command in a process of its own, which says everything into a file."""
    from asrdistill.cli import main

    with open(path, "wb") as handle:
        for stream in (1, 2):
            os.dup2(handle.fileno(), stream)
    parallel.end_with_parent()
    parallel.single_thread()  # but for what is trained by several
    sys.exit(main(list(arguments)))


def _finish(started: _Started, made: int, total: int) -> None:
    said = started.log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
    if code := started.process.exitcode:
        raise UserError(
            f"'{started.run.arguments[0]}' of {started.run.folder} ended with {code}: {said[-1]} ({started.log})"
        )
    if not said[-1].endswith("up to date"):
        log.info("%d of %d: %s in %.0f s", made, total, started.run.folder, time.monotonic() - started.begun)
