"""Runs side by side, each a fork of a process that has loaded torch, which takes longer than most; then the results."""

import logging
import multiprocessing
import os
from collections.abc import Iterable, Sequence
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from asrdistill import parallel, stage
from asrdistill.errors import UserError, log
from asrdistill.files import write_text
from asrdistill.results import plan as report
from asrdistill.results.collect import Folders, collect
from asrdistill.results.report import show, write
from asrdistill.sweep.plan import Plan, Run
from asrdistill.sweep.spec import Sweep, label


def run_sweeps(plan: Plan, sweeps: Sequence[Sweep], jobs: int) -> None:
    """Make what the sweeps need below EXP, and their results EXP/sweeps/SWEEP.json, .md and .png."""
    execute(plan.runs.values(), jobs, plan.made / "log")
    for sweep in sweeps:
        data = plan.data if "wer" in sweep.measure else None
        results = collect(Folders(plan.exp, data, plan.lang, plan.lm), describe(sweep, plan))
        write(results, plan.made, sweep.name)
        show(results)


def describe(sweep: Sweep, plan: Plan) -> report.Plan:
    """The sweep as a report: a system per row and point, a curve per row."""
    systems, curves, cells = {}, dict[str, list[list[object]]](), sweep.cells()
    for cell in cells:
        models = [str(model.folder.relative_to(plan.exp)) for model in plan.models(cell.settings, sweep.seeds)]
        store = plan.store(cell.settings)[0].relative_to(plan.exp) if cell.settings.system == "student" else ""
        systems[cell.key] = report.System(models=models, targets=str(store))
        others = {name: value for name, value in cell.point.items() if name != sweep.x}
        curves.setdefault(label(cell.row, others), []).append([cell.point[sweep.x], cell.key])
    pairs = [[label(row, c.point) for row in pair] for pair in sweep.compare for c in cells if c.row == pair[0]]
    return report.Plan(
        corpus=sweep.title,
        sets=sweep.sets,
        pooled=sweep.pooled,
        systems=systems,
        comparisons=[pair for pair in pairs if pair[1] in systems],
        curves=curves,
        x=sweep.x,
        train=plan.layout.train if "train" in sweep.measure else "",
        map=plan.layout.map,
    )


def execute(runs: Iterable[Run], jobs: int, logs: Path) -> None:
    """Make all folders, each after those that it is made from; logs go to files in `logs`.

    Raises UserError with the last line of the first run that fails, after the others were stopped.
    """
    waiting = list(runs)
    total = len(waiting)
    running: dict[ForkServerProcess, tuple[Run, Path]] = {}
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["asrdistill.sweep.plan"])
    try:
        while waiting or running:
            missing = {run.out for run in waiting} | {run.out for run, _ in running.values()}
            ready = [run for run in waiting if missing.isdisjoint(run.inputs)]
            for run in ready[: jobs - len(running)]:
                waiting.remove(run)
                path = logs / f"{'-'.join([*run.verb.split(), *run.out.parts[-3:]])}.log"
                write_text(path, "")
                process = context.Process(target=_make, args=(run, path))
                process.start()
                running[process] = run, path
            wait([process.sentinel for process in running])
            for process in [process for process in running if process.exitcode is not None]:
                run, path = running.pop(process)
                last = path.read_text(errors="replace").strip().rpartition("\n")[2]
                if process.exitcode:
                    raise UserError(f"{run.verb} of {run.out} failed: {last or process.exitcode} ({path})")
                log.info("%d of %d: %s", total - len(waiting) - len(running), total, last)
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.join()


def _make(run: Run, path: Path) -> None:
    """A run in a process of its own, which logs to a file."""
    with open(path, "wb") as handle:
        for stream in (1, 2):
            os.dup2(handle.fileno(), stream)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parallel.end_with_parent()
    parallel.single_thread()
    try:
        stage.make(run.out, run.work, run.verb, run.options, run.inputs)  # type: ignore[arg-type]
    except UserError as error:
        raise SystemExit(str(error)) from None
