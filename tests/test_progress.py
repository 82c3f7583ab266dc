import io

import pytest

from asrdistill import progress
from asrdistill.progress import Meter


def test_short_work_prints_nothing(capsys):
    with Meter("quick", 2, "items") as meter:
        meter.advance()
        meter.advance()
    assert capsys.readouterr().err == ""


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""

    class Clock:
        now = 0.0

    monkeypatch.setattr(progress.time, "monotonic", lambda: Clock.now)
    return Clock


def test_log_has_a_line_every_half_minute_and_one_at_the_end(clock, capsys):
    with Meter("train", 1000, "frames") as meter:
        for _ in range(10):
            clock.now += 10
            meter.advance(100, "loss 1.5")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "train: 400/1000 10 frames/s loss 1.5"
    assert lines[1].startswith("train: 800/1000")
    assert lines[-1] == "train: 1000 frames in 100.0 s, 10 frames/s loss 1.5"
    assert len(lines) == 3


def test_failed_work_prints_no_last_line(clock, capsys):
    def fail() -> None:
        with Meter("train", 10, "frames"):
            clock.now += 10
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(progress.sys, "stderr", terminal)
    with Meter("train", 10, "frames") as meter:
        meter.advance(10)
    assert "train" in terminal.getvalue()
    assert "10/10" in terminal.getvalue()
