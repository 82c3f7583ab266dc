"""``asrdistill transcribe --stream``: words of standard input as they become final."""

import logging
import os
import shutil
import signal
import sys
from typing import Any

from asrdistill.errors import UserError

log = logging.getLogger("asrdistill")


def print_ctm(source: str, times: list, shift: float) -> None:
    for word in times:
        print(word.ctm(source, shift), flush=True)


def listen(recogniser: Any, rate: int | None, ctm: bool) -> None:
    """Recognise standard input and print each word as it becomes final; Ctrl-C ends the stream."""
    from asrdistill.runtime.pcm import open_pcm

    if sys.stdin.isatty():
        raise UserError("standard input is a terminal; pipe audio into it: arecord -f S16_LE -t raw | asrdistill …")

    def end(*_: object) -> None:  # recognise what has come, and wait for no more
        os.set_blocking(0, False)
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, end)
    try:
        rate, pieces = open_pcm(sys.stdin.buffer, rate, recogniser.front.rate)
        stream, line, written = recogniser.stream(rate), Line(), 0
        for samples in pieces:
            stream.accept(samples)
            written += _write(stream, written, line, ctm, recogniser.frame_shift)
        if stream.finish().partial:
            log.warning("the audio ends inside a word, which is left out")
        _write(stream, written, line, ctm, recogniser.frame_shift)
        if not ctm:
            print(flush=True)
    finally:
        os.set_blocking(0, True)
        signal.signal(signal.SIGINT, before)


def _write(stream: Any, written: int, line: "Line", ctm: bool, shift: float) -> int:
    """Write the final words after the first `written` ones; returns how many there are."""
    new = stream.final[written:]
    if ctm:
        print_ctm("stdin", new, shift)
    else:
        line.show([word.word for word in new], [word.word for word in stream.partial])
    return len(new)


class Line:
    """A growing line of words; on a terminal, words that may still change follow it, dim."""

    def __init__(self) -> None:
        self.separator = ""
        self.width = 0  # columns to the left of the terminal's cursor

    def show(self, new: list[str], likely: list[str]) -> None:
        text = self.separator + " ".join(new) if new else ""
        self.separator = " " if new else self.separator
        if sys.stdout.isatty():
            columns = shutil.get_terminal_size().columns
            self.width = (self.width + len(text)) % columns
            if self.width > columns // 2:
                text, self.separator, self.width = text + "\n", "", 0
            shown = (self.separator + " ".join(likely))[: columns - self.width - 1] if likely else ""
            text = f"\x1b[K{text}\x1b[2m{shown}\x1b[0m" + (f"\x1b[{len(shown)}D" if shown else "")
        print(text, end="", flush=True)
