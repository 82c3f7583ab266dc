"""Make log-mel filterbank features (Kaldi's fbank) of a data directory.

Example: asrdistill features data/train data/train/fbank --config conf/fbank.yaml
"""

import argparse
from pathlib import Path

from asrdistill.config import add_options, resolve
from asrdistill.data.directory import DataDirectory
from asrdistill.features.extract import make_fbank
from asrdistill.features.options import FbankOptions
from asrdistill.parallel import default_jobs
from asrdistill.stage import make


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, help="data directory")
    parser.add_argument("out", type=Path, help="archive to make")
    parser.add_argument("--jobs", type=int, default=default_jobs(), help="processes (default: %(default)s)")
    parser.add_argument("--pipes", action="store_true", help="accept shell commands in wav.scp")
    add_options(parser, FbankOptions)


def run(args: argparse.Namespace) -> None:
    options = resolve(FbankOptions, args)
    data = DataDirectory.read(args.data, pipes=args.pipes)
    make(
        args.out,
        lambda folder: make_fbank(data, folder, options, args.jobs, args.pipes),
        verb="features",
        options=options,
        inputs=[args.data],
    )
