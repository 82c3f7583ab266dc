"""Make a phone loop of an alignment: OUT/lang and OUT/lm, with which a model decodes phones and knows no word.

Its words are the alignment's phones, its language model is a bigram of their order there.

Example:
  asrdistill phone-loop exp/ali/tri data/loop
  asrdistill decode exp/tri data/cepstra data/loop/lang data/loop/lm exp/loop
"""

import argparse
from pathlib import Path

ORDER = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("alignment", type=Path, help="alignment whose phones to take")
    parser.add_argument("out", type=Path, help="folder to make")


def run(args: argparse.Namespace) -> None:
    from asrdistill.decode.loop import make_loop
    from asrdistill.stage import make

    make(
        args.out,
        lambda out: make_loop(args.alignment, out, ORDER),
        verb="phone-loop",
        options={"order": ORDER},
        inputs=[args.alignment],
    )
