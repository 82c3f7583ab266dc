"""Keep whole recordings back: OUT/train, OUT/dev and OUT/test of a data directory that nobody divided.

With fewer than ten recordings, the last pieces of each are kept back.

Example: asrdistill hold-out data/pieces data/sets --percent 10
"""

import argparse
from pathlib import Path

from asrdistill.config import add_options, resolve
from asrdistill.data.options import SplitOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, help="data directory")
    parser.add_argument("out", type=Path, help="folder for the three data directories")
    add_options(parser, SplitOptions)


def run(args: argparse.Namespace) -> None:
    from asrdistill.data.directory import DataDirectory
    from asrdistill.data.split import write_splits
    from asrdistill.stage import make

    options = resolve(SplitOptions, args)
    data = DataDirectory.read(args.data)
    make(
        args.out,
        lambda out: write_splits(data, options.percent, out),
        verb="hold-out",
        options=options,
        inputs=[args.data],
    )
