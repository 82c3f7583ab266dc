"""Progress bars with a rate, on a terminal; one line every half minute in a log file."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress

T = TypeVar("T")


class Meter:
    """Counts work done towards `total` and shows it with its rate.

    with Meter("train", total=1000, unit="frames") as meter:
        meter.advance(256, "loss 1.23")
    """

    def __init__(self, what: str, total: float, unit: str, shown: bool = True):
        self.what, self.total, self.unit, self.shown = what, total, unit, shown
        self.done, self.skipped, self.note = 0.0, 0.0, ""

    def __enter__(self) -> Meter:
        self.start = self.last = time.monotonic()
        self.bar: Progress | None = None
        if self.shown and sys.stderr.isatty():
            self.bar = _bar()
            self.task = self.bar.add_task(self.what, total=self.total, rate="")
            self.bar.start()
        return self

    def skip(self, amount: float) -> None:
        """Count work that an earlier run did: it does not enter the rate."""
        self.done += amount
        self.skipped = amount

    def advance(self, amount: float = 1, note: str = "") -> None:
        self.done += amount
        self.note = note or self.note
        now = time.monotonic()
        if self.bar:
            self.bar.update(self.task, completed=self.done, rate=self._rate())
        elif self.shown and now - self.last > 30:
            self.last = now
            print(f"{self.what}: {self.done:.0f}/{self.total:.0f} {self._rate()}", file=sys.stderr, flush=True)

    def _rate(self) -> str:
        rate = (self.done - self.skipped) / max(time.monotonic() - self.start, 1e-9)
        return (
            f"{rate:.3g} {self.unit}/s {self.note}".rstrip()
            if rate < 1000
            else f"{rate:.0f} {self.unit}/s {self.note}".rstrip()
        )

    def __exit__(self, kind: object, *_: object) -> None:
        if self.bar:
            self.bar.stop()
        seconds = time.monotonic() - self.start
        if self.shown and kind is None and seconds > 2:
            print(
                f"{self.what}: {self.done:.0f} {self.unit} in {seconds:.1f} s, {self._rate()}",
                file=sys.stderr,
                flush=True,
            )


def _bar() -> Progress:
    from rich.console import Console  # which a log file needs none of
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, TextColumn("{task.fields[rate]}"), console=Console(stderr=True))


def track(items: Iterable[T], what: str, total: int, unit: str) -> Iterator[T]:
    """Yield the items, showing progress."""
    with Meter(what, total, unit) as meter:
        for item in items:
            yield item
            meter.advance()
