"""Train a frame classifier: a teacher or baseline on an alignment, a student on soft targets too.

The network is the paper's DNN in the size of the options. With --soft-targets the loss is
T² · CE(soft, T) + hard-weight · CE(alignment, 1); with --unlabelled, utterances of STORE that have no alignment are
learnt from too, by their soft targets alone. Held-out frame accuracy is logged each epoch.
With --from it starts from a trained network's form and weights.

With --specialist it is one of the paper's specialists, which start from their generalist: its softmax has the senones
of its set (asrdistill specialists) and a dustbin; half of each batch are frames of its own senones, and an epoch has
each of those once. With --softmax own it has no dustbin and learns from its own frames alone: the generalist says how
probable they are together. With --softmax full it has all senones and learns from the generalist's soft targets too.

A killed run goes on from its last checkpoint and ends with the same bytes. Started by torchrun, its
processes (one for each GPU) divide every batch among them and make the model that one process would.

Example:
  asrdistill train data/train/fbank exp/ali/train exp/teacher.0 --config conf/teacher.yaml --seed 0 \\
      --held-out data/dev/fbank exp/ali/dev
  asrdistill train data/train/fbank exp/ali/train exp/student.0 --config conf/student.yaml \\
      --soft-targets exp/targets/train
  asrdistill train data/train/fbank exp/ali/train exp/specialist.3 --config conf/specialist.yaml \\
      --from exp/teacher.0 --specialist exp/sets 3
  torchrun --standalone --nproc-per-node 8 -m asrdistill train data/train/fbank exp/ali/train exp/teacher.0
"""

import argparse
from pathlib import Path

from asrdistill.config import add_options, hash_fields, resolve
from asrdistill.distill.options import SOFTMAXES
from asrdistill.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from asrdistill.training.options import TrainOptions

    parser.add_argument("features", type=Path, help="feature archive to train on")
    parser.add_argument("alignment", type=Path, help="alignment of its utterances, with senones.json")
    parser.add_argument("out", type=Path, help="model folder to make")
    parser.add_argument("--soft-targets", type=Path, metavar="STORE", help="learn from these as well: a student")
    parser.add_argument("--from", type=Path, dest="start", metavar="MODEL", help="start from this network")
    parser.add_argument("--specialist", nargs=2, metavar=("SETS", "K"), help="be the specialist for set K")
    parser.add_argument(
        "--softmax",
        choices=SOFTMAXES,
        help="of a specialist: its senones and a dustbin (default), these alone, or all",
    )
    parser.add_argument("--held-out", type=Path, nargs=2, metavar=("FEATURES", "ALIGNMENT"), help="measured each epoch")
    add_options(parser, TrainOptions)


def run(args: argparse.Namespace) -> None:
    from asrdistill.distill.teach import train_model
    from asrdistill.training import distributed
    from asrdistill.training.options import TrainOptions

    options = resolve(TrainOptions, args)
    special = _special(args)
    inputs = [
        args.features,
        args.alignment,
        *([args.soft_targets] if args.soft_targets else []),
        *(args.held_out or []),
        *([args.start] if args.start else []),
        *([special[0]] if special else []),
    ]

    def work(out: Path) -> None:
        train_model(args.features, args.alignment, args.soft_targets, args.held_out, options, out, args.start, special)

    which = {"specialist": special[1], "softmax": special[2]} if special else {}
    distributed.make(args.out, work, "train", {**hash_fields(options), **which}, inputs)


def _special(args: argparse.Namespace) -> tuple[Path, int, str] | None:
    """The sets, which of them, and its softmax; raises UserError for what does not go together."""
    if not args.specialist:
        if args.softmax:
            raise UserError("--softmax is for a specialist; say which with --specialist SETS K")
        return None
    sets, number = args.specialist
    if not number.isdecimal():
        raise UserError(f"the set of a specialist is a number, not '{number}'")
    if not args.start:
        raise UserError("a specialist starts from its generalist; name it with --from MODEL")
    if (args.softmax == "full") != bool(args.soft_targets):
        raise UserError("a specialist's --softmax full and the generalist's --soft-targets go together")
    return Path(sets), int(number), args.softmax or SOFTMAXES[0]
