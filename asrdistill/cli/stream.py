"""``asrdistill transcribe --stream``: words of standard input as they become final."""

import os
import shutil
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from asrdistill.errors import UserError, log


def listen(recogniser: Any, rate: int | None, channel: int | None, rules: Any, form: str, nbest: int) -> None:
    """Recognise standard input and print each word, or in other forms than txt each utterance, as it becomes final.

    Ctrl-C ends the stream.
    """
    from asrdistill.runtime.formats import rendered
    from asrdistill.runtime.pcm import open_pcm

    if sys.stdin.isatty():
        raise UserError("standard input is a terminal; pipe audio into it: arecord -f S16_LE -t raw | asrdistill …")

    def end(*_: object) -> None:  # recognise what has come, and wait for no more
        os.set_blocking(0, False)
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, end)
    try:
        rate, pieces = open_pcm(sys.stdin.buffer, rate, recogniser.front.rate, channel)
        stream = recogniser.stream(rate, rules, form != "txt")
        if form == "txt":
            _write_words(stream, pieces)
            return
        options = recogniser.decoder.options
        for text in rendered(form, _utterances(stream, pieces), recogniser.frame_shift, options, "stdin", nbest):
            print(text, end="", flush=True)
    finally:
        os.set_blocking(0, True)
        signal.signal(signal.SIGINT, before)


def spot(
    recogniser: Any, keywords: Mapping[str, float], files: list[Path], rate: int | None, alarms: float | None
) -> None:
    """Print where keywords are said in files, or in standard input; with `alarms` per hour, thresholds instead."""
    from asrdistill.data.audio import audio_pieces
    from asrdistill.runtime.pcm import open_pcm

    if alarms is not None:
        for keyword, least in recogniser.thresholds(keywords, files, alarms).items():
            print(f"{keyword}\t{least:g}", flush=True)
        return
    spotter = recogniser.with_keywords(keywords)
    for path in [*map(str, files)] or ["stdin"]:
        source = audio_pieces(path) if files else open_pcm(sys.stdin.buffer, rate, recogniser.front.rate)
        stream, written = spotter.stream(source[0]), 0
        for samples in source[1]:
            stream.accept(samples)
            written += _print_ctm(path, stream.final[written:], recogniser.frame_shift)
        _print_ctm(path, stream.finish().times[written:], recogniser.frame_shift)


def _print_ctm(source: str, words: list[Any], shift: float) -> int:
    for word in words:
        print(word._replace(word="_".join(word.word.split())).ctm(source, shift), flush=True)
    return len(words)


def _utterances(stream: Any, pieces: Iterable[Any]) -> Iterator[Any]:
    for samples in pieces:
        yield from stream.accept(samples)
    yield _last(stream)


def _last(stream: Any) -> Any:
    if (found := stream.finish()).partial:
        log.warning("the audio ends inside a word, which is left out")
    return found


def _write_words(stream: Any, pieces: Iterable[Any]) -> None:
    """A line for each utterance, which grows word by word."""
    line, written = Line(), 0
    for samples in pieces:
        for found in stream.accept(samples):
            line.show(found.words[written:], [])
            print(flush=True)
            line, written = Line(), 0
        line.show([word.word for word in stream.final[written:]], [word.word for word in stream.partial])
        written = len(stream.final)
    last = _last(stream)
    line.show(last.words[written:], [])
    if written or last.times or not stream.offset:
        print(flush=True)


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
