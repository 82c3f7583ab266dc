"""Choose the senones of specialists: those that a generalist confuses with each other.

On-line K-means on the covariance of the generalist's predictions; the sets may overlap (Hinton, Vinyals and
Dean 2015, section 5). The folder's sets.json can be read; asrdistill info shows a line for each set.

Example:
  asrdistill specialists exp/teacher.0 data/fbank/train exp/sets --sets 15 --size 80
"""

import argparse
from pathlib import Path

from asrdistill import parallel, stage
from asrdistill.config import add_options, resolve
from asrdistill.distill.options import SetOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("generalist", type=Path, help="model folder")
    parser.add_argument("features", type=Path, help="feature archive whose senones it predicts")
    parser.add_argument("out", type=Path, help="folder to make, with sets.json in it")
    parser.add_argument("--jobs", type=int, default=parallel.default_jobs(), help="processes (default: %(default)s)")
    add_options(parser, SetOptions)


def run(args: argparse.Namespace) -> None:
    from asrdistill.data.archive import FrameArchive
    from asrdistill.distill.sets import make_sets

    options = resolve(SetOptions, args)

    def work(out: Path) -> None:
        make_sets(args.generalist, FrameArchive(args.features, "features"), out, options, args.jobs)

    stage.make(args.out, work, "specialists", options, [args.generalist, args.features])
