"""Measure a model's frame accuracy and cross-entropy against an alignment.

Example:
  asrdistill evaluate exp/student.0 data/dev/fbank exp/ali/dev exp/frames/student.0/dev
"""

import argparse
from pathlib import Path

from asrdistill import parallel, stage


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="model folder of a DNN or an ensemble")
    parser.add_argument("features", type=Path, help="feature archive")
    parser.add_argument("alignment", type=Path, help="alignment of its utterances")
    parser.add_argument("out", type=Path, help="folder to make, with frames.json in it")
    parser.add_argument("--jobs", type=int, default=parallel.default_jobs(), help="processes (default: %(default)s)")


def run(args: argparse.Namespace) -> None:
    from asrdistill.scoring.frames import evaluate

    def work(out: Path) -> None:
        evaluate(args.model, args.features, args.alignment, out, args.jobs)

    stage.make(args.out, work, "evaluate", {}, [args.model, args.features, args.alignment])
