"""Measure what specialists add to their generalist, beside other models.

specialists.json and specialists.md: frame accuracy; accuracy on the frames of each specialist's senones when only
those are to choose from (the paper's conditional accuracy, Table 3); accuracy by the number of specialists
that cover the frame's senone (Table 4). Several feature archives, each with its alignment, are pooled.

Example:
  asrdistill specialists-evaluate exp/specialists exp/specialists_frames --against exp/trained_on exp/ensemble \\
      --on data/fbank/test exp/ali/test --on data/fbank/test_unseen exp/ali/test_unseen
"""

import argparse
from pathlib import Path

from asrdistill import parallel, stage


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="folder of a generalist with specialists")
    parser.add_argument("out", type=Path, help="folder to make")
    parser.add_argument(
        "--on",
        type=Path,
        nargs=2,
        action="append",
        required=True,
        metavar=("FEATURES", "ALIGNMENT"),
        help="what to measure on; may be given several times",
    )
    parser.add_argument("--against", type=Path, nargs="+", default=[], help="model folders to measure as well")
    parser.add_argument("--jobs", type=int, default=parallel.default_jobs(), help="processes (default: %(default)s)")


def run(args: argparse.Namespace) -> None:
    from asrdistill.distill.coverage import measure

    def work(out: Path) -> None:
        measure(args.model, args.against, args.on, out, args.jobs)

    inputs = [args.model, *args.against, *(path for pair in args.on for path in pair)]
    stage.make(args.out, work, "specialists-evaluate", {}, inputs)
