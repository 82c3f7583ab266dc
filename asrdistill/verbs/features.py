"""Make log-mel filterbank features (Kaldi's fbank) of a data directory.

Example:
  asrdistill features data/train fbank/train --config conf/fbank.yaml
  asrdistill features data/train fbank/train_copies --config conf/fbank.yaml --warps 1 0.92 1.05
  asrdistill features data/train fbank/train_copies --warps 1 --speeds 0.9 1.1 --volumes 0.3 3 --snr 5 20
"""

import argparse
import dataclasses
from pathlib import Path

from asrdistill.config import add_options, resolve
from asrdistill.data.directory import DataDirectory
from asrdistill.features.extract import make_fbank
from asrdistill.features.options import FbankOptions
from asrdistill.features.perturb import Perturbations
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
    parser.add_argument(
        "--speeds",
        type=float,
        nargs="+",
        default=[],
        metavar="S",
        help="a copy that is so many times as fast, for each",
    )
    parser.add_argument(
        "--volumes", type=float, nargs="+", default=[], metavar="V", help="a copy times this factor, for each"
    )
    parser.add_argument(
        "--snr", type=float, nargs=2, metavar=("LOW", "HIGH"), help="a copy in noise, so many dB below the speech"
    )
    parser.add_argument(
        "--noise",
        type=Path,
        metavar="DATA",
        help="data directory of recordings that the noise is cut from (default: several others of DATA speak)",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the noise (default: %(default)s)")
    add_options(parser, FbankOptions)


def run(args: argparse.Namespace) -> None:
    options = resolve(FbankOptions, args)
    data = DataDirectory.read(args.data, pipes=args.pipes)
    noise = DataDirectory.read(args.noise, pipes=args.pipes) if args.noise else None
    snr = tuple(args.snr) if args.snr else None
    copies = Perturbations(
        tuple(args.warps), tuple(args.speeds), tuple(args.volumes), snr, noise, args.seed, args.pipes
    )
    make(
        args.out,
        lambda folder: make_fbank(data, folder, options, args.jobs, args.pipes, copies),
        verb="features",
        options={**dataclasses.asdict(options), **copies.describe()},
        inputs=[args.data, *([args.noise] if args.noise else [])],
    )
