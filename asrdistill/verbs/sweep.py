"""Measure what a student owes to a setting: EXP/sweeps/SWEEP.json, .md and .png of each SWEEP.yaml.

A sweep names the settings that vary and what is measured. What it needs (subsets, teachers, ensembles, soft targets,
students, frame accuracies, hypotheses) is made below EXP/sweeps by this command's other verbs, --jobs runs side by
side, in folders whose names say what is in them. What is up to date is left alone, the recipe's own teachers and
students serve where they are what is wanted, and sweeps share what they have in common. A killed sweep goes on when it
is run again.

EXP is what a recipe has made: ensemble, teachers, targets, a student, and its decoding where words are measured.

Example:
  asrdistill sweep recipes/amazon_queen/paper/temperature.yaml recipes/amazon_queen/paper/keep.yaml \\
      --data recipes/amazon_queen/data/default --exp recipes/amazon_queen/exp/default
"""

import argparse
from pathlib import Path

from asrdistill import parallel
from asrdistill.config import add_options, resolve


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from asrdistill.sweep.settings import Layout

    parser.add_argument("sweeps", type=Path, nargs="+", metavar="SWEEP.yaml", help="what varies, what is measured")
    parser.add_argument("--data", type=Path, required=True, help="the recipe's data folder")
    parser.add_argument("--exp", type=Path, required=True, help="its experiment folder")
    parser.add_argument("--lang", type=Path, help="lexicon to decode with (default: DATA/lang)")
    parser.add_argument("--lm", type=Path, help="language model to decode with (default: DATA/lm)")
    parser.add_argument("--quick", action="store_true", help="the sweeps' reduced form")
    parser.add_argument("--seeds", type=int, metavar="N", help="in the place of the sweeps' own: 0 to N - 1")
    parser.add_argument("--plan", action="store_true", help="print the commands that would run, and no more")
    parser.add_argument("--jobs", type=int, default=parallel.default_jobs(), help="runs (default: %(default)s)")
    add_options(parser, Layout)


def run(args: argparse.Namespace) -> None:
    from asrdistill.files import atomic, write_json, write_text
    from asrdistill.sweep.collect import collect
    from asrdistill.sweep.draw import draw, markdown
    from asrdistill.sweep.execute import execute
    from asrdistill.sweep.plan import make_plan
    from asrdistill.sweep.settings import Layout, read_recipe
    from asrdistill.sweep.spec import read_sweep

    lang, lm = args.lang or args.data / "lang", args.lm or args.data / "lm"
    recipe = read_recipe(args.data, args.exp, lang, lm, resolve(Layout, args))
    sweeps = [read_sweep(path, args.quick, args.seeds) for path in args.sweeps]
    plan = make_plan(recipe, sweeps)
    if args.plan:
        print("\n".join(" ".join(run.arguments) for run in plan.runs.values()))
        return
    execute(plan.runs.values(), args.jobs, recipe.made / "log")
    for sweep in sweeps:
        results, out = collect(sweep, plan), recipe.made / sweep.name
        write_json(out.with_suffix(".json"), results)
        write_text(out.with_suffix(".md"), markdown(results, f"{sweep.name}.png"))
        with atomic(out.with_suffix(".png"), "wb") as handle:
            handle.write(draw(results))
        print(f"\n{markdown(results, f'{sweep.name}.png')}")
