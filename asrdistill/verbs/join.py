"""Put features of different kinds side by side, for an ensemble whose members hear differently.

They must have the same frames: filterbanks, and what asrdistill encode made for these. OUT holds their names alone.

Example:
  asrdistill join fbank/dev whisper/dev both/dev
  asrdistill ensemble exp/head exp/teacher.0 exp/teacher.1 exp/company --weights-on both/dev exp/ali/dev
  asrdistill evaluate exp/company both/dev exp/ali/dev exp/frames/company
"""

import argparse
from pathlib import Path

from asrdistill import stage


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("features", type=Path, nargs="+", help="feature archives")
    parser.add_argument("out", type=Path, help="archive to make")


def run(args: argparse.Namespace) -> None:
    from asrdistill.features.paste import paste

    stage.make(args.out, lambda out: paste(args.features, out), "join", {}, args.features)
