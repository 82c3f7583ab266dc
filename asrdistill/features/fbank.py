"""Kaldi's log-mel filterbank in torch, for many utterances at a time.

The steps are those of Kaldi's feat/feature-window.cc and feat/mel-computations.cc: cut frames,
remove their mean, pre-emphasise, apply the Povey window, take the power spectrum, sum it by
triangular mel filters, take the logarithm. Samples are scaled to 16-bit integers' range as in
Kaldi, and there is no dither, so that equal audio gives equal features.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from asrdistill.config import build, option
from asrdistill.errors import UserError

_SCALE = 1 << 15  # [-1, 1) -> 16 bit
_BLOCK = 1024  # frames whose spectra stay in the processor's cache
_FLOOR = torch.finfo(torch.float32).eps  # under the logarithm, as in Kaldi


@dataclass(frozen=True)
class FbankOptions:
    rate: int = option(8000, "sample rate in Hz; audio of other rates is resampled")
    bins: int = option(40, "number of mel filters")
    low: float = option(60.0, "lowest frequency in Hz")
    high: float = option(3800.0, "highest frequency in Hz; 0 or less: relative to half the sample rate")
    frame_length: float = option(25.0, "length of a frame in ms")
    frame_shift: float = option(10.0, "time between the starts of frames in ms")
    preemphasis: float = option(0.97, "how much of the previous sample is subtracted")
    snip_edges: bool = option(True, "only frames that lie within the audio; if false, reflect it at both ends")

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
        if not _mel_filters(self).any(dim=0).all():
            raise UserError(
                f"{self.bins} mel filters are too many for frames of {self.frame_length:g} ms: some are empty"
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
        """What archives and models store: `type` and all options."""
        return {"type": "fbank", **asdict(self)}


def options_of(features: dict[str, Any]) -> FbankOptions:
    """The options that :meth:`FbankOptions.describe` described; raises UserError for other features."""
    if features.get("type") != "fbank":
        raise UserError(f"these features are {features.get('type')}, not fbank")
    return build(FbankOptions, {key: value for key, value in features.items() if key != "type"}, "the feature settings")


def frames(samples: int, options: FbankOptions) -> int:
    """How many frames that many samples give."""
    if options.snip_edges:
        return max(0, 1 + (samples - options.window) // options.shift)
    return (samples + options.shift // 2) // options.shift


def fbank(utterances: Sequence[np.ndarray], options: FbankOptions) -> list[np.ndarray]:
    """Log-mel energies of each utterance.

    `utterances`: samples (N,) in [-1, 1) at `options.rate`. Returns float32 (T, bins) for each,
    T = ``frames(N, options)``, which may be 0.
    """
    counts = [frames(len(samples), options) for samples in utterances]
    # One long signal in which each utterance starts at a multiple of the shift: all frames are one
    # view of it, and those that reach over an utterance's end are computed in vain.
    stretches = [_stretch(samples, count, options) for samples, count in zip(utterances, counts, strict=True) if count]
    if not stretches:
        return [np.empty((0, options.bins), np.float32) for _ in utterances]
    signal = torch.from_numpy(np.concatenate(stretches))
    windows = signal.unfold(0, options.window, options.shift)
    energies = torch.cat([_log_mel(block, options) for block in windows.split(_BLOCK)]).numpy()
    out, begin = [], 0
    lengths = iter(len(stretch) // options.shift for stretch in stretches)
    for count in counts:
        out.append(energies[begin : begin + count])
        begin += next(lengths) if count else 0
    return out


def _stretch(samples: np.ndarray, count: int, options: FbankOptions) -> np.ndarray:
    """The samples that `count` frames cover, float32, filled up to a multiple of the shift."""
    if not options.snip_edges:
        left = options.window // 2 - options.shift // 2
        right = (count - 1) * options.shift + options.window - left - len(samples)
        samples = np.pad(samples, (max(left, 0), max(right, 0)), mode="symmetric")[max(-left, 0) :]
    covered = (count - 1) * options.shift + options.window
    filled = np.zeros(-(-covered // options.shift) * options.shift, np.float32)
    filled[:covered] = samples[:covered]
    return filled


def _log_mel(windows: torch.Tensor, options: FbankOptions) -> torch.Tensor:
    """(T, window) -> (T, bins)"""
    centred = windows - windows.mean(dim=1, keepdim=True)
    emphasised = torch.cat(
        [centred[:, :1] * (1 - options.preemphasis), centred[:, 1:] - options.preemphasis * centred[:, :-1]], dim=1
    )
    spectrum = torch.fft.rfft(emphasised * _povey(options), n=options.fft)
    power = torch.view_as_real(spectrum[:, :-1]).square().sum(dim=2)
    return (power @ _mel_filters(options)).clamp_(min=_FLOOR).log_()


@functools.lru_cache
def _povey(options: FbankOptions) -> torch.Tensor:
    """Kaldi's window (window,): Hann to the power of 0.85, here with the scale to 16 bit."""
    angle = 2 * math.pi / (options.window - 1) * torch.arange(options.window, dtype=torch.float64)
    return (_SCALE * (0.5 - 0.5 * angle.cos()).clamp(min=0) ** 0.85).float()


@functools.lru_cache
def _mel_filters(options: FbankOptions) -> torch.Tensor:
    """Triangular filters (fft / 2, bins), evenly spaced on the mel scale of 1127 ln(1 + f / 700).

    The bin at half the sample rate belongs to no filter, as in Kaldi.
    """
    edges = torch.linspace(_mel(options.low), _mel(options.top), options.bins + 2, dtype=torch.float64)
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    frequency = torch.arange(options.fft // 2, dtype=torch.float64) * options.rate / options.fft
    mel = (1127 * (1 + frequency / 700).log())[:, None]
    rise, fall = (mel - left) / (centre - left), (right - mel) / (right - centre)
    return torch.minimum(rise, fall).clamp(min=0).float()


def _mel(frequency: float) -> float:
    return 1127 * math.log(1 + frequency / 700)
