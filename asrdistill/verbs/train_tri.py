"""Train triphone GMM-HMMs on an alignment: decision trees decide which states share a senone.

To cepstra deltas are added. Features that asrdistill fmllr adapted to their speakers are taken as they
are: that is speaker-adaptive training.

Example: asrdistill train-tri data/cepstra/train exp/ali/train data/train lang exp/tri
"""

import argparse
from collections.abc import Callable
from pathlib import Path

from asrdistill.config import add_options, resolve
from asrdistill.hmm.options import TriphoneOptions
from asrdistill.parallel import default_jobs
from asrdistill.stage import make


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_inputs(parser, "archive of cepstra, or of adapted features")
    add_options(parser, TriphoneOptions)


def run(args: argparse.Namespace) -> None:
    from asrdistill.hmm.train import train_triphones

    train_on_alignment(args, "train-tri", resolve(TriphoneOptions, args), train_triphones)


def add_inputs(parser: argparse.ArgumentParser, features: str) -> None:
    """What every training on an alignment takes; `features` says which archive."""
    parser.add_argument("features", type=Path, help=features)
    parser.add_argument("alignment", type=Path, help="alignment of the same utterances, by any model of these phones")
    parser.add_argument("data", type=Path, help="data directory with the text")
    parser.add_argument("lang", type=Path, help="lang folder: phones and lexicon")
    parser.add_argument("out", type=Path, help="model folder to make")
    parser.add_argument("--jobs", type=int, default=default_jobs(), help="processes (default: %(default)s)")


def train_on_alignment(
    args: argparse.Namespace, verb: str, options: TriphoneOptions, train: Callable[..., None]
) -> None:
    """Check the inputs and make the model folder by `train`, a function of :mod:`asrdistill.hmm.train`."""
    from asrdistill.data.archive import FrameArchive
    from asrdistill.hmm.align import check_alignment, transcripts
    from asrdistill.lang.lexicon import Lang

    lang = Lang.read(args.lang)
    archive = FrameArchive(args.features, kind="features")
    utterances = transcripts(archive, args.data, lang)
    check_alignment(args.alignment, archive, lang)
    make(
        args.out,
        lambda folder: train(args.features, args.alignment, utterances, lang, folder, options, args.jobs),
        verb=verb,
        options=options,
        inputs=[args.features, args.alignment, args.data, args.lang],
    )
