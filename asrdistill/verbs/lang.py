"""Make a lang folder: the words of data directories with their pronunciations.

A word that the dictionary lacks gets the pronunciation of the word before its 's or ', or else
that of the G2P model; what G2P said stands in OUT/g2p.txt. To recognise phones, of which the transcripts
then consist, give --phones in the place of a dictionary. For a language of which there is no dictionary, --graphemes
pronounces words by their letters. With --all every word of the dictionary is taken, whether or not a data directory has
it; --text takes the words of more text, one sentence a line.

Example:
  asrdistill lang data/train data/dev data/lang --dictionary cmudict --g2p exp/g2p
  asrdistill lang data/train data/dev data/lang --phones sil
  asrdistill lang data/train data/dev data/lang --graphemes
  asrdistill lang data/lang --dictionary lexicon.txt --all
"""

import argparse
from pathlib import Path

from asrdistill.lang.dictionary import DICTIONARY, dictionary_path
from asrdistill.stage import make


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, nargs="*", help="data directories whose words to take")
    parser.add_argument("out", type=Path, help="lang folder to make")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--dictionary", type=dictionary_path, help=DICTIONARY)
    source.add_argument("--phones", metavar="SILENCE", help="the words are phones; SILENCE is the one that is silence")
    source.add_argument("--graphemes", action="store_true", help="words are pronounced as they are spelled")
    parser.add_argument("--text", type=Path, nargs="+", default=[], help="files whose words to take too")
    parser.add_argument(
        "--positions", action="store_true", help="phones are named for their position in the word: AA_B"
    )
    parser.add_argument("--all", action="store_true", help="take the words of the dictionary too")
    parser.add_argument("--g2p", type=Path, help="model for words that the dictionary lacks; they are an error without")


def run(args: argparse.Namespace) -> None:
    from asrdistill.data.directory import DataDirectory
    from asrdistill.errors import UserError
    from asrdistill.files import read_lines
    from asrdistill.lang.dictionary import make_lang, read_dictionary
    from asrdistill.lang.g2p import G2P
    from asrdistill.lang.graphemes import spell_words
    from asrdistill.lang.lexicon import Lang

    texts = [text for data in args.data for text in DataDirectory.read(data, pipes=True).texts.values()]
    words = {word for text in texts for word in text.split()}
    words |= {word for path in args.text for line in read_lines(path) for word in line.split()}
    if not words and not (args.dictionary and args.all):
        raise UserError("there are no words: give data directories with text, or a --dictionary and --all")
    if args.phones:
        work = Lang.of_phones(words, args.phones).write
        make(args.out, work, verb="lang", options={"phones": args.phones}, inputs=[*args.data, *args.text])
        return
    if args.graphemes:
        spelled, positions = spell_words(words), args.positions
        make(
            args.out,
            lambda folder: make_lang(words, spelled, None, folder, positions),
            verb="lang",
            options={"graphemes": True, "positions": positions},
            inputs=[*args.data, *args.text],
        )
        return
    dictionary = read_dictionary(args.dictionary)
    if args.all:
        words |= dictionary.keys()
    guess = G2P.read(args.g2p).pronounce if args.g2p else None
    make(
        args.out,
        lambda folder: make_lang(words, dictionary, guess, folder, args.positions),
        verb="lang",
        options={"positions": args.positions, "all": args.all},
        inputs=[*args.data, *args.text, args.dictionary, *([args.g2p] if args.g2p else [])],
    )
