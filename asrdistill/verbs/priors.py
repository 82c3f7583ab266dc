"""Make a copy of a network whose priors are its own mean posterior over features, those it was trained on best.

What train writes has the relative frequency of senones in the alignment as its priors. Which of both
is better for decoding is chosen on a development set, with asrdistill tune.

Example: asrdistill priors exp/student.0 data/fbank/train exp/student.0.mean
"""

import argparse
from pathlib import Path

from asrdistill import parallel, stage


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="model folder of a single network")
    parser.add_argument("features", type=Path, help="feature archive")
    parser.add_argument("out", type=Path, help="model folder to make")
    parser.add_argument("--jobs", type=int, default=parallel.default_jobs(), help="processes (default: %(default)s)")


def run(args: argparse.Namespace) -> None:
    from asrdistill.models.adjust import adjust_priors

    def work(out: Path) -> None:
        adjust_priors(args.model, args.features, out, args.jobs)

    stage.make(args.out, work, "priors", {}, [args.model, args.features])
