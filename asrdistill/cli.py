"""The command ``asrdistill <verb>``. Each verb is one module in :mod:`asrdistill.verbs`.

A verb module's docstring is its help (first line: the summary; the rest with an example). It
defines ``add_arguments(parser)`` and ``run(args)``, and imports what is heavy inside ``run``.
"""

import argparse
import importlib
import logging
import os
import pkgutil
import sys

from asrdistill import __version__, verbs
from asrdistill.errors import UserError


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    args = build_parser(argv[0] if argv else None).parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("asrdistill").setLevel(logging.INFO)
    try:
        args.run(args)
    except UserError as error:
        print(f"asrdistill {args.verb}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        print(f"asrdistill {args.verb}: interrupted; run the same command again to go on", file=sys.stderr)
        return 130
    return 0


def build_parser(verb: str | None = None) -> argparse.ArgumentParser:
    """The parser of `verb`, or of all verbs without their arguments: every module that is imported takes its time."""
    parser = argparse.ArgumentParser(prog="asrdistill", description="Distil big acoustic models into small ones.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="verb", required=True, metavar="verb")
    names = [info.name.replace("_", "-") for info in pkgutil.iter_modules(verbs.__path__)]
    for name in [verb] if verb in names else names:
        module = importlib.import_module(f"asrdistill.verbs.{name.replace('-', '_')}")
        text = (module.__doc__ or "").strip()
        command = commands.add_parser(
            name,
            help=text.split("\n")[0].replace("%", "%%"),
            description=text,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name == verb:
            module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
