"""Make a lang folder: the words of data directories with their pronunciations.

A word that the dictionary lacks gets the pronunciation of the word before its 's or ', or else
that of the G2P model; what G2P said stands in OUT/g2p.txt.

Example: asrdistill lang data/train data/dev data/lang --dictionary data/cmudict.txt.gz --g2p exp/g2p
"""

import argparse
from pathlib import Path

from asrdistill.stage import make


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, nargs="+", help="data directories whose words to take")
    parser.add_argument("out", type=Path, help="lang folder to make")
    parser.add_argument("--dictionary", type=Path, required=True, help="lines of 'word <tab> phones', gzipped or not")
    parser.add_argument("--g2p", type=Path, help="model for words that the dictionary lacks; they are an error without")


def run(args: argparse.Namespace) -> None:
    from asrdistill.data.directory import DataDirectory
    from asrdistill.errors import UserError
    from asrdistill.lang.dictionary import make_lang, read_dictionary
    from asrdistill.lang.g2p import G2P

    texts = [text for data in args.data for text in DataDirectory.read(data, pipes=True).texts.values()]
    words = {word for text in texts for word in text.split()}
    if not words:
        raise UserError(f"{args.data[0]} has no words: its text is missing or empty")
    dictionary = read_dictionary(args.dictionary)
    guess = G2P.read(args.g2p).pronounce if args.g2p else None
    make(
        args.out,
        lambda folder: make_lang(words, dictionary, guess, folder),
        verb="lang",
        options={},
        inputs=[*args.data, args.dictionary, *([args.g2p] if args.g2p else [])],
    )
