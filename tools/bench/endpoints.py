"""Measure where a stream ends utterances: those of a data directory joined with pauses of low noise.

A boundary is found if the stream ends an utterance within 0.5 s of the middle of its pause; all other ends are extra.
Words of the utterances, recognised one by one, tell whether an end is inside a word. Errors are those of the words that
the stream found, beside those of the utterances one by one. The last line is JSON.

Example:
  python tools/bench/endpoints.py exp/student data/corpus/test-clean
"""

from typing import Any

import numpy as np
from common import RECOGNISER, arguments, finish

import asrdistill
from asrdistill import parallel
from asrdistill.config import add_options, resolve
from asrdistill.data.directory import DataDirectory
from asrdistill.decode.words import Word
from asrdistill.runtime.options import EndpointOptions
from asrdistill.scoring.edit_distance import count_errors

PIECE = 0.1  # seconds
NEAR = 0.5  # seconds
NOISE = 3e-4  # level of the pauses: -70 dB


def main() -> None:
    parser = arguments(__doc__, RECOGNISER)
    parser.add_argument("--boundaries", type=int, default=60, help="between utterances from all over it (default: 60)")
    parser.add_argument("--first", type=int, default=0, help="begin with this one (default: %(default)s)")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds (default: %(default)s)")
    parser.add_argument("--verbose", action="store_true", help="show each end")
    add_options(parser, EndpointOptions)
    args = parser.parse_args()
    parallel.single_thread()
    recogniser, data = asrdistill.load(args.recogniser), DataDirectory.read(args.data)
    rate, shift = recogniser.front.rate, recogniser.frame_shift
    chosen = data.utterances[args.first :: len(data) // (args.boundaries + 1)][: args.boundaries + 1]
    rng, parts, middles, alone = np.random.default_rng(0), [], [], []
    for utterance in chosen:
        begin = sum(map(len, parts)) / rate
        samples = utterance.samples(rate, False)
        alone.append([(w.word, begin + w.start * shift, begin + w.end * shift) for w in words_of(recogniser, samples)])
        pause = NOISE * rng.normal(size=round(args.pause * rate))
        middles.append(begin + (len(samples) + len(pause) / 2) / rate)
        parts += [samples, pause.astype(np.float32)]
    middles.pop()  # after the last one
    parts.pop()
    ends, delays, joined = ends_of(recogniser, np.concatenate(parts), resolve(EndpointOptions, args))
    near = [min(ends, key=lambda end, middle=middle: abs(end - middle)) for middle in middles]
    found = [middle for middle, end in zip(middles, near, strict=True) if abs(end - middle) <= NEAR]
    inside = [end for end in ends for words in alone for _, a, b in words if a + 1e-6 < end < b - 1e-6]
    if args.verbose:
        for end in ends:
            middle = min(middles, key=lambda middle: abs(end - middle))
            print(f"{end:8.2f} s, {end - middle:+.2f} s from the nearest boundary", "inside" * (end in inside))
    reference = [word for utterance in chosen for word in utterance.text.split()]
    finish(
        {
            "boundaries": len(middles),
            "found_percent": round(100 * len(found) / len(middles), 1),
            "extra_percent": round(100 * (len(ends) - len(found)) / len(middles), 1),
            "inside_words": len(inside),
            "ends_after_the_pause_begins_seconds": round(float(np.median(delays_of(middles, ends, args.pause))), 2),
            "shown_after_the_end_seconds": round(float(np.mean(delays)), 2),
            "errors_joined": errors(reference, joined),
            "errors_one_by_one": sum(
                errors(utterance.text.split(), [word for word, _, _ in words])
                for utterance, words in zip(chosen, alone, strict=True)
            ),
            "words": len(reference),
        }
    )


def words_of(recogniser: Any, samples: np.ndarray) -> list[Word]:
    stream = recogniser.stream()
    stream.accept(samples)
    return stream.finish().times


def ends_of(recogniser: Any, samples: np.ndarray, rules: EndpointOptions) -> tuple[list[float], list[float], list[str]]:
    """(seconds at which utterances with words ended, seconds until that was known, all words)"""
    stream, piece = recogniser.stream(None, rules), round(PIECE * recogniser.front.rate)
    ends, delays, words = [], [], []
    for begin in range(0, len(samples), piece):
        for utterance in stream.accept(samples[begin : begin + piece]):
            ends.append(stream.offset * recogniser.frame_shift)
            delays.append((begin + piece) / recogniser.front.rate - ends[-1])
            words += utterance.words
    return ends, delays, words + stream.finish().words


def delays_of(middles: list[float], ends: list[float], pause: float) -> list[float]:
    return [min((end - (m - pause / 2) for end in ends if end > m - pause / 2), default=np.inf) for m in middles]


def errors(reference: list[str], words: list[str]) -> int:
    return sum(count_errors(reference, words))


if __name__ == "__main__":
    main()
