"""CTM files: a line `utterance channel start duration label` for each phone or word, times in seconds."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from asrdistill.errors import UserError
from asrdistill.files import read_lines


class Interval(NamedTuple):
    """What is heard from `begin` to `end`, in seconds."""

    begin: float
    end: float
    label: str


def read_ctm(path: Path) -> Iterator[tuple[str, list[Interval]]]:
    """Yield (utterance, intervals) of a CTM whose lines stand together by utterance; raises UserError naming lines."""
    current: str | None = None
    intervals: list[Interval] = []
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip() or line.startswith(";;"):
            continue
        try:
            utterance, _, start, duration, label = line.split()[:5]
            interval = Interval(float(start), float(start) + float(duration), label)
        except ValueError:
            raise UserError(
                f"{path} is not a CTM file: line {number} is not 'utterance channel start duration label'"
            ) from None
        if utterance != current:
            if current is not None:
                yield current, intervals
            current, intervals = utterance, []
        intervals.append(interval)
    if current is not None:
        yield current, intervals
