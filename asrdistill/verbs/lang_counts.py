"""Make a lang folder whose pronunciations and silence are as probable as an alignment shows them.

Example: asrdistill lang-counts data/lang exp/ali/train data/lang_counts
"""

import argparse
from pathlib import Path

from asrdistill.stage import make


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lang", type=Path, help="lang folder that the alignment was made with")
    parser.add_argument("alignment", type=Path, help="alignment with phones.ctm and words.ctm")
    parser.add_argument("out", type=Path, help="lang folder to make")


def run(args: argparse.Namespace) -> None:
    from asrdistill.lang.lexicon import Lang
    from asrdistill.lang.pron_probs import estimate_pron_probs

    lang = Lang.read(args.lang)
    make(
        args.out,
        lambda folder: estimate_pron_probs(lang, args.alignment).write(folder),
        verb="lang-counts",
        options={},
        inputs=[args.lang, args.alignment],
    )
