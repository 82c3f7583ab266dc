"""Transcribe a data directory by Whisper: the same with text, and how sure it is of each utterance.

OUT/text has normalised text, OUT/pseudo_labels.tsv the confidences: mean log-probability of the tokens, probability of
no speech, compression ratio. A killed run continues where it stopped. Needs pip install 'asrdistill[whisper]'.

Example:
  asrdistill hear data/pieces data/heard
  asrdistill hear data/pieces data/heard --whisper large-v3 --language fr
"""

import argparse
from pathlib import Path

from asrdistill.config import add_options, resolve
from asrdistill.parallel import default_jobs
from asrdistill.pseudo_label.options import PseudoLabelOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, help="data directory; its utterances are at most 29 s long")
    parser.add_argument("out", type=Path, help="data directory to make")
    parser.add_argument("--jobs", type=int, default=default_jobs(), help="processes (default: %(default)s)")
    add_options(parser, PseudoLabelOptions)


def run(args: argparse.Namespace) -> None:
    from asrdistill.data.directory import DataDirectory
    from asrdistill.encoders.whisper import model_folder
    from asrdistill.pseudo_label.run import make_pseudo_labels
    from asrdistill.stage import make

    options = resolve(PseudoLabelOptions, args)
    data = DataDirectory.read(args.data)
    make(
        args.out,
        lambda out: make_pseudo_labels(data, out, options, args.jobs),
        verb="hear",
        options=options,
        inputs=[args.data, model_folder(options.whisper)],
    )
