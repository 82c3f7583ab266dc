"""Streaming recognition in constant memory."""

import copy
from dataclasses import replace
from typing import Any

import numpy as np

from asrdistill.data.audio import LOUDEST
from asrdistill.decode.acoustic import ScoreStream
from asrdistill.decode.decoder import RETRIES, WIDER, Decoder, Hypothesis, Search
from asrdistill.decode.words import Word
from asrdistill.errors import UserError
from asrdistill.runtime.frontend import Frontend
from asrdistill.runtime.options import STRETCH, EndpointOptions

MOST = 40  # steps that are taken at once where there is audio enough: ten seconds
LONGEST_WORD = 3.0  # seconds: scores of so many are kept where an utterance must end after a word
RATES = 1000, 192000  # Hz


class Stream:
    """Audio of any length, in pieces; see :meth:`asrdistill.runtime.recogniser.Recogniser.stream`.

    stream.accept(samples)   # again and again; returns the utterances that ended, where there are endpoints
    stream.final             # words of the utterance that no later audio can change, with their frames
    stream.partial           # the best guess at what follows them up to now
    stream.finish().words    # of the last utterance

    Audio is processed in the search's steps, several at once if possible; results do not depend on the pieces. Features
    and scores go on where an utterance ends, and all frames count from the stream's begin.
    """

    def __init__(
        self, front: Frontend, scorer: Any, decoder: Decoder, rate: int, endpoints: EndpointOptions | None = None
    ):
        if not RATES[0] <= rate <= RATES[1]:
            raise UserError(
                f"a sample rate of {rate} Hz is not within {RATES[0]} to {RATES[1]}; give that of the audio"
            )
        self.final: list[Word] = []
        self.partial: list[Word] = []
        self._resampler = None
        if rate != front.rate:
            import soxr

            self._resampler = soxr.ResampleStream(rate, front.rate, 1, dtype="float32", quality="soxr_hq")
        self._features, self._scores = front.stream(), ScoreStream(scorer)
        self._front, self._decoder, self._endpoints = front, decoder, endpoints
        self._waiting = np.empty(0, np.float32)
        every = scorer.senones.subsampling
        self._shift = every * front.shift / front.rate
        self._wanted = (decoder.window * every + scorer.model.context[1] - 1) * front.shift + front.window
        self._step = decoder.block * every * front.shift
        self.offset = 0  # frames before the utterance, where the one before it ended
        self._begin(np.empty((0, decoder.senones), np.float32))

    def _begin(self, scores: np.ndarray) -> None:
        """Begin an utterance with these scores."""
        self._search: Search = self._decoder.start()
        self._search.add(scores)
        self._again: tuple[ScoreStream, np.ndarray, list[np.ndarray]] = copy.copy(self._scores), scores, []
        self._tail: list[np.ndarray] = []  # scores since the frame
        self._tail_from = 0
        self.final, self.partial = [], []

    def accept(self, samples: np.ndarray) -> list[Hypothesis]:
        """Add samples (N,) in [-1, 1), or int16, int32, uint8; returns the utterances with words that ended.

        Raises UserError for other samples, NaN and infinity.
        """
        samples = np.asarray(samples)
        if samples.ndim != 1:
            raise UserError(f"samples have shape {samples.shape}; give one channel, an array of one dimension")
        if samples.dtype in (np.int16, np.int32):
            samples = samples / -float(np.iinfo(samples.dtype).min)
        elif samples.dtype == np.uint8:
            samples = samples / 128.0 - 1
        elif samples.dtype.kind != "f":
            raise UserError(f"samples are {samples.dtype}; give floats in [-1, 1), int16, int32 or uint8")
        samples = samples.astype(np.float32)
        if not np.abs(samples).max(initial=0) <= LOUDEST:
            raise UserError(f"there are samples that are NaN, infinite or beyond {LOUDEST:g}; scale them to [-1, 1)")
        return self._advance(self._resampler.resample_chunk(samples) if self._resampler else samples, self._endpoints)

    def _advance(self, samples: np.ndarray, rules: EndpointOptions | None) -> list[Hypothesis]:
        ended: list[Hypothesis] = []
        self._waiting = np.append(self._waiting, samples)
        while (beyond := len(self._waiting) - self._wanted) >= 0:
            taken = self._wanted + min(beyond // self._step, MOST - 1) * self._step
            piece, self._waiting = self._waiting[:taken], self._waiting[taken:]
            self._wanted = self._step
            scores = self._scored(self._features.accept(piece))
            if rules is None:
                self._search.accept(scores)
            else:
                self._search.add(scores)
                ended += self._search_utterances(rules)
            self._search.partial_traceback()
            self.final, self.partial = map(self._shifted, (self._search.final, self._search.partial))
        return ended

    def _scored(self, features: np.ndarray) -> np.ndarray:
        if self._endpoints:
            self._again[2].append(features)
        return self._scores.accept(features)

    def _search_utterances(self, rules: EndpointOptions) -> list[Hypothesis]:
        """Search as far as there are scores, and end utterances by the rules."""
        ended, longest = [], round(STRETCH * rules.longest / self._shift)
        while len(searched := self._search.step()):
            search = self._search
            if search.frame > longest - LONGEST_WORD / self._shift:
                self._tail_from = self._tail_from if self._tail else search.frame - len(searched)
                self._tail.append(searched)
            ending = search.ending()
            if enough := rules.enough(ending, search.frame, self._shift):
                beyond = min(ending.silence - enough, len(searched))  # the block went on in silence
                end, rest = search.frame - beyond, np.concatenate([searched[len(searched) - beyond :], search.scores])
                found = search.close()
            elif search.frame >= longest:
                end = max(search.settled, self._tail_from)
                rest = np.concatenate([np.concatenate(self._tail)[end - self._tail_from :], search.scores])
                found = replace(search.close(whole=False), partial=False)
            else:
                continue
            if found.times:
                ended.append(replace(found, times=self._shifted(found.times)))
            self.offset += end
            self._begin(rest.copy())
        self._search.scores = self._search.scores.copy()  # of the few that are left
        return ended

    def _shifted(self, words: list[Word]) -> list[Word]:
        """Words with the frames of the stream instead of those of the utterance."""
        offset = self.offset
        return [word._replace(start=word.start + offset, end=word.end + offset) for word in words] if offset else words

    def finish(self) -> Hypothesis:
        """End the last utterance and return its hypothesis; raises UserError if the audio is shorter than a frame.

        With endpoints the search of an utterance whose path ended inside a word is repeated with wider beams.
        """
        if self._resampler:
            self._advance(self._resampler.resample_chunk(np.empty(0, np.float32), last=True), None)
        features = np.concatenate([self._features.accept(self._waiting), self._features.finish()])
        self._search.accept(self._scored(features))
        self._search.accept(self._scores.finish())
        if self.offset + self._search.frames == 0:
            frame = 1000 * self._front.window / self._front.rate
            raise UserError(f"the audio is too short: give at least one frame of {frame:g} ms")
        found = self._search.finish() if self._search.frames else Hypothesis([], 0.0, False)
        decoder, (scores, given, kept) = self._decoder, self._again
        for _ in range(RETRIES if self._endpoints and found.partial else 0):
            decoder = decoder.with_options(decoder.options.wider(WIDER))
            search, scorer = decoder.start(), copy.copy(scores)
            search.accept(given)
            for features in kept:
                search.accept(scorer.accept(features))
            search.accept(scorer.finish())
            if not (found := search.finish()).partial:
                break
        found = replace(found, times=self._shifted(found.times))
        self.final, self.partial = found.times, []
        return found
