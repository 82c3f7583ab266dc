"""Take an n-gram language model that somebody else trained: OUT/lm.arpa.

ARPA is a file in that format, gzipped or not. With --lower its words are written in lower case, as those of our
lexica are. It is read block by block, however large it is.

Example: asrdistill import-lm corpus/3-gram.pruned.3e-7.arpa.gz data/lm --lower
"""

import argparse
from pathlib import Path

from asrdistill.stage import make


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("arpa", type=Path, help="ARPA file, gzipped (NAME.gz) or not")
    parser.add_argument("out", type=Path, help="folder to make")
    parser.add_argument("--lower", action="store_true", help="write its words in lower case")


def run(args: argparse.Namespace) -> None:
    from asrdistill.lang.arpa import import_lm

    make(
        args.out,
        lambda folder: import_lm(args.arpa, args.lower, folder),
        verb="import-lm",
        options={"lower": args.lower},
        inputs=[args.arpa],
    )
