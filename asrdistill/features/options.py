"""Options of filterbanks, framing and mel filters."""

import functools
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from asrdistill.config import build, option
from asrdistill.errors import UserError


@dataclass(frozen=True)
class FbankOptions:
    rate: int = option(8000, "sample rate in Hz; audio of other rates is resampled")
    bins: int = option(40, "number of mel filters")
    low: float = option(60.0, "lowest frequency in Hz")
    high: float = option(3800.0, "highest frequency in Hz; 0 or less: relative to half the sample rate")
    frame_length: float = option(25.0, "length of a frame in ms")
    frame_shift: float = option(10.0, "time between the starts of frames in ms")
    preemphasis: float = option(0.97, "factor of the previous sample that is subtracted")
    snip_edges: bool = option(True, "only frames within the audio; otherwise reflect it at both ends")

    def __post_init__(self) -> None:
        top = self.rate / 2
        if min(self.rate, self.bins, self.shift, self.window - 1) < 1:
            raise UserError(
                "rate, bins, frame_length and frame_shift must be positive and a frame at least two samples"
            )
        if not 0 <= self.low < self.top <= top:
            raise UserError(
                f"mel filters need 0 <= low < high <= {top:g} Hz, not low {self.low:g} and high {self.high:g}"
            )
        if not mel_filters(self).any(axis=0).all():
            raise UserError(
                f"{self.bins} mel filters are too many for {self.frame_length:g} ms: some are empty; lower --bins"
            )

    @property
    def window(self) -> int:
        """samples in a frame"""
        return int(self.rate * 0.001 * self.frame_length)

    @property
    def shift(self) -> int:
        """samples from one frame to the next"""
        return int(self.rate * 0.001 * self.frame_shift)

    @property
    def fft(self) -> int:
        """points of the Fourier transform: the power of two that holds a frame"""
        return 1 << (self.window - 1).bit_length()

    @property
    def top(self) -> float:
        """highest frequency in Hz"""
        return self.high if self.high > 0 else self.rate / 2 + self.high

    def describe(self) -> dict[str, Any]:
        """Settings that archives and models store."""
        return {"type": "fbank", **asdict(self)}


def options_of(features: dict[str, Any], where: str = "the feature settings") -> FbankOptions:
    """Options from :meth:`FbankOptions.describe`; raises UserError, which names `where`, for other features."""
    if features.get("type") != "fbank":
        raise UserError(f"{where} are {features.get('type')}, not fbank; give filterbanks")
    return build(FbankOptions, {key: value for key, value in features.items() if key != "type"}, where)


def frames(samples: int, options: FbankOptions) -> int:
    """Number of frames of this many samples."""
    if options.snip_edges:
        return max(0, 1 + (samples - options.window) // options.shift)
    return (samples + options.shift // 2) // options.shift


@functools.lru_cache
def mel_filters(options: FbankOptions) -> np.ndarray:
    """Triangular filters, float32 (fft / 2, bins), evenly spaced on the mel scale 1127 ln(1 + f / 700), as in Kaldi."""
    low, high = _mel(np.array([options.low, options.top]))
    edges = np.linspace(low, high, options.bins + 2)
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    mel = _mel(np.arange(options.fft // 2) * options.rate / options.fft)[:, None]
    rise, fall = (mel - left) / (centre - left), (right - mel) / (right - centre)
    return np.minimum(rise, fall).clip(min=0).astype(np.float32)


def _mel(frequency: np.ndarray) -> np.ndarray:
    return 1127 * np.log(1 + frequency / 700)
