"""Kaldi's log-mel filterbank in torch, for many utterances at a time.

The steps are those of Kaldi's feat/feature-window.cc and feat/mel-computations.cc: cut frames,
remove their mean, pre-emphasise, apply the Povey window, take the power spectrum, sum it by
triangular mel filters, take the logarithm. Samples are scaled to 16-bit integers' range as in
Kaldi, and there is no dither, so that equal audio gives equal features.
"""

import functools
import math
from collections.abc import Sequence

import numpy as np
import torch

from asrdistill.features.options import FbankOptions, frames, mel_filters

_SCALE = 1 << 15  # [-1, 1) -> 16 bit
_BLOCK = 512  # frames whose spectra stay in the processor's cache
_FLOOR = torch.finfo(torch.float32).eps  # under the logarithm, as in Kaldi


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
    energies = _log_mel(torch.from_numpy(np.concatenate(stretches)), options).numpy()
    out, begin = [], 0
    lengths = iter(len(stretch) // options.shift for stretch in stretches)
    for count in counts:
        out.append(energies[begin : begin + count])
        begin += next(lengths) if count else 0
    return out


def _stretch(samples: np.ndarray, count: int, options: FbankOptions) -> np.ndarray:
    """The samples that `count` frames cover, float32, without their mean, filled up to a multiple of the shift.

    Each frame loses its own mean later; taking away the utterance's first keeps a large offset
    from costing digits.
    """
    if not options.snip_edges:
        left = options.window // 2 - options.shift // 2
        right = (count - 1) * options.shift + options.window - left - len(samples)
        samples = np.pad(samples, (max(left, 0), max(right, 0)), mode="symmetric")[max(-left, 0) :]
    covered = (count - 1) * options.shift + options.window
    filled = np.zeros(-(-covered // options.shift) * options.shift, np.float32)
    filled[:covered] = samples[:covered]
    filled[:covered] -= samples[:covered].mean(dtype=np.float64)
    return filled


def _log_mel(signal: torch.Tensor, options: FbankOptions) -> torch.Tensor:
    """All frames of one signal: (N,) -> (T, bins)

    Pre-emphasis comes before framing, over the whole signal, and a frame's mean m is taken from
    the emphasised samples as (1 - preemphasis) · m. This is Kaldi's result but for a frame's
    first sample, which the window multiplies by 0.
    """
    window, filters = _povey(options), _filters(options)
    emphasised = signal.clone()
    emphasised[1:] -= options.preemphasis * signal[:-1]
    plain = signal.unfold(0, options.window, options.shift)  # (T, window), a view
    cut = emphasised.unfold(0, options.window, options.shift)
    padded = torch.zeros(_BLOCK, options.fft)
    energies = torch.empty(len(cut), options.bins)
    for out, x, y in zip(energies.split(_BLOCK), plain.split(_BLOCK), cut.split(_BLOCK), strict=True):
        block = padded[: len(y)]
        offset = (1 - options.preemphasis) * x.mean(dim=1)
        torch.mul(y, window, out=block[:, : options.window]).addr_(offset, window, alpha=-1)
        spectrum = torch.view_as_real(torch.fft.rfft(block)).flatten(1)  # re, im, re, im, …
        torch.mm(spectrum.square_(), filters, out=out).clamp_(min=_FLOOR).log_()
    return energies


@functools.lru_cache
def _povey(options: FbankOptions) -> torch.Tensor:
    """Kaldi's window (window,): Hann to the power of 0.85, here with the scale to 16 bit."""
    angle = 2 * math.pi / (options.window - 1) * torch.arange(options.window, dtype=torch.float64)
    return (_SCALE * (0.5 - 0.5 * angle.cos()).clamp(min=0) ** 0.85).float()


@functools.lru_cache
def _filters(options: FbankOptions) -> torch.Tensor:
    """The mel filters for squares of real and imaginary parts side by side, (fft + 2, bins)."""
    filters = np.pad(mel_filters(options), ((0, 1), (0, 0)))  # half the sample rate belongs to none
    return torch.from_numpy(np.repeat(filters, 2, axis=0))
