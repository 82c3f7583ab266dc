"""Mutates files of the world and reads them, under a watchdog, in worker processes.

Each case ends in one way: refused (a UserError of one line), same (the result of the unchanged file), other (another
result, as the second parser has it, or without one), warned (another result and a warning), silent (another result,
unlike the second parser's or in spite of a checksum), traceback, hang, crash (the process died), or broken (not even
the unchanged file is read). Lenient: another result, of a file that the second parser refuses.
"""

import contextlib
import faulthandler
import io
import json
import logging
import multiprocessing
import random
import resource
import shutil
import signal
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BAD = ("broken", "silent", "traceback", "hang", "crash")
SECONDS = 20  # that a case may take
MEMORY = 6 << 30  # bytes of address space beyond what is mapped when the cases begin


class HangError(BaseException):
    """The watchdog has ended a case."""


class Warned(logging.Handler):
    """Counts what is logged as a warning or an error."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Raise HangError after SECONDS; end the process if the code does not come back to Python."""

    def end(*_: Any) -> None:
        raise HangError

    signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    faulthandler.dump_traceback_later(2 * SECONDS, exit=True)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()


def work(world: Path, seed: int, cases: int, log: Path, only: str, deadline: float) -> None:
    """Run `cases` cases in a copy of the world of its own; a line of JSON to `log` for each, before and after."""
    from asrdistill import parallel
    from asrdistill.errors import UserError
    from tests.faults.mutate import mutated
    from tests.faults.targets import SAME, found_in, plain

    parallel.single_thread()
    warned, logger = Warned(), logging.getLogger("asrdistill")
    logger.addHandler(warned)
    logger.propagate = False
    logger.setLevel(logging.INFO)
    warnings.simplefilter("ignore")
    luck = random.Random(seed)
    targets = [(target, path) for target, path in found_in(world) if only in str(path.relative_to(world))]
    clean: dict[int, Any] = {}
    limit = int(Path("/proc/self/statm").read_text().split()[0]) * 4096 + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    def outcome(number: int) -> tuple[str, str]:
        target, path = targets[number]
        warned.count = 0
        try:
            with watched(), contextlib.redirect_stderr(io.StringIO()):
                result = plain(target.use(world, path))
        except UserError as error:
            lines = str(error).splitlines()
            return (
                ("refused", lines[0]) if len(lines) == 1 and lines[0].strip() else ("traceback", f"message: {error!r}")
            )
        except HangError:
            return "hang", "".join(traceback.format_exc().splitlines()[-3:])
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            places = [frame for frame in traceback.extract_tb(error.__traceback__) if "asrdistill/" in frame.filename]
            where = f"{places[-1].filename.rpartition('asrdistill/')[2]}:{places[-1].lineno}" if places else "?"
            return "traceback", f"{type(error).__name__} at {where}: {str(error)[:150]}"
        if number not in clean:
            clean[number] = result
        if result == clean[number]:
            return "same", ""
        if warned.count:
            return "warned", ""
        if target.oracle is None:
            return "other", "without a second parser"
        if target.oracle == SAME:
            return "silent", "in spite of its checksum"
        try:
            second = plain(target.oracle(world, path))
        except Exception as error:
            return "lenient", f"the second parser fails: {type(error).__name__} {str(error)[:80]}"
        return (
            ("other", "as the second parser has it")
            if second == result
            else ("silent", f"{str(second)[:300]} | {str(result)[:300]}")
        )

    with open(log, "w") as out:

        def note(**facts: Any) -> None:
            out.write(json.dumps(facts) + "\n")
            out.flush()

        for case in range(cases):
            if time.time() > deadline:
                break
            own = luck.getrandbits(48)
            each = random.Random(own)
            number = each.randrange(len(targets))
            target, path = targets[number]
            if number not in clean and (found := outcome(number))[0] != "same":
                note(
                    case=case,
                    seed=0,
                    file=str(path.relative_to(world)),
                    target=target.files,
                    how="broken",
                    why=str(found),
                )
                continue
            content = path.read_bytes()
            try:
                changed = mutated(each, path.name, content)
            except Exception:
                continue  # nothing to change in it
            name = str(path.relative_to(world))
            note(case=case, seed=own, file=name)
            path.write_bytes(changed)
            begin = time.monotonic()
            how, why = outcome(number) if changed != content else ("same", "")
            kept = log.parent / "bad" / f"{own:012x}.{path.name}"
            if how in BAD:
                kept.parent.mkdir(exist_ok=True)
                kept.write_bytes(changed)
            path.write_bytes(content)
            if name.startswith("recogniser"):  # its graph is made anew
                folder = world / name.split("/")[0]
                shutil.rmtree(folder)
                shutil.copytree(world.with_name("world") / folder.name, folder)
            note(
                case=case,
                seed=own,
                file=name,
                target=target.files,
                how=how,
                why=why,
                seconds=round(time.monotonic() - begin, 3),
            )


def warm_up(world: Path, only: str) -> None:
    """Read a file for each target, so that workers, which are forked, have compiled code."""
    from tests.faults.targets import found_in

    seen = set()
    logging.getLogger("asrdistill").propagate = False
    for target, path in found_in(world):
        if target not in seen and only in str(path.relative_to(world)):
            seen.add(target)
            with contextlib.suppress(Exception):  # it is counted as broken later
                target.use(world, path)
    for name in ("OUT", "graph"):
        shutil.rmtree(world / name, ignore_errors=True)


def mutate(
    folder: Path, cases: int, seed: int, jobs: int = 2, only: str = "", minutes: float = 60.0
) -> list[dict[str, Any]]:
    """The records of all cases, in a new `folder`."""
    from tests.faults.world import make_world

    folder.mkdir(parents=True, exist_ok=True)
    world = make_world(folder / "world")
    warm_up(world, only)
    context, deadline = multiprocessing.get_context("fork"), time.time() + 60 * minutes
    records: list[dict[str, Any]] = []
    for part in range(jobs):
        shutil.copytree(world, folder / f"world.{part}")
    todo = dict.fromkeys(range(jobs), cases // jobs)
    running: dict[Any, tuple[int, Path]] = {}
    tries: Counter[int] = Counter()
    while todo or running:
        for part, count in list(todo.items()):
            log = folder / f"{part}.{tries[part]}.jsonl"
            args = (folder / f"world.{part}", seed * 1000 + 100 * part + tries[part], count, log, only, deadline)
            process = context.Process(target=work, args=args)
            process.start()
            running[process] = part, log
            del todo[part]
        for process in list(running):
            process.join(1)
            if process.exitcode is None:
                continue
            part, log = running.pop(process)
            lines = [json.loads(line) for line in log.read_text().splitlines()]
            records += [line for line in lines if "how" in line]
            if process.exitcode:
                last = lines[-1] if lines else {"case": -1, "seed": 0, "file": "?"}
                records.append({**last, "target": "", "how": "crash", "why": f"exit code {process.exitcode}"})
                tries[part] += 1
                shutil.rmtree(folder / f"world.{part}")
                shutil.copytree(world, folder / f"world.{part}")
                if (left := cases // jobs - last["case"] - 1) > 0 and tries[part] < 50:
                    todo[part] = left
    return records


def summary(records: list[dict[str, Any]]) -> tuple[str, dict[str, int]]:
    """(a table of outcomes by kind of file, the counts)"""
    kinds: dict[str, Counter[str]] = {}
    for record in records:
        name = record["file"].rpartition("/")[2]
        kinds.setdefault(name.rpartition(".")[2] if "." in name[1:] else name, Counter())[record["how"]] += 1
    hows = ["refused", "same", "other", "lenient", "warned", *BAD]
    rows = [f"{'file':12}" + "".join(f"{how:>10}" for how in hows)]
    rows += [f"{kind:12}" + "".join(f"{counts[how]:>10}" for how in hows) for kind, counts in sorted(kinds.items())]
    total = Counter(record["how"] for record in records)
    rows += [f"{'all':12}" + "".join(f"{total[how]:>10}" for how in hows)]
    return "\n".join(rows), {"cases": len(records), **{how: total[how] for how in hows}}


def faults(records: list[dict[str, Any]]) -> list[str]:
    """A line for each place with a fault, the most frequent first."""
    places: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for record in records:
        if (how := record["how"]) in BAD:
            places.setdefault((how, record["why"] if how == "traceback" else record["target"]), []).append(record)
    return [
        f"{len(found)} × {how}: {found[0]['file']} (seed {found[0]['seed']:012x}): {found[0]['why']}"
        for (how, _), found in sorted(places.items(), key=lambda place: -len(place[1]))
    ]
