"""Measure streaming recognition in pieces of 100 ms on one core: speed, delay, memory, and equality with files.

The recordings of a data directory, repeated as needed, are one long stream. A word's delay is counted from its last
frame until it is shown for good, as partial and as final.

Example:
  python tools/bench/stream.py recipes/amazon_queen/exp/default/student recipes/amazon_queen/data/default/corpus/dev
"""

import itertools

import numpy as np
from common import RECOGNISER, arguments, finish, memory_mb, timed

import asrdistill
from asrdistill import parallel
from asrdistill.data.directory import DataDirectory

PIECE = 0.1  # seconds


def main() -> None:
    parser = arguments(__doc__, RECOGNISER)
    parser.add_argument("--utterances", type=int, default=60, help="compared with files (default: %(default)s)")
    parser.add_argument("--minutes", type=int, default=10, help="length of the long stream (default: %(default)s)")
    args = parser.parse_args()
    parallel.single_thread()
    recogniser, data = asrdistill.load(args.recogniser), DataDirectory.read(args.data)
    rate = recogniser.front.rate
    piece = round(PIECE * rate)
    chosen = [utterance.samples(rate, False) for utterance in data.utterances[: args.utterances]]
    differ = sum(in_pieces(recogniser, samples, piece) != whole(recogniser, samples) for samples in chosen)
    figures: dict[str, float] = {"utterances": len(chosen), "words_differ_in": differ, "minutes": args.minutes}
    audio = itertools.chain.from_iterable(utterance.samples(rate, False) for utterance in itertools.cycle(data))
    stream, delays, seconds = recogniser.stream(), Delays(), []
    pieces = round(60 * args.minutes / PIECE)
    for number in range(1, pieces + 1):
        samples = np.fromiter(itertools.islice(audio, piece), np.float32, piece)
        seconds.append(timed(lambda samples=samples: stream.accept(samples))[1])
        delays.look(stream, number * piece // recogniser.front.shift)
        if number in (round(60 / PIECE), pieces):
            figures[f"resident_mb_at_{round(number * PIECE / 60)}_min"] = round(memory_mb("VmRSS"))
    last, rest = timed(stream.finish)
    delays.end(last.times, pieces * piece // recogniser.front.shift)
    figures["words"] = len(delays.partial)
    figures["rtf"] = round((sum(seconds) + rest) / (60 * args.minutes), 4)
    figures["longest_piece_ms"] = round(1000 * max(seconds), 1)
    for name, frames in (("partial", delays.partial), ("final", delays.final)):
        figures[f"{name}_delay_frames_mean"] = round(float(np.mean(frames)), 1)
        figures[f"{name}_delay_frames_95"] = float(np.percentile(frames, 95))
    finish(figures)


def whole(recogniser, samples: np.ndarray) -> list[str]:
    return recogniser.decoder.decode(recogniser.scorer.loglikes(recogniser.front.frames(samples))).words


def in_pieces(recogniser, samples: np.ndarray, piece: int) -> list[str]:
    stream = recogniser.stream()
    for begin in range(0, len(samples), piece):
        stream.accept(samples[begin : begin + piece])
    return stream.finish().words


class Delays:
    """Since when each word has been shown, and the delays of final words in frames."""

    def __init__(self) -> None:
        self.since: list[tuple[str, int]] = []  # partial words and the last frame when they were first shown
        self.partial: list[int] = []
        self.final: list[int] = []

    def look(self, stream, now: int) -> None:
        self.end(stream.final, now)
        words = [word.word for word in stream.partial]
        same = [before == word for (before, _), word in zip(self.since, words, strict=False)]
        kept = same.index(False) if False in same else len(same)
        self.since = self.since[:kept] + [(word, now) for word in words[kept:]]

    def end(self, final: list, now: int) -> None:
        """`final`: all final words so far."""
        for word in final[len(self.final) :]:
            before = self.since.pop(0) if self.since else ("", now)
            if before[0] != word.word:
                self.since, before = [], (word.word, now)
            self.partial.append(before[1] - word.end)
            self.final.append(now - word.end)


if __name__ == "__main__":
    main()
