"""Make up for phones that a student never met: add to their logits what makes most held-out frames right.

A student whose transfer set lacked a class knows it from the soft targets of others, but takes it for too rare. One
offset to the logits of all senones of the phones is chosen on FEATURES and ALIGNMENT, which must have them: of all
numbers the one with most right frames. A negative one makes phones rarer that a student saw too much of.

Example:
  asrdistill bias exp/without_3.0 data/validation ali/validation exp/without_3_bias.0 --phones 3
"""

import argparse
from pathlib import Path

from asrdistill import parallel, stage


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="model folder of a DNN")
    parser.add_argument("features", type=Path, help="feature archive that is held out")
    parser.add_argument("alignment", type=Path, help="alignment of its utterances")
    parser.add_argument("out", type=Path, help="model folder to make")
    parser.add_argument("--phones", nargs="+", required=True, metavar="PHONE", help="whose senones get the offset")
    parser.add_argument("--jobs", type=int, default=parallel.default_jobs(), help="processes (default: %(default)s)")


def run(args: argparse.Namespace) -> None:
    from asrdistill.models.adjust import adjust_bias

    def work(out: Path) -> None:
        adjust_bias(args.model, args.features, args.alignment, out, args.phones, args.jobs)

    stage.make(args.out, work, "bias", {"phones": args.phones}, [args.model, args.features, args.alignment])
