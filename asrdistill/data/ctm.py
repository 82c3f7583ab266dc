"""CTM files: a line `utterance channel start duration label` for each phone or word, times in seconds."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from asrdistill.files import parse_lines


class Interval(NamedTuple):
    """A phone or word from `begin` to `end`, in seconds."""

    begin: float
    end: float
    label: str


def read_ctm(path: Path) -> Iterator[tuple[str, list[Interval]]]:
    """Yield (utterance, intervals); the lines of an utterance must be adjacent. Raises UserError naming the line."""
    entries = (entry for entry in parse_lines(path, _parse, "utterance channel start duration label") if entry)
    for utterance, group in itertools.groupby(entries, key=lambda entry: entry[0]):
        yield utterance, [interval for _, interval in group]


def _parse(line: str) -> tuple[str, Interval] | None:
    if not line.strip() or line.startswith(";;"):
        return None
    utterance, _, start, duration, label = line.split()[:5]
    return utterance, Interval(float(start), float(start) + float(duration), label)
