"""Align speech with its text: a senone for each frame, and the times of phones and words.

Makes an archive of kind alignment with phones.ctm and words.ctm beside it. Utterances with fewer
frames than their HMM has states are left out, named and counted.

Example: asrdistill align exp/mono data/dev/cepstra data/dev lang exp/ali/dev
"""

import argparse
from pathlib import Path

from asrdistill.config import add_options, resolve
from asrdistill.hmm.options import AlignOptions
from asrdistill.parallel import default_jobs
from asrdistill.stage import make


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="GMM folder that asrdistill train-mono made")
    parser.add_argument("features", type=Path, help="archive of the features that the model was trained on")
    parser.add_argument("data", type=Path, help="data directory with the text")
    parser.add_argument("lang", type=Path, help="lang folder: phones and lexicon")
    parser.add_argument("out", type=Path, help="alignment to make")
    parser.add_argument("--jobs", type=int, default=default_jobs(), help="processes (default: %(default)s)")
    add_options(parser, AlignOptions)


def run(args: argparse.Namespace) -> None:
    from asrdistill.data.archive import FrameArchive
    from asrdistill.data.directory import DataDirectory
    from asrdistill.hmm.align import align, check_features, transcripts
    from asrdistill.hmm.gmm import load_gmm
    from asrdistill.hmm.graph import Compiler
    from asrdistill.lang.lexicon import Lang

    options = resolve(AlignOptions, args)
    model, lang = load_gmm(args.model), Lang.read(args.lang)
    archive = FrameArchive(args.features, kind="features")
    check_features(model.meta["features"], archive, args.model)
    Compiler(lang, model.senones)  # checks that the model has the lexicon's phones
    utterances = transcripts(archive, DataDirectory.read(args.data, pipes=True), lang)  # only its text is read
    make(
        args.out,
        lambda folder: align(load_gmm, args.model, args.features, utterances, lang, folder, options, args.jobs),
        verb="align",
        options=options,
        inputs=[args.model, args.features, args.data, args.lang],
    )
