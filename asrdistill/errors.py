"""The one exception that a user is meant to read."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

log = logging.getLogger("asrdistill")

MOST_LEFT_OUT = ContextVar("percent of the utterances that may be left out", default=5.0)

# what only the extra [train] brings
TRAINING = {"torch", "torchaudio", "scipy", "numba", "yaml", "rich", "kaldiio", "kaldialign", "inflect"}
TRAINING |= {"sentencepiece", "matplotlib", "threadpoolctl"}
EXTRAS = {**dict.fromkeys(TRAINING, "train"), "aiohttp": "serve"}


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
def noting(faults: dict[str, str], utterance: str) -> Iterator[None]:
    """If the block raises UserError, note its message as the reason why the utterance is left out."""
    try:
        yield
    except UserError as error:
        faults[utterance] = str(error)


def check_left_out(
    left_out: Sequence[str] | Mapping[str, str],
    utterances: int,
    limit: float | None = None,
    reason: str = "cannot be used",
    remedy: str = "check text and audio",
) -> None:
    """Log utterances that are left out, with their faults if these are known.

    Raises UserError if they are all, or more than `limit` percent (None: MOST_LEFT_OUT).
    """
    if not left_out:
        return
    faults = list(left_out.values()) if isinstance(left_out, Mapping) else []
    for fault in faults:
        log.warning("left out: %s", fault)
    percent = 100 * len(left_out) / utterances
    message = f"{len(left_out)} of {utterances} utterances ({percent:.1f} %) {reason}: {shorten(left_out)}"
    if percent > (MOST_LEFT_OUT.get() if limit is None else limit) or len(left_out) == utterances:
        raise UserError(f"{message}; {faults[0] if faults else remedy}, or raise --max-left-out")
    log.warning("left out: %s", message)


@contextmanager
def training_packages(what: str) -> Iterator[None]:
    """Raise UserError where `what` imports a package that is only installed with an extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (package := (error.name or "").partition(".")[0]) not in EXTRAS:
            raise
        extra = f"pip install 'asrdistill[{EXTRAS[package]}]'"
        raise UserError(f"{what} needs the package {package}; install it: {extra}") from None
