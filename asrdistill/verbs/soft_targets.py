"""Store a model's soft targets: the k most probable senones of each frame and the mass of the rest.

TEACHER is a model, or what import-posteriors made of another system's posteriors of the same frames. Where its units
are not the senones that a student is to learn, --map gives an alignment of (some of) the utterances over these: each
unit is shared out among the senones that are aligned where it is probable.

--unseen names the alignments that an ensemble's members learnt from, in their order: of each utterance only those
members speak that have not learnt from it (all of them, where every one has).

Example:
  asrdistill soft-targets exp/ensemble data/train/fbank exp/targets/train --keep 20 --temperatures 1 2
  asrdistill soft-targets exp/halves data/train/fbank exp/targets/unseen --unseen exp/ali/half.0 exp/ali/half.1
  asrdistill soft-targets posteriors/theirs data/train/fbank exp/targets/theirs --map exp/ali/train
"""

import argparse
from pathlib import Path

from asrdistill import parallel, stage
from asrdistill.config import add_options, resolve
from asrdistill.distill.options import StoreOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="teacher", help="DNN, ensemble, or imported posteriors")
    parser.add_argument("features", type=Path, help="feature archive of the transfer set")
    parser.add_argument("out", type=Path, help="soft-target store to make")
    parser.add_argument("--map", type=Path, metavar="ALIGNMENT", help="over our senones: the teacher has other units")
    parser.add_argument("--unseen", type=Path, nargs="+", default=[], metavar="ALIGNMENT", help="of each member")
    parser.add_argument("--jobs", type=int, default=parallel.default_jobs(), help="processes (default: %(default)s)")
    add_options(parser, StoreOptions)


def run(args: argparse.Namespace) -> None:
    from asrdistill.data.archive import FrameArchive
    from asrdistill.distill.mapping import cooccurrence
    from asrdistill.distill.store import make_store

    options = resolve(StoreOptions, args)

    def work(out: Path) -> None:
        mapping = cooccurrence(args.model, args.features, args.map, args.jobs) if args.map else None
        make_store(args.model, FrameArchive(args.features, "features"), out, options, args.jobs, mapping, args.unseen)

    inputs = [args.model, args.features, *([args.map] if args.map else []), *args.unseen]
    stage.make(args.out, work, "soft-targets", options, inputs)
