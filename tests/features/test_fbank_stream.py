"""Filterbanks of a stream, compared with those of the whole signal."""

import numpy as np
import pytest

from asrdistill.features.fbank import FbankStream, fbank
from asrdistill.features.options import FbankOptions

OPTIONS = [
    FbankOptions(),
    FbankOptions(snip_edges=False),
    FbankOptions(rate=16000, bins=40, low=20.0, high=0.0, snip_edges=False),
    FbankOptions(bins=24, low=0.0, high=4000.0, frame_length=25.0, frame_shift=20.0, snip_edges=False),
    FbankOptions(bins=20, frame_length=20.0, frame_shift=32.0),  # gaps between frames
    FbankOptions(bins=20, frame_length=20.0, frame_shift=32.0, snip_edges=False),
]


def in_pieces(samples: np.ndarray, sizes: list[int], options: FbankOptions) -> np.ndarray:
    stream, found, begin = FbankStream(options), [], 0
    for size in sizes:
        found.append(stream.accept(samples[begin : begin + size]))
        begin += size
    return np.concatenate([*found, stream.accept(samples[begin:]), stream.finish()])


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("length", [0, 1, 50, 99, 100, 160, 199, 200, 201, 279, 280, 281, 359, 1000, 4321, 8000])
def test_blocks_of_any_size_give_the_same_frames(options, length):
    rng = np.random.default_rng(length)
    samples = rng.normal(scale=0.1, size=length).astype(np.float32) + np.float32(0.05)
    whole = fbank([samples], options)[0]
    for sizes in ([], [1] * min(length, 700), [options.shift] * 60, list(rng.integers(0, 500, 20))):
        found = in_pieces(samples, sizes, options)
        assert found.shape == whole.shape
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, whole, atol=2e-3)


def test_frame_is_returned_with_its_last_sample():
    options, stream = FbankOptions(), FbankStream(FbankOptions())
    samples = np.random.default_rng(0).normal(size=2000).astype(np.float32)
    counts = [len(stream.accept(samples[n : n + 1])) for n in range(2000)]
    ends = np.flatnonzero(counts) + 1
    first = options.window + options.shift  # before it there may be too little to reflect
    wanted = [first, *range(first + options.shift, 2001, options.shift)]
    assert ends.tolist() == wanted
    assert sum(counts) == 1 + (2000 - options.window) // options.shift
