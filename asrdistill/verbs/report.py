"""Measure the systems of an experiment and draw its tables and pictures.

CONFIG names the systems with their model folders, the sets, and what is compared. EXP gets measurements.tsv (one row
per figure, appended), results.json, RESULTS.md and results.png. With `paper:` in CONFIG, OUT sets the paper's figures
beside those of the experiments. --update draws the tables between the markers of Markdown documents:

  <!-- table: recipes/amazon_queen/results.json systems rows=single,ensemble,student columns=*_all -->
  <!-- end -->

Example:
  asrdistill report exp --config conf/systems.yaml --data data
  asrdistill report --update README.md docs/*.md
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("exp", type=Path, nargs="*", help="experiment folder; several for the paper's figures")
    parser.add_argument("--config", type=Path, metavar="YAML", help="systems, or the paper's figures")
    parser.add_argument("--data", type=Path, help="data folder with texts, lang and lm; without it no words are scored")
    parser.add_argument("--lang", type=Path, help="lexicon that was decoded with (default: DATA/lang)")
    parser.add_argument("--lm", type=Path, help="language model that was decoded with (default: DATA/lm)")
    parser.add_argument("--variant", default="", help="variant of the recipe, shown in the title")
    parser.add_argument("--out", type=Path, help="folder to write into, or the paper's document (default: EXP)")
    parser.add_argument("--update", type=Path, nargs="+", metavar="FILE.md", help="documents whose tables to draw")
    parser.add_argument("--check", action="store_true", help="with --update: change nothing, fail if out of date")


def run(args: argparse.Namespace) -> None:
    from asrdistill.results.report import run_report, update_all

    if args.update:
        update_all(args.update, args.check)
    else:
        run_report(args.exp, args.config, args.data, args.lang, args.lm, args.variant, args.out)
