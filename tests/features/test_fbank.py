"""Filterbanks, compared with kaldi-native-fbank, torchaudio and the plain formula."""

import kaldi_native_fbank as knf
import numpy as np
import pytest
import torch
import torchaudio.compliance.kaldi

from asrdistill.features.fbank import fbank
from asrdistill.features.options import FbankOptions, frames, mel_filters, options_of
from tests.refusals import refused

OPTIONS = [
    FbankOptions(),
    FbankOptions(snip_edges=False),
    FbankOptions(rate=16000, bins=80, low=20.0, high=-400.0),
    FbankOptions(rate=16000, bins=40, low=20.0, high=0.0, snip_edges=False),
    FbankOptions(rate=16000, bins=23, high=7600.0, frame_length=32.0, frame_shift=8.0, preemphasis=0.9),
    FbankOptions(bins=24, low=0.0, high=4000.0, frame_length=20.0, frame_shift=12.5, preemphasis=0.0, snip_edges=False),
]


def speechlike(samples: int, seed: int = 0) -> np.ndarray:
    """Noise whose loudness goes up and down over 40 dB, in 16-bit steps."""
    random = np.random.default_rng(seed)
    envelope = 10 ** (-2 + np.cumsum(random.normal(scale=0.01, size=samples)).clip(-1, 1))
    return (np.round(32768 * envelope * random.normal(size=samples)).clip(-32768, 32767) / 32768).astype(np.float32)


def kaldi(samples: np.ndarray, options: FbankOptions) -> np.ndarray:
    settings = knf.FbankOptions()
    settings.frame_opts.dither = 0
    settings.frame_opts.samp_freq = options.rate
    settings.frame_opts.snip_edges = options.snip_edges
    settings.frame_opts.frame_length_ms = options.frame_length
    settings.frame_opts.frame_shift_ms = options.frame_shift
    settings.frame_opts.preemph_coeff = options.preemphasis
    settings.mel_opts.num_bins = options.bins
    settings.mel_opts.low_freq = options.low
    settings.mel_opts.high_freq = options.high
    computer = knf.OnlineFbank(settings)
    computer.accept_waveform(options.rate, samples * 32768)
    computer.input_finished()
    rows = [computer.get_frame(i) for i in range(computer.num_frames_ready)]
    return np.array(rows, np.float32).reshape(-1, options.bins)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_agrees_with_kaldi(options: FbankOptions) -> None:
    lengths = [3 * options.rate, options.window, options.window + options.shift - 1, options.window + options.shift]
    utterances = [speechlike(length, seed) for seed, length in enumerate(lengths)]
    for samples, ours in zip(utterances, fbank(utterances, options), strict=True):
        theirs = kaldi(samples, options)
        assert ours.shape == theirs.shape == (frames(len(samples), options), options.bins)
        np.testing.assert_allclose(ours, theirs, atol=1e-3)


@pytest.mark.parametrize("snip_edges", [True, False])
@pytest.mark.parametrize("rate", [8000, 16000])
def test_agrees_with_torchaudio(rate: int, snip_edges: bool) -> None:
    options = FbankOptions(rate=rate, high=-200.0, snip_edges=snip_edges)
    samples = speechlike(2 * rate)
    theirs = torchaudio.compliance.kaldi.fbank(
        torch.from_numpy(samples * 32768)[None],
        sample_frequency=rate,
        num_mel_bins=options.bins,
        low_freq=options.low,
        high_freq=options.high,
        dither=0.0,
        snip_edges=snip_edges,
    )
    np.testing.assert_allclose(fbank([samples], options)[0], theirs.numpy(), atol=1e-3)


@pytest.mark.parametrize("snip_edges", [True, False])
def test_frame_count_equals_kaldis_at_every_length(snip_edges: bool) -> None:
    options = FbankOptions(snip_edges=snip_edges)
    for samples in [*range(30, 500, 7), 39, 40, 41, 119, 120, 199, 200, 201, 279, 280]:
        assert frames(samples, options) == len(kaldi(np.ones(samples, np.float32), options)), samples


def test_short_audio_is_reflected_several_times() -> None:
    options = FbankOptions(snip_edges=False)
    samples = speechlike(45)  # a frame of 200 samples around it
    np.testing.assert_allclose(fbank([samples], options)[0], kaldi(samples, options), atol=1e-3)


def test_an_utterance_does_not_depend_on_its_neighbours() -> None:
    options = FbankOptions()
    utterances = [speechlike(n, seed=n) for n in (4000, 150, 200, 9999, 0, 4321)]
    together = fbank(utterances, options)
    assert [len(features) for features in together] == [48, 0, 1, 123, 0, 52]
    for samples, features in zip(utterances, together, strict=True):
        np.testing.assert_allclose(fbank([samples], options)[0], features, atol=1e-4)


def test_large_offset_keeps_precision() -> None:
    options = FbankOptions()
    samples = (0.001 * np.random.default_rng(0).normal(size=8000)).astype(np.float32)
    with_offset = (samples + np.float32(0.5)).astype(np.float32)
    exact = with_offset.astype(np.float64) - 0.5  # what the offset's rounding left of the samples
    np.testing.assert_allclose(fbank([with_offset], options)[0], fbank([exact], options)[0], atol=1e-3)


def test_silence_is_kaldis_floor() -> None:
    (features,) = fbank([np.zeros(1000, np.float32)], FbankOptions())
    np.testing.assert_allclose(features, np.log(np.finfo(np.float32).eps), rtol=1e-6)


def test_a_tone_peaks_in_its_filter() -> None:
    options = FbankOptions()
    tone = 0.5 * np.sin(2 * np.pi * 1000 / 8000 * np.arange(8000)).astype(np.float32)
    (features,) = fbank([tone], options)
    expected = mel_filters(options)[round(1000 * options.fft / 8000)].argmax()
    assert (features.argmax(axis=1) == expected).all()


def test_described_options_are_read_again() -> None:
    options = FbankOptions(rate=16000, high=0.0, snip_edges=False)
    assert options_of(options.describe()) == options
    with refused("cepstra", "fbank"):
        options_of({"type": "cepstra"})


@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        ({"high": 5000.0}, ["high", "4000 Hz", 5000]),
        ({"low": 3900.0}, ["low", 3900]),
        ({"rate": 0}, ["rate"]),
        ({"bins": 0}, ["bins"]),
        ({"frame_shift": 0.0}, ["frame_shift"]),
        ({"bins": 200}, ["200 mel filters", "25 ms"]),
    ],
)
def test_impossible_options_are_refused(wrong: dict, names: list) -> None:
    with refused(*names):
        FbankOptions(**wrong)
