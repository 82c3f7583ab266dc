"""Write features, or log-likelihoods, as a Kaldi archive: OUT.ark of float matrices, and OUT.scp beside it.

Example: asrdistill export-features data/dev/fbank kaldi/dev/feats.ark
"""

import argparse
import logging
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("archive", type=Path, help="frame archive with a vector of floats for each frame")
    parser.add_argument("out", type=Path, help="ark to write; the scp gets the same name")


def run(args: argparse.Namespace) -> None:
    from asrdistill.data.kaldi import export_features
    from asrdistill.errors import UserError

    if args.out.suffix != ".ark":
        raise UserError(f"{args.out} must end in .ark; the scp is written beside it")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    count = export_features(args.archive, args.out)
    logging.getLogger("asrdistill").info("%s: %d utterances", args.out, count)
