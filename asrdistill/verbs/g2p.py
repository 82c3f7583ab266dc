"""Train a grapheme-to-phoneme model on a dictionary, for the words that it lacks.

About 2 % of the dictionary's words are held out of the training; the model's phone error rate on
them is printed and stands in OUT/meta.json.

Example: asrdistill g2p cmudict exp/g2p
"""

import argparse
from pathlib import Path

from asrdistill.config import add_options, resolve
from asrdistill.lang.dictionary import DICTIONARY, dictionary_path
from asrdistill.lang.options import G2POptions
from asrdistill.stage import make


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dictionary", type=dictionary_path, help=DICTIONARY)
    parser.add_argument("out", type=Path, help="model folder to make")
    add_options(parser, G2POptions)


def run(args: argparse.Namespace) -> None:
    from asrdistill.lang.dictionary import read_dictionary
    from asrdistill.lang.g2p import make_g2p

    options = resolve(G2POptions, args)
    dictionary = read_dictionary(args.dictionary)
    make(
        args.out,
        lambda folder: make_g2p(dictionary, folder, options),
        verb="g2p",
        options=options,
        inputs=[args.dictionary],
    )
