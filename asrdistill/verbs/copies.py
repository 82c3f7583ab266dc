"""Give the perturbed copies in a feature archive the alignment of their originals, or their soft targets.

ORIGINALS may be any archive with a row for each frame of theirs; an encoder's frames, too. Copies at another speed have
other frames; each gets the row of the original's frame that is nearest in time.

Example:
  asrdistill features data/train fbank/train_copies --warps 1 0.92 1.05 --speeds 0.9 1.1
  asrdistill copies exp/ali/train fbank/train_copies exp/ali/train_copies
  asrdistill copies exp/targets/train fbank/train_copies exp/targets/train_copies
"""

import argparse
from pathlib import Path

from asrdistill import stage


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("originals", type=Path, help="alignment or soft targets of the originals")
    parser.add_argument("features", type=Path, help="feature archive with the copies")
    parser.add_argument("out", type=Path, help="archive to make")


def run(args: argparse.Namespace) -> None:
    from asrdistill.features.perturb import expand_to_copies

    def work(out: Path) -> None:
        expand_to_copies(args.originals, args.features, out)

    stage.make(args.out, work, "copies", {}, [args.originals, args.features])
