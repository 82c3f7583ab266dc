"""Pretrained encoders: the interface, and windowed encoding of long recordings."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from asrdistill.errors import UserError

STEP, WINDOW = 1.0, 4.0  # seconds that are taken from a window where there is a look-ahead, and its length


def checked_layer(layer: int | None, first: int, last: int, model: str) -> int:
    """The layer, by default the last; raises UserError if the model does not have it."""
    if layer is not None and not first <= layer <= last:
        raise UserError(f"{model} has layers {first} to {last}, but not {layer}; give one of these")
    return last if layer is None else layer


class Encoder(ABC):
    """A pretrained network from waveforms to frames, which reads overlapping windows of at most 30 seconds.

    The middle part of each window's frames is kept, so frames do not depend on how a recording is cut into chunks.
    """

    rate: int  # Hz of its waveforms
    shift: float  # seconds from the middle of a frame to that of the next
    centre: float  # seconds from the waveform's beginning to the middle of frame 0
    dimension: int  # D
    settings: dict[str, Any]  # for meta.json: its type, the weights' hash, the layer
    stride: int  # samples from the middle of a frame to that of the next
    beyond: int  # samples after a window's last stride that its last frame depends on
    window, step, ahead = 1500, 1000, 250  # frames of a window, that are taken of it, and after those

    def look_ahead(self, seconds: float) -> None:
        """Encode one second at a time with N seconds of look-ahead; raises UserError if N is too large."""
        if seconds > WINDOW - STEP:
            raise UserError(f"a look-ahead of {seconds:g} s is too long; give at most {WINDOW - STEP:g} s")
        self.window, self.step, self.ahead = (round(length / self.shift) for length in (WINDOW, STEP, seconds))
        self.settings = {**self.settings, "ahead": seconds}

    @abstractmethod
    def count(self, samples: int) -> int:
        """Number of frames of a recording of N samples."""

    @abstractmethod
    def encode(self, samples: np.ndarray) -> np.ndarray:
        """One window: samples (N,) -> frames (T, D) float32; UserError for too few samples."""

    def frames(self, waveform: np.ndarray) -> np.ndarray:
        """Samples (N,) float32 in [-1, 1) of any length -> frames (T, D) float32; UserError for too few samples."""
        stream = WindowedStream(self)
        return np.concatenate([stream.accept(waveform), stream.finish()])


class WindowedStream:
    """Streaming frames of one recording."""

    def __init__(self, encoder: Encoder):
        self._encoder = encoder
        self._waiting = np.empty(0, np.float32)  # samples
        self._first = 0  # frame that they begin with
        self._given = 0  # frames

    def accept(self, samples: np.ndarray) -> np.ndarray:
        """The frames (T, D) float32 that more samples (N,) complete; T may be 0."""
        encoder, found = self._encoder, [np.empty((0, self._encoder.dimension), np.float32)]
        self._waiting = np.append(self._waiting, np.asarray(samples, np.float32))
        while self._first + encoder.count(len(self._waiting)) > self._end():
            before, end = self._forget(), self._end() - self._first
            frames = encoder.encode(self._waiting[: end * encoder.stride + encoder.beyond])
            found.append(frames[before : before + encoder.step])
            self._given += encoder.step
        return np.concatenate(found)

    def finish(self) -> np.ndarray:
        """The frames (T, D) float32 that are left when there are no more samples."""
        before = self._forget()
        return self._encoder.encode(self._waiting)[before:]

    def _end(self) -> int:
        """The frame that the next window ends before, if the recording does not."""
        return self._given + self._encoder.step + self._encoder.ahead

    def _forget(self) -> int:
        """Drop the samples before the next window; returns how many of its frames were given already."""
        first = max(0, self._end() - self._encoder.window)
        self._waiting, self._first = self._waiting[(first - self._first) * self._encoder.stride :], first
        return self._given - first
