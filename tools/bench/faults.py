"""Mutate files of every format that is read, and count how commands and readers end: see tests/faults.

Prints the seed, which is new in each run, a table of outcomes by format, the places with faults, and a line of JSON.
Files that led to a fault are kept in FOLDER/bad.

Example:
  python tools/bench/faults.py /tmp/faults --cases 10000
"""

import random
import shutil
import sys
import time
from pathlib import Path

from common import ROOT, arguments, finish, timed

sys.path[:0] = [str(ROOT), str(ROOT / "recipes/amazon_queen/local")]

from tests.faults.harness import BAD, faults, mutate, summary  # noqa: E402


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("folder", type=Path, help="new folder to work in, best in memory")
    parser.add_argument("--cases", type=int, default=10_000, help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32), help="default: a new one")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: %(default)s)")
    parser.add_argument("--only", default="", help="files whose path contains this")
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    records, seconds = timed(lambda: mutate(args.folder, args.cases, args.seed, args.jobs, args.only), time.monotonic)
    table, counts = summary(records)
    print("\n".join([table, *faults(records)]), flush=True)
    for world in args.folder.glob("world*"):
        shutil.rmtree(world)
    finish({"seed": args.seed, **counts, "seconds": round(seconds)})
    sys.exit(any(counts[how] for how in BAD))


if __name__ == "__main__":
    main()
