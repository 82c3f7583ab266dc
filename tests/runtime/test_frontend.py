"""The native front end, compared with the features of whole utterances."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from asrdistill.features.cepstra import PRIOR_FRAMES, WINDOW, CepstraOptions, cepstra
from asrdistill.features.fbank import fbank
from asrdistill.features.options import FbankOptions, mel_filters
from asrdistill.runtime.frontend import Frontend, frontend_of

OPTIONS = [
    FbankOptions(),
    FbankOptions(snip_edges=False),
    FbankOptions(rate=16000, bins=40, low=20.0, high=0.0, snip_edges=False),
    FbankOptions(bins=24, low=0.0, high=4000.0, frame_length=25.0, frame_shift=20.0, snip_edges=False),
    FbankOptions(bins=20, frame_length=20.0, frame_shift=32.0),  # gaps between frames
    FbankOptions(bins=20, frame_length=20.0, frame_shift=32.0, snip_edges=False),
]


def voice(seconds: float, rate: int) -> np.ndarray:
    """Harmonics of a gliding tone in bursts, with noise: as loud and as tilted as speech is."""
    time = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * (120 * time + 15 * np.sin(2 * np.pi * time))
    tones = sum(np.sin(k * phase) / k**1.5 for k in range(1, 40))
    rng = np.random.default_rng(0)
    return (0.1 * tones * np.sin(9 * time).clip(0) + 0.001 * rng.normal(size=len(time))).astype(np.float32)


def front(options: FbankOptions) -> Frontend:
    return frontend_of({"features": options.describe()}, Path("model"))


def in_pieces(front: Frontend, samples: np.ndarray, sizes: list[int]) -> np.ndarray:
    stream, found, begin = front.stream(), [], 0
    for size in sizes:
        found.append(stream.accept(samples[begin : begin + size]))
        begin += size
    return np.concatenate([*found, stream.accept(samples[begin:]), stream.finish()])


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("length", [0, 1, 50, 99, 100, 160, 199, 200, 201, 279, 280, 281, 359, 1000, 4321, 8000])
def test_chunks_of_any_size_give_the_same_frames(options: FbankOptions, length: int) -> None:
    rng = np.random.default_rng(length)
    samples = rng.normal(scale=0.1, size=length).astype(np.float32) + np.float32(0.05)
    offline, whole = fbank([samples], options)[0], front(options).frames(samples)
    assert whole.shape == offline.shape
    assert whole.dtype == np.float32
    np.testing.assert_allclose(whole, offline, atol=1e-4)
    for sizes in ([], [1] * min(length, 700), [options.shift] * 60, list(rng.integers(0, 500, 20))):
        assert np.array_equal(in_pieces(front(options), samples, sizes), whole)


@pytest.mark.parametrize("points", [4, 8, 16, 64, 128])
def test_short_windows_have_the_powers_of_the_discrete_fourier_transform(points: int) -> None:
    """Of a window with as many samples as the transform has points, compared with the sum that defines it."""
    options = FbankOptions(rate=1000 * points, bins=1, low=0, high=500.0 * points, frame_length=1.0, frame_shift=1.0)
    assert options.window == options.fft == points
    samples = np.random.default_rng(points).normal(size=3 * points).astype(np.float32)
    found, n = front(options).frames(samples), np.arange(points)
    taper = 32768 * (0.5 - 0.5 * np.cos(2 * np.pi * n / (points - 1))).clip(0) ** 0.85
    for frame, row in zip(found, samples.astype(np.float64).reshape(3, points), strict=True):
        row = row - row.mean()
        cut = (row - options.preemphasis * np.append(row[0], row[:-1])) * taper
        powers = [abs((cut * np.exp(-2j * np.pi * k * n / points)).sum()) ** 2 for k in range(points // 2)]
        energy = powers @ mel_filters(options).astype(np.float64)
        np.testing.assert_allclose(frame, np.log(np.maximum(energy, 2.0**-23)), atol=1e-4)


@pytest.mark.parametrize("normalise", ["none", "speaker"])
def test_cepstra_of_a_voice_are_those_of_the_whole(normalise: str, tmp_path: Path) -> None:
    samples = voice(3.0, 16000)
    options, own = FbankOptions(rate=16000, low=20.0, high=-400.0), CepstraOptions(20, lifter=0.0, normalise=normalise)
    raw = cepstra(fbank([samples], options)[0], own)
    level = {"mean": raw.mean(0).tolist(), "std": raw.std(0).tolist()}
    features = {"type": "cepstra", **own.__dict__, "fbank": options.describe()}
    made = frontend_of({"features": features, "level": level}, tmp_path)
    if normalise == "speaker":
        counts = 100 + np.arange(1, 1 + len(raw))[:, None]
        raw = (raw - (100 * raw.mean(0, dtype=np.float64) + np.cumsum(raw, 0, np.float64)) / counts) / raw.std(0)
    for size in (1, 37, 160, 1001, len(samples)):
        pieces = [size] * min(3000, len(samples) // size)
        found = in_pieces(made, samples, pieces)
        assert np.array_equal(found, made.frames(samples))
    np.testing.assert_allclose(found, raw, atol=1e-4)


def test_running_mean_forgets_what_is_old(tmp_path: Path) -> None:
    """Compared with the mean over the last frames, computed anew for each; the level changes on the way."""
    samples = voice(10.0, 8000)
    samples[40000:] *= 0.01
    own, mean, std = CepstraOptions(4), np.array([80.0, 1, -2, 3]), np.array([2.0, 1, 0.5, 3])
    raw = cepstra(fbank([samples], FbankOptions())[0], own).astype(np.float64)
    features = {"type": "cepstra", **own.__dict__, "fbank": FbankOptions().describe()}
    made = frontend_of({"features": features, "level": {"mean": mean.tolist(), "std": std.tolist()}}, tmp_path)
    slow = []
    for t, frame in enumerate(raw):
        recent = raw[max(0, t + 1 - WINDOW) : t + 1]
        slow.append((frame - (PRIOR_FRAMES * mean + recent.sum(0)) / (PRIOR_FRAMES + len(recent))) / std)
    assert len(raw) > WINDOW + 300
    np.testing.assert_allclose(in_pieces(made, samples, [777] * 90), slow, atol=2e-4)


def test_frame_is_returned_with_its_last_sample() -> None:
    options = FbankOptions()
    samples, stream = np.random.default_rng(0).normal(size=2000).astype(np.float32), front(options).stream()
    counts = [len(stream.accept(samples[n : n + 1])) for n in range(2000)]
    ends = np.flatnonzero(counts) + 1
    first = options.window + options.shift  # before it there may be too little to reflect
    wanted = [first, *range(first + options.shift, 2001, options.shift)]
    assert ends.tolist() == wanted
    assert sum(counts) == 1 + (2000 - options.window) // options.shift


def test_silence_has_the_floor() -> None:
    frames = front(FbankOptions()).frames(np.zeros(800, np.float32))
    assert set(itertools.chain.from_iterable(frames.tolist())) == {float(np.log(np.float32(2.0**-23)))}
