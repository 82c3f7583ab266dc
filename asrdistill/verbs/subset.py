"""Take some utterances of a data directory or a frame archive: the shortest, spaced or random ones, whole speakers.

Where there are no more than so many, all are taken, which is said. The features of the whole serve the
subset too: training and alignment take the utterances that the data directory, or the alignment, names. A subset of an
archive is an index over the same shards.

Example:
  asrdistill subset data/train data/train_short --shortest 2000
  asrdistill subset data/train data/train_5k --utterances 5000
  asrdistill subset exp/ali/train exp/ali/train_3 --percent 3
"""

import argparse
from pathlib import Path

from asrdistill.config import add_options, resolve
from asrdistill.data.options import SubsetOptions
from asrdistill.stage import make


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, help="data directory or frame archive")
    parser.add_argument("out", type=Path, help="the same to make")
    add_options(parser, SubsetOptions)


def run(args: argparse.Namespace) -> None:
    from asrdistill.data.archive import FrameArchive
    from asrdistill.data.directory import DataDirectory, write_genders
    from asrdistill.data.subset import select, select_rows, write_rows

    options = resolve(SubsetOptions, args)
    if (args.data / "index.tsv").is_file():
        archive = FrameArchive(args.data)
        rows = select_rows(archive, options)

        def work(folder: Path) -> None:
            write_rows(archive, folder, rows)

    else:
        chosen = select(DataDirectory.read(args.data, pipes=True), options, args.data)

        def work(folder: Path) -> None:
            chosen.write(folder)
            write_genders([args.data], chosen, folder)

    make(args.out, work, verb="subset", options=options, inputs=[args.data])
