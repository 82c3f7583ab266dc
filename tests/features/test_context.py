"""Deltas, splicing and statistics, compared with their definitions."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torchaudio.functional
from hypothesis import given
from hypothesis import strategies as st

from asrdistill.data.archive import FrameArchive, ShardWriter, finish
from asrdistill.features.context import add_deltas, splice
from asrdistill.features.statistics import global_stats
from tests.refusals import refused


def matrix(frames: int, size: int) -> np.ndarray:
    return np.random.default_rng(frames).normal(size=(frames, size)).astype(np.float32)


@given(st.integers(1, 12), st.integers(1, 3))
def test_deltas_follow_the_definition(frames: int, size: int) -> None:
    features = matrix(frames, size)
    at = lambda t: features[min(max(t, 0), frames - 1)].astype(np.float64)  # noqa: E731
    reach = range(-2, 3)
    delta = [sum(j * at(t + j) for j in reach) / 10 for t in range(frames)]
    double = [sum(i * j * at(t + i + j) for i in reach for j in reach) / 100 for t in range(frames)]
    np.testing.assert_allclose(add_deltas(features), np.hstack([features, delta, double]), atol=1e-5)


def test_deltas_equal_those_of_torchaudio() -> None:
    features = matrix(50, 13)
    theirs = torchaudio.functional.compute_deltas(torch.from_numpy(features.T.copy()), win_length=5).numpy().T
    np.testing.assert_allclose(add_deltas(features, order=1)[:, 13:], theirs, atol=1e-5)


def test_deltas_of_a_ramp_are_its_slope() -> None:
    out = add_deltas(3 * np.arange(20.0)[:, None])
    np.testing.assert_allclose(out[4:-4, 1], 3, rtol=1e-5)
    np.testing.assert_allclose(out[4:-4, 2], 0, atol=1e-5)
    assert out.dtype == np.float32
    assert out.shape == (20, 3)


def test_order_zero_changes_nothing() -> None:
    features = matrix(5, 4)
    np.testing.assert_array_equal(add_deltas(features, order=0), features)


@given(st.integers(1, 9), st.integers(0, 12), st.integers(0, 12))
def test_splice_concatenates_the_neighbours(frames: int, left: int, right: int) -> None:
    features = matrix(frames, 2)
    slow = [
        np.concatenate([features[min(max(t + d, 0), frames - 1)] for d in range(-left, right + 1)])
        for t in range(frames)
    ]
    np.testing.assert_array_equal(splice(features, left, right), slow)


def archive_of(folder: Path, arrays: list[np.ndarray]) -> FrameArchive:
    parts = {"frames": ("float32", (3,))}
    writer = ShardWriter(folder, 0, parts)
    for number, array in enumerate(arrays):
        writer.write(f"u{number}", frames=array)
    finish(folder, "features", parts, [writer.close()])
    return FrameArchive(folder)


def test_global_stats_are_those_of_all_frames(tmp_path: Path) -> None:
    arrays = [100 + 5 * matrix(frames, 3) for frames in (7, 1, 30)]
    mean, deviation = global_stats(archive_of(tmp_path, arrays))
    frames = np.concatenate(arrays).astype(np.float64)
    np.testing.assert_allclose(mean, frames.mean(axis=0))
    np.testing.assert_allclose(deviation, frames.std(axis=0))
    assert mean.dtype == deviation.dtype == np.float64


def test_large_archives_are_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = [matrix(frames, 3) for frames in (7, 1, 30, 12)]
    archive = archive_of(tmp_path, arrays)
    monkeypatch.setattr("asrdistill.features.statistics.SAMPLE_FRAMES", 40)
    mean, _ = global_stats(archive)  # 50 frames: every second utterance
    np.testing.assert_allclose(mean, np.concatenate(arrays[::2]).mean(axis=0, dtype=np.float64))
    monkeypatch.setattr("asrdistill.features.statistics.SAMPLE_FRAMES", 50)
    mean, _ = global_stats(archive)
    np.testing.assert_allclose(mean, np.concatenate(arrays).mean(axis=0, dtype=np.float64))


def test_statistics_of_no_frames_are_refused(tmp_path: Path) -> None:
    with refused("frames"):
        global_stats(archive_of(tmp_path, []))
