"""Say what an experiment found: EXP/results.json, the tables in EXP/RESULTS.md, a picture, a table on the screen.

CONFIG (systems.yaml) names the corpus, the sets, the systems with their model folders, and the
pairs of systems to compare.

Example:
  asrdistill report exp --config conf/systems.yaml --data data
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("exp", type=Path, help="experiment folder")
    parser.add_argument("--config", type=Path, required=True, metavar="YAML", help="systems.yaml")
    parser.add_argument("--data", type=Path, required=True, help="folder with a data directory for each set")
    parser.add_argument("--lang", type=Path, help="folder with the decoder's words.txt (default: EXP/lang)")
    parser.add_argument("--variant", default="default", help="which variant of the recipe ran (default: %(default)s)")


def run(args: argparse.Namespace) -> None:
    from asrdistill.report.plan import find_models, read_plan
    from asrdistill.report.results import collect
    from asrdistill.report.write import show, write

    plan = read_plan(args.config)
    results = collect(args.exp, args.data, args.lang or args.exp / "lang", plan, args.variant)
    write(results, args.exp)
    show(results)
    print(f"{args.exp / 'results.json'}, {args.exp / 'RESULTS.md'}, {args.exp / 'results.png'}")
    if "student" in plan.systems:
        student = find_models(args.exp, "student", plan.systems["student"])[0]
        print(f"\nThe student: {student}\nTry it:      asrdistill transcribe {student} FILE")
