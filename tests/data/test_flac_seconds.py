"""Lengths of FLAC files; truncated files are refused."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from asrdistill.data.audio import flac_seconds
from tests.refusals import refused

RATE = 16_000


def write(path: Path, samples: int, noise: float = 0.1, channels: int = 1) -> bytes:
    shape = (samples, channels) if channels > 1 else samples
    soundfile.write(path, np.random.default_rng(samples).normal(scale=noise, size=shape), RATE, subtype="PCM_16")
    return path.read_bytes()


@pytest.mark.parametrize("samples", [1, 15, 192, 4095, 4096, 4097, 40_960, 200_001, 4096 * 130, 4096 * 2100])
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_length_equals_the_written_one(tmp_path, samples, noise):
    write(tmp_path / "a.flac", samples, noise)
    assert flac_seconds(str(tmp_path / "a.flac")) == samples / RATE


def test_several_channels(tmp_path):
    write(tmp_path / "a.flac", 10_000, channels=2)
    assert flac_seconds(str(tmp_path / "a.flac")) == 10_000 / RATE


@pytest.mark.parametrize("samples", [1, 4096, 50_000])
def test_truncated_flac_is_refused(tmp_path, samples):
    content = write(tmp_path / "a.flac", samples)
    random = np.random.default_rng(0)
    for kept in {*random.integers(0, len(content), 60).tolist(), len(content) - 1, len(content) - 2, 41, 0}:
        (tmp_path / "b.flac").write_bytes(content[:kept])
        with refused(tmp_path / "b.flac"):
            flac_seconds(str(tmp_path / "b.flac"))


def test_damaged_last_frame_is_refused(tmp_path):
    content = write(tmp_path / "a.flac", 50_000)
    (tmp_path / "a.flac").write_bytes(content[:-100] + bytes([content[-100] ^ 1]) + content[-99:])
    with refused(tmp_path / "a.flac"):
        flac_seconds(str(tmp_path / "a.flac"))


def test_other_and_missing_files_are_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(1000), RATE)
    for name in ("a.wav", "none.flac"):
        with refused(tmp_path / name):
            flac_seconds(str(tmp_path / name))


def test_a_header_without_length_is_refused(tmp_path):
    content = bytearray(write(tmp_path / "a.flac", 1000))
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    (tmp_path / "a.flac").write_bytes(content)
    with refused(tmp_path / "a.flac"):
        flac_seconds(str(tmp_path / "a.flac"))
