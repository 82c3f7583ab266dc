"""Write the words that are said for text of any kind: one sentence a line, as transcripts have them.

English loses case and punctuation, its numbers are spelled; of other languages letters, their marks and apostrophes
inside of words are kept. With --table, each line's first word is a name that stays as it is (Kaldi's text).

Example:
  asrdistill words novel.txt letters.txt data/words.txt
  asrdistill words reference.txt data/reference.txt --table --language fr
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", type=Path, nargs="+", help="UTF-8 text")
    parser.add_argument("out", type=Path, help="file to write")
    parser.add_argument("--language", default="en", help="code of two letters (default: %(default)s)")
    parser.add_argument("--table", action="store_true", help="lines begin with a name")


def run(args: argparse.Namespace) -> None:
    from asrdistill.files import atomic, read_lines
    from asrdistill.lang.normalize import normalize_text

    with atomic(args.out) as out:
        for line in (line for path in args.text for line in read_lines(path)):
            name, rest = [*line.split(maxsplit=1), "", ""][:2] if args.table else ("", line)
            words = normalize_text(rest, args.language)
            if name or words:
                out.write(f"{name} {words}".strip() + "\n")
