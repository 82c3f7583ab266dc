"""Streaming recognition in pieces of 100 ms on one core: speed, delay, memory, and whether it hears what files give.

All recordings of a data directory, one after the other and again from the first where they do not suffice, are one
long stream. A word's delay is counted from its last frame until it is shown and never changes again, as partial and
as final; partial is what is shown behind the final words.

Example:
  python tools/bench/stream.py recipes/amazon_queen/exp/default/student recipes/amazon_queen/data/default/corpus/dev
"""

import argparse
import itertools
import json
import resource
import time
from pathlib import Path

import numpy as np

from asrdistill import parallel
from asrdistill.data.directory import DataDirectory
from asrdistill.runtime.recogniser import Recogniser

PIECE = 0.1  # seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recogniser", type=Path)
    parser.add_argument("data", type=Path, help="data directory")
    parser.add_argument("--utterances", type=int, default=60, help="heard both whole and in pieces (default: 60)")
    parser.add_argument("--minutes", type=int, default=10, help="length of the long stream (default: 10)")
    args = parser.parse_args()
    parallel.single_thread()
    recogniser, data = Recogniser(args.recogniser), DataDirectory.read(args.data)
    rate = recogniser.front.rate
    piece = round(PIECE * rate)
    chosen = [utterance.samples(rate, False) for utterance in data.utterances[: args.utterances]]
    differ = sum(_in_pieces(recogniser, samples, piece) != _whole(recogniser, samples) for samples in chosen)
    figures: dict[str, float] = {"utterances": len(chosen), "words_differ_in": differ, "minutes": args.minutes}
    print(figures, flush=True)
    sound = itertools.chain.from_iterable(utterance.samples(rate, False) for utterance in itertools.cycle(data))
    stream, shown, seconds = recogniser.stream(), _Shown(), []
    for number in range(1, round(60 * args.minutes / PIECE) + 1):
        samples = np.fromiter(itertools.islice(sound, piece), np.float32, piece)
        start = time.process_time()
        stream.accept(samples)
        seconds.append(time.process_time() - start)
        shown.look(stream, number * piece // recogniser.front.shift)
        if number in (round(60 / PIECE), round(60 * args.minutes / PIECE)):
            figures[f"resident_mb_at_{round(number * PIECE / 60)}_min"] = _resident_mb()
            print(figures, flush=True)
    start = time.process_time()
    shown.end(stream.finish().times, len(seconds) * piece // recogniser.front.shift)
    figures["words"] = len(shown.partial)
    figures["rtf"] = round((sum(seconds) + time.process_time() - start) / (60 * args.minutes), 4)
    figures["longest_piece_ms"] = round(1000 * max(seconds), 1)
    for name, delays in (("partial", shown.partial), ("final", shown.final)):
        figures[f"{name}_delay_frames_mean"] = round(float(np.mean(delays)), 1)
        figures[f"{name}_delay_frames_95"] = float(np.percentile(delays, 95))
    print(json.dumps(figures))


def _resident_mb() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() >> 20


def _whole(recogniser: Recogniser, samples: np.ndarray) -> list[str]:
    return recogniser.decoder.decode(recogniser.scorer.loglikes(recogniser.front.frames(samples))).words


def _in_pieces(recogniser: Recogniser, samples: np.ndarray, piece: int) -> list[str]:
    stream = recogniser.stream()
    for begin in range(0, len(samples), piece):
        stream.accept(samples[begin : begin + piece])
    return stream.finish().words


class _Shown:
    """Since when each word has been shown, and the delays of those that are final."""

    def __init__(self) -> None:
        self.since: list[tuple[str, int]] = []  # partial words and the frame up to which there was sound then
        self.partial: list[int] = []
        self.final: list[int] = []

    def look(self, stream, now: int) -> None:
        self.end(stream.final, now)
        words = [word.word for word in stream.partial]
        same = [before == word for (before, _), word in zip(self.since, words, strict=False)]
        kept = same.index(False) if False in same else len(same)
        self.since = self.since[:kept] + [(word, now) for word in words[kept:]]

    def end(self, final: list, now: int) -> None:
        """`final`: all final words up to now."""
        for word in final[len(self.final) :]:
            before = self.since.pop(0) if self.since else ("", now)
            if before[0] != word.word:
                self.since, before = [], (word.word, now)
            self.partial.append(before[1] - word.end)
            self.final.append(now - word.end)


if __name__ == "__main__":
    main()
