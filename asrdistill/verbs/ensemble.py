"""Combine trained models into an ensemble folder that acts as one model.

With --weights-on the mean is weighted, by the weights with the least cross-entropy on an alignment that no member was
trained on. Members may then have learnt from different features, which asrdistill join puts side by side.

A GMM of the same senones and features may stand beside the networks: their distribution is multiplied by the GMM's
likelihoods to the power of SCALE, which is chosen on a development set (0.1 to 0.4, say).

Example:
  asrdistill ensemble exp/teacher.0 exp/teacher.1 exp/ensemble --combine arithmetic
  asrdistill ensemble exp/head exp/teacher.0 exp/teacher.1 exp/company --weights-on both/dev exp/ali/dev
  asrdistill ensemble exp/teacher.0 exp/teacher.1 exp/ensemble --gmm exp/sat 0.2
"""

import argparse
from pathlib import Path

from asrdistill import parallel, stage
from asrdistill.errors import UserError
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
    parser.add_argument("--gmm", nargs=2, metavar=("GMM", "SCALE"), help="a GMM folder beside the networks")


def run(args: argparse.Namespace) -> None:
    from asrdistill.data.archive import FrameArchive
    from asrdistill.distill.weights import choose_weights
    from asrdistill.models.io import save_ensemble

    if args.weights_on and (args.gmm or args.combine != "arithmetic"):
        raise UserError(
            "weights are chosen for the arithmetic mean alone; leave out --combine and --gmm, or --weights-on"
        )
    gmm, scale = (Path(args.gmm[0]), _scale(args.gmm[1])) if args.gmm else (None, 0.0)

    def work(out: Path) -> None:
        if not args.weights_on:
            save_ensemble(out, args.members, args.combine, gmm, scale)
            return
        features_on, alignment = args.weights_on
        weights = choose_weights(args.members, features_on, alignment, args.jobs)
        features = FrameArchive(features_on, "features").meta["features"]
        save_ensemble(out, args.members, args.combine, features=features, weights=weights)

    options = {"combine": args.combine, **({"scale": scale} if gmm else {})}
    inputs = [*args.members, *([gmm] if gmm else []), *(args.weights_on or [])]
    stage.make(args.out, work, "ensemble", options, inputs)


def _scale(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"the scale of a GMM's log-likelihoods is a number, not '{text}'") from None
