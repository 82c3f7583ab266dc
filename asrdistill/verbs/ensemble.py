"""Combine trained models into an ensemble folder that acts as one model.

With --weights-on the mean is weighted, by the weights with the least cross-entropy on an alignment that no member was
trained on. Members may then have learnt from different features, which asrdistill join puts side by side.

Example:
  asrdistill ensemble exp/teacher.0 exp/teacher.1 exp/ensemble --combine arithmetic
  asrdistill ensemble exp/head exp/teacher.0 exp/teacher.1 exp/company --weights-on both/dev exp/ali/dev
"""

import argparse
from pathlib import Path

from asrdistill import parallel, stage
from asrdistill.models.options import COMBINATIONS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("members", type=Path, nargs="+", help="model folders over the same senones")
    parser.add_argument("out", type=Path, help="ensemble folder to make")
    parser.add_argument(
        "--combine",
        choices=COMBINATIONS,
        default="arithmetic",
        help="mean of the members' distributions (default: %(default)s)",
    )
    parser.add_argument(
        "--weights-on",
        type=Path,
        nargs=2,
        metavar=("FEATURES", "ALIGNMENT"),
        help="choose the members' weights there (default: equal weights)",
    )
    parser.add_argument("--jobs", type=int, default=parallel.default_jobs(), help="processes (default: %(default)s)")


def run(args: argparse.Namespace) -> None:
    from asrdistill.data.archive import FrameArchive
    from asrdistill.distill.weights import choose_weights
    from asrdistill.errors import UserError
    from asrdistill.models.folder import save_ensemble

    if args.weights_on and args.combine != "arithmetic":
        raise UserError("weights are chosen for the arithmetic mean; leave out --combine, or --weights-on")

    def work(out: Path) -> None:
        if not args.weights_on:
            save_ensemble(out, args.members, args.combine)
            return
        features, alignment = args.weights_on
        weights = choose_weights(args.members, features, alignment, args.jobs)
        save_ensemble(out, args.members, args.combine, FrameArchive(features).meta["features"], weights)

    stage.make(args.out, work, "ensemble", {"combine": args.combine}, [*args.members, *(args.weights_on or [])])
