"""Open a vocabulary: add pieces of words to a lang folder, of which the decoder spells words that it lacks.

A sentencepiece model of the words of data directories gives the pieces; the words of LANG, and those of a
bigger --dictionary with the same phones, say how they are pronounced. asrdistill lm then trains on words and
pieces, and whatever is decoded with both writes whole words: pieces are joined.

Example:
  asrdistill subwords data/train data/lang data/lang_open --dictionary cmudict
  asrdistill lm data/train data/lang_open data/lm_open --order 4
"""

import argparse
from pathlib import Path

from asrdistill.config import add_options, resolve
from asrdistill.lang.dictionary import DICTIONARY, dictionary_path
from asrdistill.lang.options import SubwordOptions
from asrdistill.stage import make


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, nargs="+", help="data directories whose words to cut into pieces")
    parser.add_argument("lang", type=Path, help="lang folder: the words that stay whole")
    parser.add_argument("out", type=Path, help="lang folder to make")
    parser.add_argument("--dictionary", type=dictionary_path, help=f"more words: {DICTIONARY}")
    add_options(parser, SubwordOptions)


def run(args: argparse.Namespace) -> None:
    from asrdistill.data.directory import DataDirectory
    from asrdistill.errors import UserError
    from asrdistill.lang.dictionary import read_dictionary
    from asrdistill.lang.lexicon import Lang
    from asrdistill.lang.subwords import open_lang

    options = resolve(SubwordOptions, args)
    texts = [text for data in args.data for text in DataDirectory.read(data, pipes=True).texts.values()]
    words = {word for text in texts for word in text.split()}
    if not words:
        raise UserError(f"{args.data[0]} has no words: its text is missing or empty")
    lang = Lang.read(args.lang)
    dictionary = read_dictionary(args.dictionary) if args.dictionary else {}
    make(
        args.out,
        lambda folder: open_lang(lang, words, dictionary, options.pieces, folder),
        verb="subwords",
        options=options,
        inputs=[*args.data, args.lang, *([args.dictionary] if args.dictionary else [])],
    )
