"""Store a model's soft targets: the k most probable senones of each frame and the mass of the rest.

Example:
  asrdistill soft-targets exp/ensemble data/train/fbank exp/targets/train --keep 20 --temperatures 1 2
"""

import argparse
from pathlib import Path

from asrdistill import parallel, stage
from asrdistill.config import add_options, resolve
from asrdistill.distill.options import StoreOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="model folder of a DNN or an ensemble: the teacher")
    parser.add_argument("features", type=Path, help="feature archive of the transfer set")
    parser.add_argument("out", type=Path, help="soft-target store to make")
    parser.add_argument("--jobs", type=int, default=parallel.default_jobs(), help="processes (default: %(default)s)")
    add_options(parser, StoreOptions)


def run(args: argparse.Namespace) -> None:
    from asrdistill.data.archive import FrameArchive
    from asrdistill.distill.store import make_store

    options = resolve(StoreOptions, args)

    def work(out: Path) -> None:
        make_store(args.model, FrameArchive(args.features, "features"), out, options, args.jobs)

    stage.make(args.out, work, "soft-targets", options, [args.model, args.features])
