"""Say what an experiment found: EXP/results.json, EXP/RESULTS.md, EXP/results.png, and a table on the screen.

CONFIG (systems.yaml) names the corpus, the sets, the systems with their model folders, and the
pairs of systems to compare. DATA holds everything that was made before the models: the sets' data
directories (in DATA/corpus or DATA itself), DATA/lang and DATA/lm.

Example:
  asrdistill report exp --config conf/systems.yaml --data data
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("exp", type=Path, help="experiment folder")
    parser.add_argument("--config", type=Path, required=True, metavar="YAML", help="systems.yaml")
    parser.add_argument("--data", type=Path, required=True, help="data folder")
    parser.add_argument("--lang", type=Path, help="lexicon that was decoded with (default: DATA/lang)")
    parser.add_argument("--lm", type=Path, help="language model that was decoded with (default: DATA/lm)")
    parser.add_argument("--variant", default="default", help="which variant of the recipe ran (default: %(default)s)")


def run(args: argparse.Namespace) -> None:
    from asrdistill.results.plan import find_models, read_plan
    from asrdistill.results.results import Folders, collect
    from asrdistill.results.write import show, write

    plan = read_plan(args.config)
    corpus = args.data / "corpus" if (args.data / "corpus").is_dir() else args.data
    lang, lm = args.lang or args.data / "lang", args.lm or args.data / "lm"
    results = collect(Folders(args.exp, args.data, corpus, lang, lm), plan, args.variant)
    write(results, args.exp)
    show(results)
    print(f"{args.exp / 'results.json'}, {args.exp / 'RESULTS.md'}, {args.exp / 'results.png'}")
    if "student" in plan.systems:
        exported = args.exp / "student"
        student = exported if exported.is_dir() else find_models(args.exp, "student", plan.systems["student"])[0]
        print(f"\nThe student: {student}")
        if exported.is_dir():
            print(f"Try it:      asrdistill transcribe {student} FILE")
