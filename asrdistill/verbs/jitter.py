"""Copy images with small shifts, so that a network learns that these change nothing.

Example:
  asrdistill jitter data/features/train data/features/train_jitter --pixels 2 --copies 8
  asrdistill copies data/ali/train data/features/train_jitter data/ali/train_jitter
"""

import argparse
from pathlib import Path

from asrdistill import stage


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("features", type=Path, help="feature archive of images")
    parser.add_argument("out", type=Path, help="feature archive to make, of the images and their copies")
    parser.add_argument("--pixels", type=int, default=2, help="largest shift to each side (default: %(default)s)")
    parser.add_argument("--copies", type=int, default=0, help="shifted copies of an image; 0 for every shift (default)")
    parser.add_argument("--seed", type=int, default=0, help="which shifts an image gets (default: %(default)s)")


def run(args: argparse.Namespace) -> None:
    from asrdistill.errors import UserError
    from asrdistill.features.jitter import jitter

    if args.pixels < 1:
        raise UserError(f"--pixels must be at least 1, not {args.pixels}")

    def work(out: Path) -> None:
        jitter(args.features, out, args.pixels, args.copies, args.seed)

    options = {"pixels": args.pixels, "copies": args.copies, "seed": args.seed}
    stage.make(args.out, work, "jitter", options, [args.features])
