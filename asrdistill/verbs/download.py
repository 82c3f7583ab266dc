"""Fetch a corpus whose licence allows it.

amazon_queen comes as a package of the Debian or Ubuntu archive (35 MB), through apt-get, without
root and without installing it; OUT then holds queen.1c.

librispeech comes in parts, from OpenSLR or a mirror of it: those of LibriSpeech (dev-clean …
train-other-500) and of mini_librispeech (train-clean-5, dev-clean-2) as OUT/LibriSpeech/PART; the
lexicon and the language models (lm-3-small, lm-3-medium, lm-3-large, lm-4, lm-vocabulary, lm-text) as
files in OUT. data/librispeech.tsv lists them all with their sizes. A download that broke goes on where it
was when the same command is run again; parts that are there are left alone.

steel_sky (66 MB) comes the same way as amazon_queen: voices whose words nobody wrote down. asterisk is the telephone
prompts of Debian's packages in one language or several, --parts fr it ru es en.

mnist comes as its four files (11 MB), from a mirror that answers. digits are scikit-learn's small ones, written in the
same form without any network.

Example:
  asrdistill download amazon_queen download
  asrdistill download librispeech corpus --parts train-clean-5 dev-clean-2 lexicon lm-3-small
"""

import argparse
import importlib
import inspect
from pathlib import Path

from asrdistill import corpora
from asrdistill.errors import UserError

CHOICES = ("parts", "mirror", "table", "jobs")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("corpus", choices=corpora.names())
    parser.add_argument("out", type=Path, help="folder for what is fetched")
    group = parser.add_argument_group("a corpus in parts (librispeech, asterisk), or on several servers (mnist)")
    group.add_argument("--parts", nargs="+", metavar="PART", help="what to fetch")
    group.add_argument("--mirror", metavar="URL", help="server to fetch from (default: the owner's)")
    group.add_argument("--table", type=Path, metavar="TSV", help="other sizes and checksums, of a copy made anew")
    group.add_argument("--jobs", type=int, metavar="N", help="parts to fetch side by side (default: 3)")


def run(args: argparse.Namespace) -> None:
    download = getattr(importlib.import_module(f"asrdistill.corpora.{args.corpus}"), f"download_{args.corpus}", None)
    if download is None:
        raise UserError(f"{args.corpus} cannot be fetched; get it from its owner and give its path to prepare")
    given = {name: getattr(args, name) for name in CHOICES if getattr(args, name) is not None}
    if refused := given.keys() - inspect.signature(download).parameters.keys():
        raise UserError(f"{args.corpus} has no choice of {min(refused)}; leave --{min(refused)} out")
    download(args.out, **given)
