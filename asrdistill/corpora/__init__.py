"""Corpora: one module each, with ``prepare_<corpus>(source, out, minutes, jobs)`` and, where the licence allows it,
``download_<corpus>(out)``. A corpus in parts takes ``parts`` in both and has ``folders_of(source, parts)``.

A corpus that only one recipe uses is a script in that recipe's ``local/``.
"""

from dataclasses import dataclass

from asrdistill.config import option
from asrdistill.errors import UserError


@dataclass(frozen=True)
class PrepareOptions:
    minutes: float | None = option(None, "keep about this many minutes of all sets together (default: all)")

    def __post_init__(self) -> None:
        if self.minutes is not None and self.minutes <= 0:
            raise UserError(f"--minutes must be above 0, not {self.minutes}")


def names() -> list[str]:
    """The corpora that the package knows."""
    return ["librispeech", "timit"]
