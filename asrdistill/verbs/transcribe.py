"""Write down what is said in audio files: one line of words for each file, on standard output.

With several files each line begins with the file's name. With --ctm there is one line a word:
file, channel, start and duration in seconds, word.

With --stream the audio comes through standard input, 16-bit mono, raw or WAV, and each word is written
as soon as no later sound can change it. A terminal also shows what is only likely yet. Ctrl-C ends the stream.

Example:
  asrdistill transcribe exp/student speech.wav
  asrdistill transcribe exp/student *.mp3 --ctm
  arecord -f S16_LE -r 8000 -t raw | asrdistill transcribe exp/student --stream --rate 8000
"""

import argparse
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recogniser", type=Path, help="folder that asrdistill export made")
    parser.add_argument("files", type=Path, nargs="*", metavar="FILE", help="audio of any format that soundfile reads")
    parser.add_argument("--ctm", action="store_true", help="words with their times")
    parser.add_argument("--stream", action="store_true", help="listen to standard input")
    parser.add_argument("--rate", type=int, help="raw stream: sample rate in Hz (default: the one of the features)")


def run(args: argparse.Namespace) -> None:
    from asrdistill.errors import UserError, shorten
    from asrdistill.runtime.recogniser import Recogniser

    if args.stream == bool(args.files):
        raise UserError("give either audio files or --stream, which listens to standard input")
    if args.rate is not None and not args.stream:
        raise UserError("--rate is for --stream; files say their rate themselves")
    if missing := [path for path in args.files if not path.is_file()]:
        raise UserError(f"{len(missing)} audio file(s) do not exist: {shorten(missing)}")
    recogniser = Recogniser(args.recogniser)
    if args.stream:
        _listen(recogniser, args.rate, args.ctm)
    for path in args.files:
        heard = recogniser.transcribe(path)
        if args.ctm:
            _print_ctm(path, heard.times, recogniser.frame_shift)
        else:
            print((f"{path}\t" if len(args.files) > 1 else "") + " ".join(heard.words), flush=True)


def _print_ctm(source: Path | str, times: list, shift: float) -> None:
    for word in times:
        print(word.ctm(str(source), shift), flush=True)


def _listen(recogniser: Any, rate: int | None, ctm: bool) -> None:
    """Recognise standard input and write each word as it becomes final."""
    import os
    import signal
    import sys

    from asrdistill.errors import UserError
    from asrdistill.runtime.pcm import open_pcm

    if sys.stdin.isatty():
        raise UserError("standard input is a terminal; pipe audio into it: arecord -f S16_LE -t raw | asrdistill …")

    def end(*_: object) -> None:  # Ctrl-C is how one ends a recording: what came is heard, but no more waited for
        os.set_blocking(0, False)
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, end)
    try:
        rate, pieces = open_pcm(sys.stdin.buffer, rate, recogniser.front.rate)
        stream, line, written = recogniser.stream(rate), _Line(), 0
        for samples in pieces:
            stream.accept(samples)
            written += _write(stream, written, line, ctm, recogniser.frame_shift)
        stream.finish()
        _write(stream, written, line, ctm, recogniser.frame_shift)
        if not ctm:
            print(flush=True)
    finally:
        os.set_blocking(0, True)
        signal.signal(signal.SIGINT, before)


def _write(stream: Any, written: int, line: "_Line", ctm: bool, shift: float) -> int:
    """Write the final words after the first `written` ones; returns how many there are."""
    new = stream.final[written:]
    if ctm:
        _print_ctm("stdin", new, shift)
    else:
        line.show([word.word for word in new], [word.word for word in stream.partial])
    return len(new)


class _Line:
    """A line of words that grows; on a terminal the likely words stand behind it, dim, until they are final."""

    def __init__(self) -> None:
        self.separator = ""
        self.width = 0  # how far the terminal's cursor stands from the left

    def show(self, new: list[str], likely: list[str]) -> None:
        import shutil
        import sys

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
