"""Kaldi's log-mel filterbank (feat/feature-window.cc, feat/mel-computations.cc).

Without dither, so that equal audio gives equal features.
"""

import functools
from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from asrdistill.features.options import FbankOptions, frames, mel_filters

_SCALE = 1 << 15  # [-1, 1) -> 16 bit
_BLOCK = 512  # frames whose spectra stay in the processor's cache
_FLOOR = np.float32(np.finfo(np.float32).eps)  # under the logarithm, as in Kaldi


def fbank(utterances: Sequence[np.ndarray], options: FbankOptions) -> list[np.ndarray]:
    """Log-mel energies float32 (T, bins) of each utterance, samples (N,) in [-1, 1); T = ``frames(N, options)``."""
    counts = [frames(len(samples), options) for samples in utterances]
    return [
        _log_mel(_stretch(samples, count, options), options) if count else np.empty((0, options.bins), np.float32)
        for samples, count in zip(utterances, counts, strict=True)
    ]


def _stretch(samples: np.ndarray, count: int, options: FbankOptions) -> np.ndarray:
    """Samples of `count` frames, float32, without their mean (for precision)."""
    if not options.snip_edges:  # from the first frame on, reflected at both ends
        left = options.window // 2 - options.shift // 2
        right = (count - 1) * options.shift + options.window - left - len(samples)
        samples = np.pad(samples, (max(left, 0), max(right, 0)), mode="symmetric")[max(-left, 0) :]
    samples = samples[: (count - 1) * options.shift + options.window]
    return samples.astype(np.float32) - np.float32(samples.mean(dtype=np.float64))


def _log_mel(signal: np.ndarray, options: FbankOptions) -> np.ndarray:
    """All frames of one signal: (N,) -> (T, bins).

    Pre-emphasises the whole signal, so that a frame's mean m becomes (1 - preemphasis) · m. Equal to Kaldi but for a
    frame's first sample, which the window multiplies by 0.
    """
    window, filters = povey(options), _filters(options)
    emphasised = signal.copy()
    emphasised[1:] -= np.float32(options.preemphasis) * signal[:-1]
    plain, cut = (sliding_window_view(x, options.window)[:: options.shift] for x in (signal, emphasised))  # (T, window)
    ones = np.full(options.window, (1 - options.preemphasis) / options.window, np.float32)
    energies = np.empty((len(cut), options.bins), np.float32)
    for begin in range(0, len(cut), _BLOCK):
        frames = cut[begin : begin + _BLOCK] - (plain[begin : begin + _BLOCK] @ ones)[:, None]
        frames *= window
        spectrum = np.fft.rfft(frames, options.fft).astype(np.complex64, copy=False).view(np.float32)  # re, im, re, …
        np.matmul(np.square(spectrum, out=spectrum), filters, out=energies[begin : begin + _BLOCK])
    return np.log(np.maximum(energies, _FLOOR, out=energies), out=energies)


@functools.lru_cache
def povey(options: FbankOptions) -> np.ndarray:
    """Povey window (window,), Hann to the power of 0.85, times the scale to 16 bit."""
    angle = 2 * np.pi / (options.window - 1) * np.arange(options.window)
    return (_SCALE * (0.5 - 0.5 * np.cos(angle)).clip(min=0) ** 0.85).astype(np.float32)


@functools.lru_cache
def _filters(options: FbankOptions) -> np.ndarray:
    """Mel filters for squares of interleaved real and imaginary parts, (fft + 2, bins)."""
    filters = np.pad(mel_filters(options), ((0, 1), (0, 0)))  # half the sample rate is in none
    return np.repeat(filters, 2, axis=0)
