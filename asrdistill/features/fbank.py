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
_BLOCK = 1024  # frames whose spectra stay in the processor's cache
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
    return (power @ _filters(options)).clamp_(min=_FLOOR).log_()


@functools.lru_cache
def _povey(options: FbankOptions) -> torch.Tensor:
    """Kaldi's window (window,): Hann to the power of 0.85, here with the scale to 16 bit."""
    angle = 2 * math.pi / (options.window - 1) * torch.arange(options.window, dtype=torch.float64)
    return (_SCALE * (0.5 - 0.5 * angle.cos()).clamp(min=0) ** 0.85).float()


@functools.lru_cache
def _filters(options: FbankOptions) -> torch.Tensor:
    return torch.from_numpy(mel_filters(options))
