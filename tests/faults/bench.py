"""What tools/bench/faults.py runs: prints the seed, a table of outcomes by format, the places with faults; figures."""

import argparse
import random
import shutil
import time
from pathlib import Path
from typing import Any

from asrdistill import parallel
from tests.faults.disturb import LINES, faults_of_disks, faults_of_kills
from tests.faults.harness import faults, mutate, summary
from tests.faults.recipe import kill_recipe
from tests.faults.sizes import sizes
from tests.faults.world import make_world


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="new folder, best in memory; files with faults are kept")
    parser.add_argument("--cases", type=int, default=10_000, help="mutated files (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32), help="default: a new one")
    parser.add_argument("--jobs", type=int, default=2, help="processes of mutations (default: %(default)s)")
    parser.add_argument("--only", default="", help="files whose path, or commands whose line, contains this")
    parser.add_argument(
        "--kills", type=int, default=0, help="random moments for each command, beside renames and fsyncs"
    )
    parser.add_argument("--recipe-kills", type=int, default=0, help="of recipes/librispeech, in its smallest form")
    parser.add_argument("--sizes", action="store_true", help="3 hours of audio, 100 MB of ARPA, 10⁵ words, one frame")
    parser.add_argument("--disks", action="store_true", help="run each command on disks of several sizes")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    print(f"seed {args.seed}", flush=True)
    figures, found = {"seed": args.seed}, list[str]()
    if args.cases:
        begin = time.monotonic()
        records = mutate(args.folder / "mutated", args.cases, args.seed, args.jobs, args.only)
        table, counts = summary(records)
        found += faults(records)
        print(table, flush=True)
        figures |= {**counts, "seconds": round(time.monotonic() - begin)}
        for world in (args.folder / "mutated").glob("world*"):
            shutil.rmtree(world)
    if args.kills or args.disks:
        parallel.single_thread()
        world, luck = make_world(args.folder / "world"), random.Random(args.seed)
        for line in (line for line in LINES if args.only in line):
            makes = line.split()[0] not in ("info", "transcribe", "score")
            kills = list(faults_of_kills(world, line, args.kills, luck)) if args.kills and makes else []
            disks = list(faults_of_disks(world, line)) if args.disks else []
            print(f"{len(kills):4} kills, {len(disks)} disks: {line}", flush=True)
            found += filter(None, kills + disks)
            for name, count in (("kills", len(kills)), ("disks", len(disks))):
                figures[name] = figures.get(name, 0) + count
    if args.recipe_kills:
        killed = kill_recipe(args.folder / "recipe", args.recipe_kills, random.Random(args.seed), args.jobs)
        found += [] if killed["same_results"] and not killed["files_that_differ"] else [f"recipe: {killed}"]
        figures["recipe"] = killed
    if args.sizes:
        figures["sizes"] = []
        for row in sizes(make_world(args.folder / "sizes")):
            print(f"{row.seconds:7.1f} s {row.peak_mb:6} MB, exit code {row.status}: {row.command}", flush=True)
            found += [f"{row.command}: {row.message}"] if row.message else []
            figures["sizes"].append(row._asdict())
    print("\n".join(found), flush=True)
    return figures | {"faults": len(found)}
