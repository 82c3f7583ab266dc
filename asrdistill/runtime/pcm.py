"""16-bit PCM from a pipe or a microphone."""

import struct
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from asrdistill.data.audio import check_channel, one_channel
from asrdistill.errors import UserError, log

PIECE = 1 << 14  # most bytes that are handed on at a time; a source that is slower hands on fewer
ENDLESS = 0x7FFF0000  # sizes from here on, and 0, mean an unknown size
PCM, EXTENSIBLE = 1, 0xFFFE  # formats of a WAV stream
OTHERS = {b"fLaC": "FLAC", b"OggS": "Ogg", b"FORM": "AIFF", b"RF64": "RF64", b".snd": "AU", b"NIST": "SPHERE"}
ADVICE = "give 16-bit PCM, raw or as WAV (ffmpeg -i IN -ac 1 -f s16le -ar RATE - makes it)"


def open_pcm(
    source: BinaryIO, rate: int | None, usual: int, channel: int | None = None
) -> tuple[int, Iterator[np.ndarray]]:
    """Sample rate in Hz, and the samples, float32 in [-1, 1), in pieces as they come.

    `source` gives 16-bit little-endian samples, raw and mono at `rate` (`usual` where that is None), or with a WAV
    header; its channels are mixed, or one is taken, from 1. Raises UserError for an empty stream, other formats, a
    channel that is not there, and a header that is damaged or has another rate.
    A stream that ends in the middle of a sample, or before its header says so, gets a warning.
    """
    first = source.read(4)
    if not first:
        raise UserError("the stream is empty; is whatever should write to standard input running?")
    if kind := OTHERS.get(first, "MP3" if first.startswith(b"ID3") else None):
        raise UserError(f"the stream is {kind}; {ADVICE}")
    if first != b"RIFF":
        check_channel(channel, 1, "a raw stream")
        return usual if rate is None else rate, _samples(source, first, None, 1, channel)
    found, size, channels = _header(source)
    check_channel(channel, channels, "the stream")
    if rate not in (None, found):
        raise UserError(f"the stream's header has {found} Hz, not {rate}; leave out the rate")
    return found, _samples(source, b"", size if 0 < size < ENDLESS else None, channels, channel)


def _header(source: BinaryIO) -> tuple[int, int, int]:
    """Rate, size in bytes of the data that follows, and channels of a WAV stream, of which RIFF is read."""
    if source.read(8)[4:] != b"WAVE":
        raise UserError(f"the stream begins like WAV but is not; {ADVICE}")
    rate = channels = 0
    while len(head := source.read(8)) == 8:
        name, size = struct.unpack("<4sI", head)
        if name == b"data" and rate:
            return rate, size, channels
        if name == b"data" or size > 1 << 20:
            break
        content = source.read(size + size % 2)
        if name == b"fmt " and len(content) >= 16:
            kind, channels, rate, bits = struct.unpack("<HHI6xH", content[:16])
            if kind == EXTENSIBLE:
                kind = int.from_bytes(content[24:26], "little")
            if (kind, bits) != (PCM, 16) or not channels:
                raise UserError(f"the stream has {channels} channel(s) of {bits} bits in WAV format {kind}; {ADVICE}")
    raise UserError(f"the stream's WAV header is damaged or cut short; {ADVICE}")


def _samples(
    source: BinaryIO, begin: bytes, size: int | None, channels: int, channel: int | None
) -> Iterator[np.ndarray]:
    """The samples of `begin` and of what follows, up to `size` bytes; None: to the end."""
    rest, count, frame = begin, 0, 2 * channels
    while True:
        piece = source.read1(PIECE if size is None else min(PIECE, size - count))  # type: ignore[attr-defined]
        count += len(piece)
        if whole := len(rest := rest + piece) // frame * frame:
            samples = np.frombuffer(rest[:whole], "<i2").astype(np.float32) / (1 << 15)
            yield one_channel(samples.reshape(-1, channels), channel)
        rest = rest[whole:]
        if not piece:
            break
    if size is not None and count < size:
        log.warning("the stream is cut short: %d of the %d bytes that its header promises", count, size)
    elif rest:
        log.warning("the stream ends in the middle of a sample; its last byte is left out (are the samples 16-bit?)")
