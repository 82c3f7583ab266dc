"""Say what a path is: data directory, frame archive, soft targets, model, lexicon, language model, …

Example: asrdistill info exp/student.0
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, help="folder, or an ARPA file")


def run(args: argparse.Namespace) -> None:
    from asrdistill.report.info import describe, show

    print(show(describe(args.path)))
