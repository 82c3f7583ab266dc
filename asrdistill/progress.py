"""Progress of work with its rate: a bar of rich on a terminal, a line every half minute in a log file."""

import sys
import time
from typing import Any

INTERVAL = 30  # seconds between lines in a log file


class Meter:
    """Counts work done towards `total`.

    with Meter("train", total=1000, unit="frames") as meter:
        meter.advance(256, "loss 1.23")
    """

    def __init__(self, what: str, total: float, unit: str, shown: bool = True):
        self.what, self.total, self.unit, self.shown = what, total, unit, shown
        self.done, self.skipped, self.note = 0.0, 0.0, ""
        self.bar: Any = None

    def __enter__(self) -> "Meter":
        self.start = self.last = time.monotonic()
        if self.shown and sys.stderr.isatty() and (bar := _bar()):
            self.bar = bar
            self.task = self.bar.add_task(self.what, total=self.total, rate="")
            self.bar.start()
        return self

    def skip(self, amount: float) -> None:
        """Count work that an earlier run did, which does not enter the rate."""
        self.done += amount
        self.skipped = amount

    def advance(self, amount: float = 1, note: str = "") -> None:
        self.done += amount
        self.note = note or self.note
        if self.bar:
            self.bar.update(self.task, completed=self.done, rate=self._rate())
        elif time.monotonic() - self.last > INTERVAL:
            self.last = time.monotonic()
            self._print(f"{self.what}: {self.done:.0f}/{self.total:.0f} {self._rate()}")

    def _rate(self) -> str:
        rate = (self.done - self.skipped) / max(time.monotonic() - self.start, 1e-9)
        return f"{rate:{'.3g' if rate < 1000 else '.0f'}} {self.unit}/s {self.note}".rstrip()

    def _print(self, line: str) -> None:
        if self.shown:
            print(line, file=sys.stderr, flush=True)

    def __exit__(self, kind: object, *_: object) -> None:
        if self.bar:
            self.bar.stop()
        seconds = time.monotonic() - self.start
        if kind is None and seconds > 2:
            self._print(f"{self.what}: {self.done:.0f} {self.unit} in {seconds:.1f} s, {self._rate()}")


def _bar() -> Any:
    try:
        from rich.console import Console  # not needed for a log file, and not among what recognising needs
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    except ImportError:
        return None

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, TextColumn("{task.fields[rate]}"), console=Console(stderr=True))
