"""The table of measurements: one row per figure, appended and never rewritten (``EXP/measurements.tsv``).

A figure that is measured again is another row; the last one of a (system, seed, set, measure) counts.
"""

import fcntl
import math
import os
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from asrdistill.errors import UserError
from asrdistill.files import make_folder
from asrdistill.reader import decoded

TABLE = "measurements.tsv"
DIGITS = 6  # of a value, so that it does not depend on the machine's last bit


class Measurement(NamedTuple):
    system: str
    seed: str  # empty for what belongs to a whole system
    set: str  # empty for what belongs to no set
    measure: str
    value: float  # in the measure's unit: percent, nats a frame, seconds, MB, …
    # frames, words or seconds of speech that it is the mean over: the weight of a set when sets are pooled
    count: int = 1  # type: ignore[assignment]  # tuple has a method of that name
    source: str = ""  # what it was measured on, as a path below EXP

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self[:4]


HEADER = "\t".join(Measurement._fields)


class Measurements:
    """Rows by system, measure and set; the seeds of each in the order of their rows."""

    def __init__(self, rows: Iterable[Measurement]):
        self.rows = list({row.key: row for row in rows}.values())
        self._found: dict[tuple[str, str, str], dict[str, Measurement]] = {}
        for row in self.rows:
            self._found.setdefault((row.system, row.measure, row.set), {})[row.seed] = row

    def seeds(self, system: str, measure: str, *sets: str) -> list[tuple[float, int]]:
        """(value, count) of each seed, the sets pooled; empty where a set was not measured."""
        parts = [self._found.get((system, measure, name), {}) for name in sets or ("",)]
        pooled = []
        for seed in parts[0] if all(parts) else ():
            rows = [part[seed] for part in parts if seed in part]
            count = sum(row.count for row in rows)
            mean = sum(row.value * row.count for row in rows) / count if count else 0.0
            pooled.append((rows[0].value if len(rows) == 1 else mean, count))
        return pooled

    def values(self, system: str, measure: str, *sets: str) -> list[float]:
        """The value of each seed, the sets pooled."""
        return [value for value, _ in self.seeds(system, measure, *sets)]

    def mean(self, system: str, measure: str, *sets: str) -> float | None:
        """Mean over the seeds, the sets pooled; None where it was not measured."""
        values = self.values(system, measure, *sets)
        return statistics.mean(values) if values else None

    def total(self, system: str, measure: str, *sets: str) -> tuple[int, int]:
        """(items that a percentage stands for, all items), summed over the sets and seeds: errors and words, say."""
        found = self.seeds(system, measure, *sets)
        return sum(round(value * count / 100) for value, count in found), sum(count for _, count in found)

    def systems(self, measure: str) -> list[str]:
        return list(dict.fromkeys(row.system for row in self.rows if row.measure == measure))


def read(path: Path) -> list[Measurement]:
    """All rows of a table in order; empty where it is not there. Raises UserError for a line that is no row."""
    if not path.is_file():
        return []
    lines = decoded(path.read_bytes(), str(path)).split("\n")
    rows = []
    for number, line in enumerate(lines[:-1], 1):  # what follows the last line end was cut off by a kill
        if number == 1 and line == HEADER:
            continue
        try:
            system, seed, part, measure, value, count, source = line.split("\t")
            if not (math.isfinite(float(value)) and abs(int(count)) < 1 << 53):
                raise ValueError
            rows.append(Measurement(system, seed, part, measure, float(value), int(count), source))
        except ValueError:
            raise UserError(f"{path}, line {number} has not {len(Measurement._fields)} columns; remove it") from None
    return rows


def append(path: Path, rows: Sequence[Measurement]) -> int:
    """Append the rows that the table does not hold yet, and return how many; a row cut off by a kill is removed."""
    make_folder(path.parent)
    with open(path, "ab") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        known = {row.key: row for row in read(path)}
        new = [row for row in map(rounded, rows) if known.get(row.key) != row]
        content = path.read_bytes()
        handle.truncate(content.rfind(b"\n") + 1)
        header = "" if b"\n" in content else HEADER + "\n"
        handle.write((header + "".join(_line(row) for row in new)).encode())
        handle.flush()
        os.fsync(handle.fileno())
    return len(new)


def rounded(row: Measurement) -> Measurement:
    return row._replace(value=round(float(row.value), DIGITS))


def _line(row: Measurement) -> str:
    value = f"{row.value:.{DIGITS}f}".rstrip("0").rstrip(".")
    fields = [*row[:4], value, str(row.count), row.source]
    if any(character in field for field in fields for character in "\t\n"):
        raise UserError(f"'{row.system}' of {row.source} has a tab or line end in it; rename it")
    return "\t".join(fields) + "\n"
