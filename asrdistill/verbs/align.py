"""Align speech with its text: a senone for each frame, and the times of phones and words.

The model may be a GMM, a DNN or an ensemble; an archive of log-likelihoods stands for both model and
features. With --text, what another file says was spoken is aligned in the place of the data
directory's text, for instance what a first model recognised.

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
    parser.add_argument("model", type=Path, help="model folder: GMM, DNN or ensemble; or an archive of log-likelihoods")
    parser.add_argument("features", type=Path, help="archive of the features that the model was trained on")
    parser.add_argument("data", type=Path, help="data directory with the text")
    parser.add_argument("lang", type=Path, help="lang folder: phones and lexicon")
    parser.add_argument("out", type=Path, help="alignment to make")
    parser.add_argument("--text", type=Path, help="transcripts in the place of the data directory's text")
    parser.add_argument("--jobs", type=int, default=default_jobs(), help="processes (default: %(default)s)")
    add_options(parser, AlignOptions)


def run(args: argparse.Namespace) -> None:
    from asrdistill.decode.acoustic import load_scorer, open_frames
    from asrdistill.hmm.align import align, transcripts
    from asrdistill.hmm.graph import Compiler
    from asrdistill.lang.lexicon import Lang
    from asrdistill.scoring.wer import read_transcripts

    options = resolve(AlignOptions, args)
    model, lang = load_scorer(args.model), Lang.read(args.lang)
    archive = open_frames(args.features, model, args.model)
    Compiler(lang, model.senones)  # checks that the model has the lexicon's phones
    utterances = transcripts(archive, args.data, lang, read_transcripts(args.text) if args.text else None)
    make(
        args.out,
        lambda folder: align(load_scorer, args.model, args.features, utterances, lang, folder, options, args.jobs),
        verb="align",
        options=options,
        inputs=[args.model, args.features, args.data, args.lang, *([args.text] if args.text else [])],
    )
