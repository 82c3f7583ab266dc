"""Make a feature archive of another system's features, so that they train our networks.

SOURCE is an ark, a gzipped ark or an scp as Kaldi has them (compressed matrices are read too, shell
commands in an scp are not run), or a NumPy file: .npz with an array for each utterance, .npy of one.
A model remembers the features' name and dimension and refuses others.

Example: asrdistill import-features kaldi/data/train/feats.scp data/train/mfcc --name mfcc_hires
"""

import argparse
from pathlib import Path

from asrdistill.stage import make


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, help="ark, ark.gz, scp, npz or npy of feature matrices")
    parser.add_argument("out", type=Path, help="archive to make")
    parser.add_argument("--name", default="feats", help="which features these are (default: %(default)s)")
    parser.add_argument("--frame-shift", type=float, default=0.01, help="seconds between frames (default: %(default)s)")


def run(args: argparse.Namespace) -> None:
    from asrdistill.data.matrices import import_features
    from asrdistill.errors import UserError

    if not 0 < args.frame_shift < 1:
        raise UserError(f"the frame shift is in seconds, 0.01 for instance, not {args.frame_shift:g}")
    make(
        args.out,
        lambda folder: import_features(args.source, folder, args.name, args.frame_shift),
        verb="import-features",
        options={"name": args.name, "frame_shift": args.frame_shift},
        inputs=[args.source],
    )
