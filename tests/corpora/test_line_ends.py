"""Restoring bytes lost in a conversion of line ends."""

import numpy as np

from asrdistill.corpora.line_ends import restore, was_converted


def speechlike(seconds: float, seed: int = 0) -> bytes:
    """Smooth 16-bit samples with energies that come and go."""
    rng = np.random.default_rng(seed)
    noise = np.convolve(rng.normal(size=int(16000 * seconds) + 31), np.hanning(32), "valid")
    swell = 1 + np.sin(np.arange(len(noise)) / 2000)
    return (700 * noise * swell).astype("<i2").tobytes()


def convert(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def test_planted_losses_are_found():
    data = bytearray(speechlike(3.0))
    data = data.replace(b"\r\n", b"\x0e\n")
    for at in (20_001, 50_000, 72_345):
        data[at : at + 2] = b"\r\n"
    damaged = convert(bytes(data))
    assert len(damaged) == len(data) - 3
    assert was_converted(damaged)
    restored, losses = restore(damaged)
    assert losses == 3
    a, b = (np.frombuffer(octets[: len(data) - 2], "<i2").astype(int) for octets in (bytes(data), restored))
    assert len(restored) == len(data)
    assert np.mean(np.abs(a - b) > 3) < 0.02  # bytes 13 that stood alone are lost for good


def test_sound_audio_is_left_alone():
    data = speechlike(2.0, seed=1)
    assert not was_converted(data)
    assert not was_converted(bytes(32_000))  # silence has no byte 13, but none close by either
    assert restore(data) == (data, 0)
