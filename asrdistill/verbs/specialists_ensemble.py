"""Combine a generalist and its specialists into a folder that acts as one model.

On each frame those specialists are active whose set has one of the generalist's most probable senones. The combined
distribution is the one with the least sum of Kullback-Leibler divergences from the generalist's and theirs
(Hinton, Vinyals and Dean 2015, section 5); of specialists with the full softmax it is the arithmetic mean.
Of specialists without a dustbin the generalist says how probable their own senones are together.

Of one senone alone (--active 1), a specialist is asked only where the generalist holds one of the set's for the best
already, too often by mistake; what it says then takes frames from its own senones and can give them none.

Example:
  asrdistill specialists-ensemble exp/teacher.0 exp/specialist.* exp/specialists --active 3
"""

import argparse
from pathlib import Path

from asrdistill import stage


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("generalist", type=Path, help="model folder")
    parser.add_argument("members", type=Path, nargs="+", help="model folders of its specialists")
    parser.add_argument("out", type=Path, help="folder to make")
    parser.add_argument(
        "--active", type=int, default=3, metavar="N", help="senones that choose the specialists (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> None:
    from asrdistill.models.io import save_specialists

    def work(out: Path) -> None:
        save_specialists(out, args.generalist, args.members, args.active)

    stage.make(args.out, work, "specialists-ensemble", {"active": args.active}, [args.generalist, *args.members])
