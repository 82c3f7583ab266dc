"""Phones and words in time: CTM files, and PHN and WRD files of TIMIT."""

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


def read_phn(path: Path, rate: int) -> list[Interval]:
    """The lines `begin end label` of a PHN or WRD file, times in samples of `rate` Hz."""

    def parse(line: str) -> Interval | None:
        if not line.strip():
            return None
        begin, end, label = line.split()
        return Interval(int(begin) / rate, int(end) / rate, label)

    return [interval for interval in parse_lines(path, parse, "first-sample end-sample label") if interval]
