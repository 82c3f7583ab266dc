"""The one exception that a user is meant to read."""

from collections.abc import Iterator
from contextlib import contextmanager

# what only the extra [train] brings
TRAINING = {"torch", "torchaudio", "scipy", "numba", "yaml", "rich", "kaldiio", "kaldialign", "inflect"}
TRAINING |= {"sentencepiece", "matplotlib", "threadpoolctl"}


class UserError(Exception):
    """A mistake in what the user gave us.

    The message is one sentence that names the file or the utterance, says what is wrong with it
    and what to do. The command line prints it without a traceback and exits with status 2.
    """

    def __str__(self) -> str:
        message, unknown = super().__str__(), "\N{REPLACEMENT CHARACTER}"
        return "".join(sign if sign.isprintable() or sign == "\t" else unknown for sign in message)


def shorten(names, limit: int = 3) -> str:
    """``"a, b, c and 7 more"``: the first few of many names, for messages."""
    names = list(names)
    head = ", ".join(str(name) for name in names[:limit])
    return head if len(names) <= limit else f"{head} and {len(names) - limit} more"


@contextmanager
def training_packages(what: str) -> Iterator[None]:
    """Raise UserError where `what` imports a package that is only installed with the extra [train]."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (package := (error.name or "").partition(".")[0]) not in TRAINING:
            raise
        raise UserError(f"{what} needs the package {package}; install it: pip install 'asrdistill[train]'") from None
