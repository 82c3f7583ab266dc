"""Say what systems get wrong in all and on phones that they never met: EXP/results.json, RESULTS.md, results.png.

CONFIG names the systems, whose models are EXP/SYSTEM.SEED with their frames.json in EXP/frames/SYSTEM.SEED/SET, the
phones that are looked at apart, and curves over the temperature; asrdistill/results/phones.py shows one.

Example:
  asrdistill report-phones exp --config conf/systems.yaml
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("exp", type=Path, help="experiment folder")
    parser.add_argument("--config", type=Path, required=True, metavar="YAML", help="which systems and phones")


def run(args: argparse.Namespace) -> None:
    from asrdistill.results.phones import report

    print(report(args.exp, args.config))
