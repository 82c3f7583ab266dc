"""Noise for perturbed copies: recordings of noise, or babble of other utterances."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from asrdistill.data.directory import Utterance
from asrdistill.errors import UserError

BABBLE = 5  # utterances in a babble
LONG = 60.0  # seconds
_TRIES = 20  # to find a piece that is not silent


class Noise:
    """Noise that depends on the utterance's id and the seed alone.

    Takes a random piece of a recording of noise; with `babble` the sum of pieces of utterances, preferably of other
    speakers. Shorter pieces are repeated.
    """

    def __init__(self, sources: Sequence[Utterance], babble: bool, seed: int, pipes: bool):
        self.sources, self.babble, self.seed, self.pipes = sources, babble, seed, pipes
        self._speaker, self._others = "", list(sources)

    def add(self, utterance: Utterance, samples: np.ndarray, rate: int, snr: tuple[float, float]) -> np.ndarray:
        """Samples (N,) with noise at an SNR (dB, of the mean powers) drawn uniformly from the range."""
        digest = hashlib.sha256(f"{self.seed} {utterance.id}".encode()).digest()
        rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
        decibels = rng.uniform(*snr)
        return mixed(samples, self._cut(utterance, len(samples), rate, rng), decibels)

    def _cut(self, utterance: Utterance, length: int, rate: int, rng: np.random.Generator) -> np.ndarray:
        if not self.babble:
            return self._piece(self.sources, length, rate, rng)
        if self._speaker != utterance.speaker:  # utterances come speaker by speaker
            self._speaker = utterance.speaker
            self._others = [u for u in self.sources if u.speaker != utterance.speaker]
        others = self._others or [u for u in self.sources if u.id != utterance.id]
        if not others:
            raise UserError(f"there is nothing but {utterance.id} to make a babble of; give recordings with --noise")
        voices = [self._piece(others, length, rate, rng) for _ in range(BABBLE)]
        return np.stack([voice / np.sqrt(np.mean(voice**2)) for voice in voices]).sum(axis=0)

    def _piece(self, sources: Sequence[Utterance], length: int, rate: int, rng: np.random.Generator) -> np.ndarray:
        """A piece (length,) of a random recording that is not silent."""
        for _ in range(_TRIES):
            source = sources[int(rng.integers(len(sources)))]
            if (rest := (source.seconds or 0.0) - length / rate) > LONG:  # not read as a whole
                begin = source.start + rng.uniform(0, rest)
                source = replace(source, start=begin, end=begin + length / rate, duration=None)
            samples = source.samples(rate, self.pipes)
            piece = np.resize(np.roll(samples, -rng.integers(len(samples))), length)
            if np.any(piece):
                return piece
        raise UserError(f"the noise in {source.audio} and in others like it is silence; give recordings of noise")


def mixed(samples: np.ndarray, noise: np.ndarray, decibels: float) -> np.ndarray:
    """Sum of speech and noise (N,) at an SNR of `decibels`."""
    power = np.mean(np.square(samples, dtype=np.float64)) / np.mean(np.square(noise, dtype=np.float64))
    return (samples + np.sqrt(power / 10 ** (decibels / 10)) * noise).astype(np.float32)
