"""Make log-mel filterbank features (Kaldi's fbank) of a data directory.

Example:
  asrdistill features data/train fbank/train --config conf/fbank.yaml
  asrdistill features data/train fbank/train_copies --config conf/fbank.yaml --warps 1 0.92 1.05
"""

import argparse
import dataclasses
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
    parser.add_argument(
        "--warps",
        type=float,
        nargs="+",
        default=[1.0],
        metavar="W",
        help="a copy of each utterance for each factor that stretches the frequency axis (default: 1, no copies)",
    )
    add_options(parser, FbankOptions)


def run(args: argparse.Namespace) -> None:
    options = resolve(FbankOptions, args)
    data = DataDirectory.read(args.data, pipes=args.pipes)
    make(
        args.out,
        lambda folder: make_fbank(data, folder, options, args.jobs, args.pipes, args.warps),
        verb="features",
        options={**dataclasses.asdict(options), "warps": args.warps},
        inputs=[args.data],
    )
