"""Make Kaldi-style data directories of a corpus, one for each of its sets.

SOURCE is what the corpus comes as: for amazon_queen the game's file queen.1c, for steel_sky the folder with sky.dnr and
sky.dsk (which make OUT/unlabelled, without text), for timit the folder of LDC93S1 or a part of it, for librispeech the
folder LibriSpeech, or the one that it stands in. The part lexicon of librispeech makes OUT/lexicon.txt. The parts of
asterisk are languages: OUT/LANGUAGE/SET. For mnist and digits it is a folder with the four IDX files, which make
features and alignments of images: OUT/features/SET, OUT/ali/SET.

Example:
  asrdistill prepare amazon_queen queen.1c data
  asrdistill prepare timit TIMIT data
  asrdistill prepare librispeech corpus data --parts train-clean-5 dev-clean-2 lexicon
"""

import argparse
import importlib
import os
from collections.abc import Iterator
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
    parser.add_argument(
        "--parts",
        nargs="+",
        metavar="PART",
        help="parts of librispeech or asterisk (default: all speech that is there)",
    )
    add_options(parser, PrepareOptions)


def run(args: argparse.Namespace) -> None:
    from asrdistill import stage

    module = importlib.import_module(f"asrdistill.corpora.{args.corpus}")
    prepare = getattr(module, f"prepare_{args.corpus}")
    options = resolve(PrepareOptions, args)
    if args.parts and not hasattr(module, "folders_of"):
        raise UserError(f"{args.corpus} comes in one piece; leave --parts out")
    chosen = {"parts": args.parts} if args.parts else {}
    sources = module.folders_of(args.source, **chosen) if hasattr(module, "folders_of") else [args.source]
    contents = {"contents": contents_of(sources)} if args.source.is_dir() else {}
    stage.make(
        args.out,
        lambda out: prepare(args.source, out, options.minutes, args.jobs, **chosen),
        verb="prepare",
        options={"corpus": args.corpus, "minutes": options.minutes, **chosen, **contents},
        inputs=sources,
    )


def contents_of(folders: list[Path]) -> str:
    """Hash of the names and sizes of all files below the folders: reading a whole corpus would take too long."""
    from asrdistill.files import hash_of

    return hash_of([file for folder in folders if folder.is_dir() for file in _files(str(folder), "")])


def _files(folder: str, below: str) -> Iterator[tuple[str, int]]:
    """(path, bytes) of each file below a folder, in the order of the paths' parts; `below` stands before each path."""
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.is_dir():
            yield from _files(entry.path, f"{below}{entry.name}/")
        else:
            yield f"{below}{entry.name}", entry.stat().st_size
