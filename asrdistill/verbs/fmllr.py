"""Adapt features to their speakers: one linear transform for each, to where a GMM expects them (fMLLR).

Makes an archive of the vectors that the model's Gaussians see, each speaker's transformed. Trained on
these (asrdistill train-tri), a model is speaker-adaptive; to decode with it, align what a first model
recognised, adapt, and decode the adapted features.

Example: asrdistill fmllr exp/lda_mllt data/cepstra/train exp/ali/train data/train data/fmllr/train
"""

import argparse
from pathlib import Path

from asrdistill.config import add_options, resolve
from asrdistill.hmm.options import FmllrOptions
from asrdistill.parallel import default_jobs
from asrdistill.stage import make


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="GMM folder that the features are adapted to")
    parser.add_argument("features", type=Path, help="archive of the features before adaptation")
    parser.add_argument("alignment", type=Path, help="alignment of the utterances, by any model of these phones")
    parser.add_argument("data", type=Path, help="data directory: which utterances, and who speaks")
    parser.add_argument("out", type=Path, help="archive to make")
    parser.add_argument("--jobs", type=int, default=default_jobs(), help="processes (default: %(default)s)")
    add_options(parser, FmllrOptions)


def run(args: argparse.Namespace) -> None:
    from asrdistill.data.directory import read_speakers
    from asrdistill.hmm.fmllr import adapt, check

    options = resolve(FmllrOptions, args)
    check(args.model, args.features, args.alignment)
    who = read_speakers(args.data)
    make(
        args.out,
        lambda folder: adapt(args.model, args.features, args.alignment, who, folder, options, args.jobs),
        verb="fmllr",
        options=options,
        inputs=[args.model, args.features, args.alignment, args.data],
    )
