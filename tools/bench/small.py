"""What recipes/amazon_queen/run.sh --small claims, over seeds that are run apart, each with teachers of its own.

Prints for each seed, all sets pooled, the share of the ensemble's gain in frame accuracy over its mean member that the
student keeps, and the student's WER minus the members' mean, in points; then their means. Folders that are there
already are only read. The last line is JSON.

Example:
  python tools/bench/small.py /tmp/small --seeds 5
"""

import subprocess
from pathlib import Path

import numpy as np
from common import ROOT, arguments, finish

from asrdistill.results.plan import read_results


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("out", type=Path, help="folder for the corpus and for an experiment per seed")
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="runs (default: %(default)s)")
    parser.add_argument("--options", nargs="*", default=[], metavar="X", help="further options of run.sh, without --")
    args = parser.parse_args()
    found = []
    for seed in range(0, 4 * args.seeds, 4):  # four teachers each
        exp = args.out / f"exp.{seed}"
        if not (exp / "results.json").is_file():
            words = ["--small", "--seed", seed, "--data", args.out / "data", "--exp", exp]
            options = [word for option in args.options for word in option.split("=", 1)]
            options[::2] = [f"--{name}" for name in options[::2]]
            subprocess.run([ROOT / "recipes/amazon_queen/run.sh", *map(str, words), *options], check=True)
        found.append(claim(exp / "results.json"))
        print(f"seed {seed:2}: {found[-1][0]:3.0f} % of the gain kept, WER {found[-1][1]:+.2f} points", flush=True)
    kept, change = zip(*found, strict=True)
    print(f"mean: {np.mean(kept):.0f} % kept, WER {np.mean(change):+.2f} points")
    finish({"kept_percent": [round(k, 1) for k in kept], "wer_difference": [round(c, 3) for c in change]})


def claim(results: Path) -> tuple[float, float]:
    """(percent of the gain in words that the student keeps, its WER minus the baseline's) with all sets pooled."""
    found = read_results(results)

    def pooled(system: str, measure: str) -> float:
        return float(np.mean([value for value, _ in found.table.seeds(system, measure, *found.plan.pooled)]))

    single, ensemble, student = (pooled(name, "wer") for name in ("single", "ensemble", "student"))
    return 100 * (single - student) / (single - ensemble), student - single


if __name__ == "__main__":
    main()
