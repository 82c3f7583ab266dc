"""Phones and words in time: CTM files, and PHN and WRD files of TIMIT."""

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from asrdistill.reader import parse_lines

CTM = "utterance channel start duration label [confidence …]"
STM = "file channel speaker begin end [<label>] words …"


class Interval(NamedTuple):
    """A phone or word from `begin` to `end`, in seconds."""

    begin: float
    end: float
    label: str


def read_ctm(path: Path) -> Iterator[tuple[str, list[Interval]]]:
    """Yield (utterance, intervals); the lines of an utterance must be adjacent. Raises UserError naming the line."""
    entries = filter(None, parse_lines(path, parse_ctm, CTM))
    for utterance, group in itertools.groupby(entries, key=lambda entry: entry[0]):
        yield utterance, [interval for *_, interval in group]


def parse_ctm(line: str) -> tuple[str, str, Interval] | None:
    """Utterance, channel and interval of a line; None for remarks. ValueError for other lines and impossible times."""
    if not line.strip() or line.startswith(";;"):
        return None
    utterance, channel, start, duration, label, *more = line.split()
    begin, end = float(start), float(start) + float(duration)
    if not 0 <= begin <= end < math.inf or len(more) > 3 or (more and more[0] != "NA" and math.isnan(float(more[0]))):
        raise ValueError
    return utterance, channel, Interval(begin, end, label)


def parse_stm(line: str) -> tuple[str, str, Interval] | None:
    """As :func:`parse_ctm` of a line of NIST's STM; the label has its words."""
    if not line.strip() or line.startswith(";;"):
        return None
    file, channel, _, begin, end, *words = line.split()
    if not 0 <= float(begin) <= float(end) < math.inf or words[-1:] == ["IGNORE_TIME_SEGMENT_IN_SCORING"]:
        raise ValueError
    labelled = bool(words) and words[0][0] + words[0][-1] == "<>"
    return file, channel, Interval(float(begin), float(end), " ".join(words[labelled:]))


def read_phn(path: Path, rate: int) -> list[Interval]:
    """The lines `begin end label` of a PHN or WRD file, times in samples of `rate` Hz."""

    def parse(line: str) -> Interval | None:
        if not line.strip():
            return None
        begin, end, label = line.split()
        return Interval(int(begin) / rate, int(end) / rate, label)

    return [interval for interval in parse_lines(path, parse, "first-sample end-sample label") if interval]
