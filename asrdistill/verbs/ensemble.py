"""Combine trained models into an ensemble folder that acts as one model.

A GMM of the same senones and features may stand beside the networks: their distribution is multiplied by the GMM's
likelihoods to the power of SCALE, which is chosen on a development set (0.1 to 0.4, say).

Example:
  asrdistill ensemble exp/teacher.0 exp/teacher.1 exp/ensemble --combine arithmetic
  asrdistill ensemble exp/teacher.0 exp/teacher.1 exp/ensemble --gmm exp/sat 0.2
"""

import argparse
from pathlib import Path

from asrdistill import stage
from asrdistill.errors import UserError
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
    parser.add_argument("--gmm", nargs=2, metavar=("GMM", "SCALE"), help="a GMM folder beside the networks")


def run(args: argparse.Namespace) -> None:
    from asrdistill.models.folder import save_ensemble

    gmm, scale = (Path(args.gmm[0]), _scale(args.gmm[1])) if args.gmm else (None, 0.0)

    def work(out: Path) -> None:
        save_ensemble(out, args.members, args.combine, gmm, scale)

    options = {"combine": args.combine, **({"scale": scale} if gmm else {})}
    stage.make(args.out, work, "ensemble", options, [*args.members, *([gmm] if gmm else [])])


def _scale(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"the scale of a GMM's log-likelihoods is a number, not '{text}'") from None
