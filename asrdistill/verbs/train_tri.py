"""Train triphone GMM-HMMs on an alignment: decision trees decide which states share a senone.

To cepstra deltas are added. Features that asrdistill fmllr adapted to their speakers are taken as they
are: that is speaker-adaptive training.

Example: asrdistill train-tri data/cepstra/train exp/ali/train data/train lang exp/tri
"""

import argparse
from pathlib import Path

from asrdistill.config import add_options, resolve
from asrdistill.hmm.options import TriphoneOptions
from asrdistill.parallel import default_jobs
from asrdistill.stage import make


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("features", type=Path, help="archive of cepstra, or of adapted features")
    parser.add_argument("alignment", type=Path, help="alignment of the same utterances, by any model of these phones")
    parser.add_argument("data", type=Path, help="data directory with the text")
    parser.add_argument("lang", type=Path, help="lang folder: phones and lexicon")
    parser.add_argument("out", type=Path, help="model folder to make")
    parser.add_argument("--jobs", type=int, default=default_jobs(), help="processes (default: %(default)s)")
    add_options(parser, TriphoneOptions)


def run(args: argparse.Namespace) -> None:
    from asrdistill.data.archive import FrameArchive
    from asrdistill.data.directory import DataDirectory
    from asrdistill.hmm.align import check_alignment, transcripts
    from asrdistill.hmm.train import train_triphones
    from asrdistill.lang.lexicon import Lang

    options = resolve(TriphoneOptions, args)
    lang = Lang.read(args.lang)
    data = DataDirectory.read(args.data, pipes=True)  # only its text is read
    archive = FrameArchive(args.features, kind="features")
    utterances = transcripts(archive, data, lang)
    check_alignment(args.alignment, archive, lang)
    make(
        args.out,
        lambda folder: train_triphones(args.features, args.alignment, utterances, lang, folder, options, args.jobs),
        verb="train-tri",
        options=options,
        inputs=[args.features, args.alignment, args.data, args.lang],
    )
