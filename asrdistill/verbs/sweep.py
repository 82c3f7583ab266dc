"""Measure systems over a range of settings: EXP/sweeps/SWEEP.json, .md and .png of each SWEEP.yaml.

A sweep names the settings that vary and what is measured. Subsets, teachers, ensembles, soft targets, students,
accuracies and hypotheses are made below EXP, --jobs at a time; sweeps share them, and what is up to date is not made
again. EXP is the folder of a finished recipe: ensemble, teachers, targets, a student, and its decoding for words.

Example:
  asrdistill sweep recipes/amazon_queen/paper/temperature.yaml --data data --exp exp
"""

import argparse
from pathlib import Path

from asrdistill import parallel
from asrdistill.config import add_options, resolve


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from asrdistill.sweep.recipe import Layout

    parser.add_argument("sweeps", type=Path, nargs="+", metavar="SWEEP.yaml", help="what varies, what is measured")
    parser.add_argument("--data", type=Path, required=True, help="the recipe's data folder")
    parser.add_argument("--exp", type=Path, required=True, help="its experiment folder")
    parser.add_argument("--lang", type=Path, help="lexicon to decode with (default: DATA/lang)")
    parser.add_argument("--lm", type=Path, help="language model to decode with (default: DATA/lm)")
    parser.add_argument("--quick", action="store_true", help="the sweeps' reduced form")
    parser.add_argument("--seeds", type=int, metavar="N", help="seeds 0 to N - 1 instead of the sweeps' own")
    parser.add_argument("--plan", action="store_true", help="print what would run")
    parser.add_argument("--jobs", type=int, default=parallel.default_jobs(), help="runs (default: %(default)s)")
    add_options(parser, Layout)


def run(args: argparse.Namespace) -> None:
    from asrdistill.sweep.recipe import Layout
    from asrdistill.sweep.run import run_sweeps

    layout = resolve(Layout, args)
    run_sweeps(
        *(args.sweeps, args.data, args.exp, args.lang, args.lm, layout, args.jobs),
        quick=args.quick,
        seeds=args.seeds,
        only_plan=args.plan,
    )
