"""Make one data directory of several; an utterance that two of them have is an error.

Example: asrdistill combine data/train-clean-100 data/train-clean-360 data/train_460
"""

import argparse
from pathlib import Path

from asrdistill.stage import make


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, nargs="+", help="data directories")
    parser.add_argument("out", type=Path, help="data directory to make")


def run(args: argparse.Namespace) -> None:
    from asrdistill.data.directory import DataDirectory, combine, write_genders

    united = combine(DataDirectory.read(data, pipes=True) for data in args.data)

    def work(folder: Path) -> None:
        united.write(folder)
        write_genders(args.data, united, folder)

    make(args.out, work, verb="combine", options={}, inputs=args.data)
