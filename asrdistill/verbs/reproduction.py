"""Set the paper's figures beside ours, row by row: what agrees, what does not, what was not run.

PAPER.yaml has the paper's figures and says where ours stand in the JSON files that experiments wrote.

Example:
  asrdistill reproduction recipes/amazon_queen/paper/paper.yaml docs/reproduction.md \\
      --exp recipes/amazon_queen/exp/default recipes/mnist/exp/default
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paper", type=Path, metavar="PAPER.yaml", help="the paper's figures")
    parser.add_argument("out", type=Path, help="Markdown file to write")
    parser.add_argument(
        "--exp", type=Path, nargs="+", required=True, help="experiment folders, looked at in this order"
    )


def run(args: argparse.Namespace) -> None:
    from asrdistill.files import write_text
    from asrdistill.results.reproduction import markdown, read_paper

    write_text(args.out, markdown(read_paper(args.paper), args.exp))
    print(args.out)
