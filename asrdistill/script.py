"""Entry point of command-line programs: logging, and errors as one sentence. The recipes' local scripts use it."""

import logging
import os
import sys
from collections.abc import Callable

from asrdistill.errors import UserError


def run(work: Callable[[], object], name: str) -> int:
    """Call ``work()`` and return the exit status: 0, 2 after a UserError, 130 after Ctrl-C, 141 after a broken pipe."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("asrdistill").setLevel(logging.INFO)
    try:
        work()
    except UserError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        print(f"{name}: interrupted; run the same command again to continue", file=sys.stderr)
        return 130
    return 0
