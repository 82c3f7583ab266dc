"""Keep the utterances whose transcripts can be believed.

HEARD is what asrdistill hear made, whose figures decide. With --loop, a phone recogniser is asked too: ALIGNMENT is of
the transcripts, HYP what the same model decoded with asrdistill phone-loop's folder, in which no word is known; where
the two have too few phones in common, somebody said something else. OUT/left_out.tsv has the others, and why.
--known has the words of some recordings; they take the place of what was heard where a recording is one utterance.

Example:
  asrdistill confident data/heard data/believed
  asrdistill confident data/heard data/agreed --loop exp/ali/tri exp/loop/hyp.txt
"""

import argparse
from pathlib import Path

from asrdistill.config import add_options, resolve
from asrdistill.pseudo_label.options import FilterOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("heard", type=Path, help="data directory that asrdistill hear made")
    parser.add_argument("out", type=Path, help="data directory to make")
    parser.add_argument(
        "--loop", type=Path, nargs=2, metavar=("ALIGNMENT", "HYP"), help="a phone loop's second opinion"
    )
    parser.add_argument("--known", type=Path, metavar="FILE", help="what is really said: recording words …")
    add_options(parser, FilterOptions)


def run(args: argparse.Namespace) -> None:
    from asrdistill.pseudo_label.filter import filter_pseudo_labels
    from asrdistill.stage import make

    options = resolve(FilterOptions, args)
    alignment, loop = args.loop or (None, None)
    make(
        args.out,
        lambda out: filter_pseudo_labels(args.heard, out, options, alignment, loop, args.known),
        verb="confident",
        options=options,
        inputs=[args.heard, *(args.loop or []), *([args.known] if args.known else [])],
    )
