"""Make cepstra with per-speaker mean and variance normalisation from log-mel features.

Example: asrdistill cepstra data/train/fbank data/train data/train/cepstra
"""

import argparse
from pathlib import Path

from asrdistill.config import add_options, resolve
from asrdistill.data.directory import read_speakers
from asrdistill.features.cepstra import CepstraOptions, check, make_cepstra
from asrdistill.parallel import default_jobs
from asrdistill.stage import make


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("fbank", type=Path, help="archive that asrdistill features made")
    parser.add_argument("data", type=Path, help="its data directory (says who speaks)")
    parser.add_argument("out", type=Path, help="archive to make")
    parser.add_argument("--jobs", type=int, default=default_jobs(), help="processes (default: %(default)s)")
    add_options(parser, CepstraOptions)


def run(args: argparse.Namespace) -> None:
    options = resolve(CepstraOptions, args)
    speakers = read_speakers(args.data)
    check(args.fbank, speakers, options)
    make(
        args.out,
        lambda folder: make_cepstra(args.fbank, speakers, folder, options, args.jobs),
        verb="cepstra",
        options=options,
        inputs=[args.fbank, args.data],
    )
