"""PCM streams: raw, WAV, damaged, slow."""

import io
import struct

import numpy as np
import pytest
import soundfile

from asrdistill.runtime.pcm import open_pcm
from tests.refusals import assert_names, refused

SAMPLES = np.random.default_rng(0).integers(-32768, 32768, 20000).astype("<i2")


class Dripping(io.BytesIO):
    """A source that never has more than three bytes at a time."""

    def read1(self, size=-1):
        return super().read1(min(size, 3))


def read(content: bytes, rate=None, source=io.BytesIO):
    found, pieces = open_pcm(source(content), rate, 8000)
    pieces = list(pieces)
    assert all(piece.dtype == np.float32 for piece in pieces)
    return found, np.concatenate([np.empty(0), *pieces]) * 32768


def wav(samples=SAMPLES, rate=11025, size=None, format="WAV", subtype="PCM_16") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=format, subtype=subtype)
    content = file.getvalue()
    if size is not None:
        at = content.index(b"data") + 4
        content = content[:at] + struct.pack("<I", size) + content[at + 4 :]
    return content


@pytest.mark.parametrize("source", [io.BytesIO, Dripping])
@pytest.mark.parametrize("count", [1, 2, 3, 1000, 20000])
def test_raw_samples_are_read_unchanged(source, count):
    rate, samples = read(SAMPLES[:count].tobytes(), source=source)
    assert rate == 8000
    np.testing.assert_array_equal(samples, SAMPLES[:count])
    assert read(SAMPLES[:count].tobytes(), 16000)[0] == 16000


@pytest.mark.parametrize("source", [io.BytesIO, Dripping])
def test_channels_are_mixed_or_chosen(source):
    both = wav(SAMPLES.reshape(-1, 2))
    np.testing.assert_allclose(read(both, source=source)[1], SAMPLES.reshape(-1, 2).mean(1), atol=0.01)
    _, pieces = open_pcm(source(both), None, 8000, 2)
    np.testing.assert_array_equal(np.concatenate(list(pieces)) * 32768, SAMPLES[1::2])
    for content in (both, SAMPLES.tobytes()):
        with refused("not 3"):
            open_pcm(source(content), None, 8000, 3)


@pytest.mark.parametrize("source", [io.BytesIO, Dripping])
@pytest.mark.parametrize("size", [None, 0, 0x7FFFFFFF, 0xFFFFFFFF])
@pytest.mark.parametrize("format", ["WAV", "WAVEX"])
def test_wav_of_known_and_unknown_size_is_read(source, size, format, caplog):
    rate, samples = read(wav(size=size, format=format), source=source)
    assert rate == 11025
    np.testing.assert_array_equal(samples, SAMPLES)
    assert not caplog.text


def test_other_chunks_are_skipped():
    content = wav()
    at = content.index(b"data")
    content = content[:at] + b"LIST" + struct.pack("<I", 5) + b"odd..." + content[at:] + b"LIST\x04\0\0\0more"
    np.testing.assert_array_equal(read(content)[1], SAMPLES)


def test_blocks_are_small():
    _, pieces = open_pcm(io.BytesIO(bytes(10**6)), None, 8000)
    assert max(map(len, pieces)) < 10000


@pytest.mark.parametrize(("content", "count"), [(SAMPLES.tobytes()[:-1], 19999), (b"abc", 1), (b"abcde", 2), (b"a", 0)])
def test_half_a_sample_at_the_end_is_a_warning(content, count, caplog):
    assert len(read(content)[1]) == count
    (record,) = caplog.records
    assert_names(record.getMessage(), "sample")


def test_truncated_wav_stream_is_a_warning(caplog):
    assert len(read(wav()[:-1001])[1]) == 20000 - 501
    (record,) = caplog.records
    assert_names(record.getMessage(), 38999, 40000)


@pytest.mark.parametrize(
    ("content", "rate", "names"),
    [
        (b"", None, ["empty"]),
        (wav(format="FLAC"), None, ["FLAC"]),
        (wav(format="OGG", subtype="VORBIS"), None, ["Ogg"]),
        (b"ID3\x04" + bytes(100), None, ["MP3"]),
        (wav(), 8000, ["11025 Hz", "8000"]),
        (wav(subtype="PCM_U8"), None, ["8 bits"]),
        (wav(subtype="FLOAT"), None, ["32 bits", "format 3"]),
        (wav()[:30], None, ["WAV", "header"]),
        (b"RIFF", None, ["WAV"]),
        (b"RIFF\0\0\0\0AVI LIST", None, ["WAV"]),
        (b"RIFF\0\0\0\0WAVEdata\x04\0\0\0abcd", None, ["WAV", "header"]),
        (b"RIFF\0\0\0\0WAVEjunk\xff\xff\xff\xff", None, ["WAV", "header"]),
    ],
)
def test_other_streams_are_refused(content, rate, names):
    with refused(*names):
        read(content, rate)
