"""Say what a path is: data directory, frame archive, soft targets, model, lexicon, language model, …

With --phone, the decision trees of a model's phone are shown.

Example: asrdistill info exp/sat --phone AA
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, help="folder, or an ARPA file")
    parser.add_argument("--phone", help="show which questions decide between the senones of this phone")


def run(args: argparse.Namespace) -> None:
    from asrdistill.results.info import describe, phone_trees, show

    print(phone_trees(args.path, args.phone) if args.phone else show(describe(args.path)))
