"""Set students' size and speed against what they recognise: students.json, STUDENTS.md, students.png.

EXP holds models named SIZE.soft.SEED (with a teacher) and SIZE.hard.SEED (without), with EXP/frames/MODEL/SET by
asrdistill evaluate; EXP/decode/MODEL/SET and EXP/int8/SIZE where they were decoded and exported.

Example:
  asrdistill pareto exp/paper/students data/corpus exp/paper/students/report --sets test test_unseen
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("exp", type=Path, help="folder with the students")
    parser.add_argument("data", type=Path, help="folder with the sets' data directories")
    parser.add_argument("out", type=Path, help="folder to write into")
    parser.add_argument(
        "--sets", nargs="+", default=["dev"], help="sets whose frames and words are pooled (default: dev)"
    )


def run(args: argparse.Namespace) -> None:
    from rich.console import Console

    from asrdistill import parallel
    from asrdistill.results.pareto import report

    parallel.single_thread()  # speeds are those of one core
    Console(width=140, highlight=False).print(report(args.exp, args.data, args.sets, args.out).rich())
