"""Make Kaldi-style data directories of a corpus, one for each of its sets.

SOURCE is what the corpus comes as: for amazon_queen the game's file queen.1c, for timit the folder
of LDC93S1 or a part of it.

Example:
  asrdistill prepare amazon_queen queen.1c data
  asrdistill prepare timit TIMIT data
"""

import argparse
import importlib
from dataclasses import dataclass
from pathlib import Path

from asrdistill import corpora, parallel
from asrdistill.config import add_options, option, resolve
from asrdistill.errors import UserError


@dataclass(frozen=True)
class PrepareOptions:
    minutes: float | None = option(None, "keep about so many minutes of all sets together; all, if not given")

    def __post_init__(self) -> None:
        if self.minutes is not None and self.minutes <= 0:
            raise UserError(f"--minutes must be above 0, not {self.minutes}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("corpus", choices=corpora.names())
    parser.add_argument("source", type=Path, help="file or folder of the corpus")
    parser.add_argument("out", type=Path, help="folder for the data directories")
    parser.add_argument("--jobs", type=int, default=parallel.default_jobs(), help="processes (default: %(default)s)")
    add_options(parser, PrepareOptions)


def run(args: argparse.Namespace) -> None:
    from asrdistill import stage

    module = importlib.import_module(f"asrdistill.corpora.{args.corpus}")
    prepare = getattr(module, f"prepare_{args.corpus}")
    options = resolve(PrepareOptions, args)
    contents = {"contents": contents_of(args.source)} if args.source.is_dir() else {}
    stage.make(
        args.out,
        lambda out: prepare(args.source, out, options.minutes, args.jobs),
        verb="prepare",
        options={"corpus": args.corpus, "minutes": options.minutes, **contents},
        inputs=[args.source],
    )


def contents_of(folder: Path) -> str:
    """Hash of the names and sizes of all files below the folder: reading a whole corpus would take too long."""
    from asrdistill.files import hash_of

    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return hash_of([(str(path.relative_to(folder)), path.stat().st_size) for path in files])
