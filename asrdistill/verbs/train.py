"""Train a frame classifier: a teacher or baseline on an alignment, a student on soft targets too.

The network is the paper's DNN in the size of the options. With --soft-targets the loss is
T² · CE(soft, T) + hard-weight · CE(alignment, 1); with --unlabelled, utterances of STORE that have no alignment are
learnt from too, by their soft targets alone. Held-out frame accuracy is logged each epoch.
A killed run goes on from its last checkpoint and ends with the same bytes. Started by torchrun, its
processes (one for each GPU) divide every batch among them and make the model that one process would.

Example:
  asrdistill train data/train/fbank exp/ali/train exp/teacher.0 --config conf/teacher.yaml --seed 0 \\
      --held-out data/dev/fbank exp/ali/dev
  asrdistill train data/train/fbank exp/ali/train exp/student.0 --config conf/student.yaml \\
      --soft-targets exp/targets/train
  torchrun --standalone --nproc-per-node 8 -m asrdistill train data/train/fbank exp/ali/train exp/teacher.0
"""

import argparse
from pathlib import Path

from asrdistill.config import add_options, resolve


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from asrdistill.training.options import TrainOptions

    parser.add_argument("features", type=Path, help="feature archive to train on")
    parser.add_argument("alignment", type=Path, help="alignment of its utterances, with senones.json")
    parser.add_argument("out", type=Path, help="model folder to make")
    parser.add_argument("--soft-targets", type=Path, metavar="STORE", help="learn from these as well: a student")
    parser.add_argument("--held-out", type=Path, nargs=2, metavar=("FEATURES", "ALIGNMENT"), help="measured each epoch")
    add_options(parser, TrainOptions)


def run(args: argparse.Namespace) -> None:
    from asrdistill.distill.teach import train_model
    from asrdistill.training import distributed
    from asrdistill.training.options import TrainOptions

    options = resolve(TrainOptions, args)
    inputs = [
        args.features,
        args.alignment,
        *([args.soft_targets] if args.soft_targets else []),
        *(args.held_out or []),
    ]

    def work(out: Path) -> None:
        train_model(args.features, args.alignment, args.soft_targets, args.held_out, options, out)

    distributed.make(args.out, work, "train", options, inputs)
