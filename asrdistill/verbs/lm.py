"""Train an n-gram language model (modified Kneser-Ney) on the text of a data directory.

OUT/lm.arpa is the model, OUT/perplexity.json what it makes of the sets of --test. With a lang folder that asrdistill
subwords made, words that it lacks and words that the text has only once are spelled in pieces; the words of a
--dictionary, which need stand in no text, then teach how pieces follow each other.

Example:
  asrdistill lm data/train data/lang data/lm --order 3 --test data/dev data/test
  asrdistill lm data/train data/lang_open data/lm_open --order 4 --dictionary cmudict
"""

import argparse
from pathlib import Path

from asrdistill.config import add_options, resolve
from asrdistill.lang.dictionary import DICTIONARY, dictionary_path
from asrdistill.lang.options import LMOptions
from asrdistill.stage import make


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, help="data directory with the text")
    parser.add_argument("lang", type=Path, help="lang folder: the vocabulary")
    parser.add_argument("out", type=Path, help="folder to make")
    parser.add_argument("--text", type=Path, nargs="+", default=[], help="more text, normalised, one sentence a line")
    parser.add_argument("--test", type=Path, nargs="+", default=[], help="data directories to measure perplexity on")
    parser.add_argument("--dictionary", type=dictionary_path, help=f"words to spell in pieces: {DICTIONARY}")
    add_options(parser, LMOptions)


def run(args: argparse.Namespace) -> None:
    from asrdistill.data.directory import DataDirectory
    from asrdistill.errors import UserError
    from asrdistill.files import read_lines
    from asrdistill.lang.dictionary import read_dictionary
    from asrdistill.lang.lexicon import Lang
    from asrdistill.lang.ngram import make_lm
    from asrdistill.lang.subwords import spell_text, spell_words

    options = resolve(LMOptions, args)
    folders = [args.data, *args.test]
    texts = [list(DataDirectory.read(folder, pipes=True).texts.values()) for folder in folders]
    for folder, text in zip(folders, texts, strict=True):
        if not text:
            raise UserError(f"{folder} has no text")
    tests = {folder.resolve().name: text for folder, text in zip(args.test, texts[1:], strict=True)}
    if len(tests) < len(args.test):
        raise UserError("two of the --test directories have the same name; a set is named after its directory")
    lang = Lang.read(args.lang)
    if args.dictionary and not lang.pieces:
        raise UserError(f"{args.lang} has no pieces to spell a dictionary in; make it with asrdistill subwords")
    spellings = spell_words(read_dictionary(args.dictionary), lang) if args.dictionary else []
    text = texts[0] + [line.strip() for path in args.text for line in read_lines(path)]
    if lang.pieces:
        text = spell_text(text, lang, rare=True)
        tests = {name: spell_text(sentences, lang) for name, sentences in tests.items()}
    make(
        args.out,
        lambda folder: make_lm(text, lang.words, options.order, options.prune, tests, folder, spellings),
        verb="lm",
        options=options,
        inputs=[args.data, args.lang, *args.test, *args.text, *([args.dictionary] if args.dictionary else [])],
    )
