"""Give the perturbed copies in a feature archive the alignment of their originals.

Copies at another speed have other frames; each gets the senone of the original's frame that is nearest in time.

Example:
  asrdistill features data/train fbank/train_copies --warps 1 0.92 1.05 --speeds 0.9 1.1
  asrdistill copies exp/ali/train fbank/train_copies exp/ali/train_copies
"""

import argparse
from pathlib import Path

from asrdistill import stage


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("alignment", type=Path, help="alignment of the originals")
    parser.add_argument("features", type=Path, help="feature archive with the copies")
    parser.add_argument("out", type=Path, help="alignment archive to make")


def run(args: argparse.Namespace) -> None:
    from asrdistill.features.copies import copy_alignment

    def work(out: Path) -> None:
        copy_alignment(args.alignment, args.features, out)

    stage.make(args.out, work, "copies", {}, [args.alignment, args.features])
