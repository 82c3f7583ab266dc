"""Streaming recognition in constant memory."""

from typing import Any

import numpy as np

from asrdistill.data.audio import LOUDEST
from asrdistill.decode.acoustic import ScoreStream
from asrdistill.decode.decoder import Decoder, Hypothesis
from asrdistill.decode.words import Word
from asrdistill.errors import UserError
from asrdistill.runtime.frontend import Frontend

MOST = 40  # steps that are taken at once where there is audio enough: ten seconds


class Stream:
    """One utterance of any length, in pieces; see :meth:`asrdistill.runtime.recogniser.Recogniser.stream`.

    stream.accept(samples)   # again and again
    stream.final             # words that no later audio can change, with their frames
    stream.partial           # the best guess at what follows them up to now
    stream.finish().words

    Audio is processed in the search's steps, several at once if possible; results do not depend on the pieces.
    """

    def __init__(self, front: Frontend, scorer: Any, decoder: Decoder, rate: int):
        if rate < 1:
            raise UserError(f"a sample rate of {rate} Hz is impossible; give that of the audio")
        self.final: list[Word] = []
        self.partial: list[Word] = []
        self._resampler = None
        if rate != front.rate:
            import soxr

            self._resampler = soxr.ResampleStream(rate, front.rate, 1, dtype="float32", quality="soxr_hq")
        self._features, self._scores, self._search = front.stream(), ScoreStream(scorer), decoder.start()
        self._front, self._waiting = front, np.empty(0, np.float32)
        every = scorer.senones.subsampling
        self._wanted = (decoder.window * every + scorer.model.context[1] - 1) * front.shift + front.window
        self._step = decoder.block * every * front.shift

    def accept(self, samples: np.ndarray) -> None:
        """Add samples (N,) in [-1, 1), or int16, int32, uint8; raises UserError for others, NaN and infinity."""
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
        self._advance(self._resampler.resample_chunk(samples) if self._resampler else samples)

    def _advance(self, samples: np.ndarray) -> None:
        self._waiting = np.append(self._waiting, samples)
        while (beyond := len(self._waiting) - self._wanted) >= 0:
            taken = self._wanted + min(beyond // self._step, MOST - 1) * self._step
            piece, self._waiting = self._waiting[:taken], self._waiting[taken:]
            self._wanted = self._step
            self._search.accept(self._scores.accept(self._features.accept(piece)))
            self._search.partial_traceback()
            self.final, self.partial = self._search.final, self._search.partial

    def finish(self) -> Hypothesis:
        """End the utterance and return its hypothesis; raises UserError if it is shorter than a frame."""
        if self._resampler:
            self._advance(self._resampler.resample_chunk(np.empty(0, np.float32), last=True))
        features = np.concatenate([self._features.accept(self._waiting), self._features.finish()])
        self._search.accept(self._scores.accept(features))
        self._search.accept(self._scores.finish())
        if self._search.frames == 0:
            frame = 1000 * self._front.window / self._front.rate
            raise UserError(f"the audio is too short: give at least one frame of {frame:g} ms")
        found = self._search.finish()
        self.final, self.partial = found.times, []
        return found
