"""Combine trained models into an ensemble folder that acts as one model.

Example:
  asrdistill ensemble exp/teacher.0 exp/teacher.1 exp/ensemble --combine arithmetic
"""

import argparse
from pathlib import Path

from asrdistill import stage
from asrdistill.models.options import COMBINATIONS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("members", type=Path, nargs="+", help="model folders over the same senones and features")
    parser.add_argument("out", type=Path, help="ensemble folder to make")
    parser.add_argument(
        "--combine",
        choices=COMBINATIONS,
        default="arithmetic",
        help="mean of the members' distributions (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> None:
    from asrdistill.models.folder import save_ensemble

    def work(out: Path) -> None:
        save_ensemble(out, args.members, args.combine)

    stage.make(args.out, work, "ensemble", {"combine": args.combine}, args.members)
