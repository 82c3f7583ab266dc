"""Run many short asrdistill commands in a few processes, each of which starts Python once.

COMMANDS has one command a line, without the word asrdistill; - reads them from standard input. They run side by side,
so none may need what another of them makes, but for those that && joins in a line: these run in turn. With --jobs 1
all do, each with as many processes as it asks for.
Each does nothing where its output is up to date. The first that fails ends the batch.

Example:
  seq 0 9 | sed 's|.*|train data/train ali/train exp/narrow.& --width 30 --seed &|' | asrdistill batch -
"""

import argparse
import itertools
import sys
from pathlib import Path

from asrdistill import parallel


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("commands", type=Path, help="file with a command a line, or -")
    parser.add_argument("--jobs", type=int, default=parallel.default_jobs(), help="processes (default: %(default)s)")


def run(args: argparse.Namespace) -> None:
    from asrdistill.errors import UserError

    if str(args.commands) != "-" and not args.commands.is_file():
        raise UserError(f"{args.commands} does not exist; give a file with a command a line")
    text = sys.stdin.read() if str(args.commands) == "-" else args.commands.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip()]
    in_turn = args.jobs == 1  # without a progress bar: each command shows its own
    states = map(_run, lines) if in_turn else parallel.map_utterances(_run, lines, args.jobs, "batch", unit="commands")
    for line, status in zip(lines, states, strict=True):
        if status:
            raise UserError(f"'{line}' failed (see above); run the same batch again to go on")


def _run(line: str) -> int:
    """Exit status of the first of a line's commands that fails, or 0."""
    import shlex

    from asrdistill.cli import main

    for ends, words in itertools.groupby(shlex.split(line), lambda word: word == "&&"):
        if ends:
            continue
        parallel.single_thread()  # for every command, or what it finds would depend on those before it
        try:
            status = main(list(words))
        except SystemExit as stop:  # of argparse, which has said why
            status = int(stop.code or 0)
        if status:
            return status
    return 0
