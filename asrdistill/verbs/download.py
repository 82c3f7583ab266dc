"""Fetch a corpus whose licence allows it.

amazon_queen comes as a package of the Debian or Ubuntu archive (35 MB), through apt-get, without
root and without installing it; OUT then holds queen.1c.

Example: asrdistill download amazon_queen download
"""

import argparse
import importlib
from pathlib import Path

from asrdistill import corpora
from asrdistill.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("corpus", choices=corpora.names())
    parser.add_argument("out", type=Path, help="folder for what is fetched")


def run(args: argparse.Namespace) -> None:
    from asrdistill import stage

    download = getattr(importlib.import_module(f"asrdistill.corpora.{args.corpus}"), f"download_{args.corpus}", None)
    if download is None:
        raise UserError(f"{args.corpus} cannot be fetched; get it from its owner and give its path to prepare")
    stage.make(args.out, download, verb="download", options={"corpus": args.corpus}, inputs=[])
