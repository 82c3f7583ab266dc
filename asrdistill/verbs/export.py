"""Put a trained network, its lexicon, language model and scales into one folder that transcribes.

Example:
  asrdistill export exp/student.0 data/lang data/lm exp/tune/student.0 exp/student
  asrdistill transcribe exp/student speech.wav
"""

import argparse
from pathlib import Path

from asrdistill import stage


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="model folder of a single network")
    parser.add_argument("lang", type=Path, help="lang folder")
    parser.add_argument("lm", type=Path, help="language model folder")
    parser.add_argument("tuned", type=Path, help="folder that asrdistill tune made")
    parser.add_argument("out", type=Path, help="recogniser folder to make")


def run(args: argparse.Namespace) -> None:
    from asrdistill.export.recogniser import export

    def work(out: Path) -> None:
        export(args.model, args.lang, args.lm, args.tuned, out)

    stage.make(args.out, work, "export", {}, [args.model, args.lang, args.lm, args.tuned])
