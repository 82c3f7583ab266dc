"""Take the network of one width out of a DNN that was trained in several.

Example:
  asrdistill train data/train/fbank exp/ali/train exp/slimmable --widths 0.25 0.5 1 --soft-targets exp/targets/train
  asrdistill slim exp/slimmable 0.25 exp/quarter
"""

import argparse
from pathlib import Path

from asrdistill import stage


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="model folder of a DNN that was trained with --widths")
    parser.add_argument("width", type=float, help="which of its widths, as a share of the whole")
    parser.add_argument("out", type=Path, help="model folder to make")


def run(args: argparse.Namespace) -> None:
    from asrdistill.models.adjust import extract_width

    stage.make(
        args.out, lambda out: extract_width(args.model, args.width, out), "slim", {"width": args.width}, [args.model]
    )
