"""Make a data directory of some of another's utterances: the shortest, evenly spaced ones, or whole speakers.

Where there are no more than so many, all are taken, which is said. The features of the whole serve the
subset too: training and alignment take the utterances that the data directory names.

Example:
  asrdistill subset data/train data/train_short --shortest 2000
  asrdistill subset data/train data/train_5k --utterances 5000
"""

import argparse
from pathlib import Path

from asrdistill.config import add_options, resolve
from asrdistill.data.options import SubsetOptions
from asrdistill.stage import make


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, help="data directory")
    parser.add_argument("out", type=Path, help="data directory to make")
    add_options(parser, SubsetOptions)


def run(args: argparse.Namespace) -> None:
    from asrdistill.data.directory import DataDirectory, write_genders
    from asrdistill.data.subset import select

    options = resolve(SubsetOptions, args)
    chosen = select(DataDirectory.read(args.data, pipes=True), options, args.data)

    def work(folder: Path) -> None:
        chosen.write(folder)
        write_genders([args.data], chosen, folder)

    make(args.out, work, verb="subset", options=options, inputs=[args.data])
