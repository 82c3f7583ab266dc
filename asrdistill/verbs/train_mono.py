"""Train a monophone GMM-HMM from features and text alone (flat start).

The model folder says which features it was trained on; asrdistill align makes alignments with it.

Example: asrdistill train-mono data/train/cepstra data/train lang exp/mono
"""

import argparse
from pathlib import Path

from asrdistill.config import add_options, resolve
from asrdistill.hmm.options import MonoOptions
from asrdistill.parallel import default_jobs
from asrdistill.stage import make


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("cepstra", type=Path, help="archive that asrdistill cepstra made")
    parser.add_argument("data", type=Path, help="data directory with the text")
    parser.add_argument("lang", type=Path, help="lang folder: phones and lexicon")
    parser.add_argument("out", type=Path, help="model folder to make")
    parser.add_argument("--jobs", type=int, default=default_jobs(), help="processes (default: %(default)s)")
    add_options(parser, MonoOptions)


def run(args: argparse.Namespace) -> None:
    from asrdistill.data.archive import FrameArchive
    from asrdistill.hmm.align import transcripts
    from asrdistill.hmm.train import train_mono
    from asrdistill.lang.lexicon import Lang

    options = resolve(MonoOptions, args)
    lang = Lang.read(args.lang)
    utterances = transcripts(FrameArchive(args.cepstra, kind="features"), args.data, lang)
    make(
        args.out,
        lambda folder: train_mono(args.cepstra, utterances, lang, folder, options, args.jobs),
        verb="train-mono",
        options=options,
        inputs=[args.cepstra, args.data, args.lang],
    )
