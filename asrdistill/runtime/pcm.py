"""16-bit PCM from a pipe or a microphone."""

import logging
import struct
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from asrdistill.errors import UserError

log = logging.getLogger("asrdistill")

PIECE = 1 << 14  # most bytes that are handed on at a time; a source that is slower hands on fewer
ENDLESS = 0x7FFF0000  # sizes from here on, and 0, mean an unknown size
PCM, EXTENSIBLE = 1, 0xFFFE  # formats of a WAV stream
OTHERS = {b"fLaC": "FLAC", b"OggS": "Ogg", b"FORM": "AIFF", b"RF64": "RF64", b".snd": "AU", b"NIST": "SPHERE"}
ADVICE = "give 16-bit mono PCM, raw or as WAV (ffmpeg -i IN -ac 1 -f s16le -ar RATE - makes it)"


def open_pcm(source: BinaryIO, rate: int | None, usual: int) -> tuple[int, Iterator[np.ndarray]]:
    """Sample rate in Hz, and the samples, float32 in [-1, 1), in pieces as they come.

    `source` gives 16-bit little-endian mono samples, raw at `rate` (`usual` where that is None) or with a WAV header.
    Raises UserError for an empty stream, other formats, and a header that is damaged or has another rate.
    A stream that ends in the middle of a sample, or before its header says so, gets a warning.
    """
    first = source.read(4)
    if not first:
        raise UserError("the stream is empty; is whatever should write to standard input running?")
    if kind := OTHERS.get(first, "MP3" if first.startswith(b"ID3") else None):
        raise UserError(f"the stream is {kind}; {ADVICE}")
    if first != b"RIFF":
        return usual if rate is None else rate, _samples(source, first, None)
    found, size = _header(source)
    if rate not in (None, found):
        raise UserError(f"the stream's header has {found} Hz, not {rate}; leave out the rate")
    return found, _samples(source, b"", size if 0 < size < ENDLESS else None)


def _header(source: BinaryIO) -> tuple[int, int]:
    """Rate and size in bytes of the data that follows in a WAV stream, of which RIFF is read."""
    if source.read(8)[4:] != b"WAVE":
        raise UserError(f"the stream begins like WAV but is not; {ADVICE}")
    rate = 0
    while len(head := source.read(8)) == 8:
        name, size = struct.unpack("<4sI", head)
        if name == b"data" and rate:
            return rate, size
        if name == b"data" or size > 1 << 20:
            break
        content = source.read(size + size % 2)
        if name == b"fmt " and len(content) >= 16:
            kind, channels, rate, bits = struct.unpack("<HHI6xH", content[:16])
            if kind == EXTENSIBLE:
                kind = int.from_bytes(content[24:26], "little")
            if (kind, channels, bits) != (PCM, 1, 16):
                raise UserError(f"the stream has {channels} channel(s) of {bits} bits in WAV format {kind}; {ADVICE}")
    raise UserError(f"the stream's WAV header is damaged or cut short; {ADVICE}")


def _samples(source: BinaryIO, begin: bytes, size: int | None) -> Iterator[np.ndarray]:
    """The samples of `begin` and of what follows, up to `size` bytes; None: to the end."""
    rest, count = begin, 0
    while True:
        piece = source.read1(PIECE if size is None else min(PIECE, size - count))  # type: ignore[attr-defined]
        count += len(piece)
        if whole := len(rest := rest + piece) // 2 * 2:
            yield np.frombuffer(rest[:whole], "<i2").astype(np.float32) / (1 << 15)
        rest = rest[whole:]
        if not piece:
            break
    if size is not None and count < size:
        log.warning("the stream is cut short: %d of the %d bytes that its header promises", count, size)
    elif len(rest) % 2:
        log.warning("the stream ends in the middle of a sample; its last byte is left out (are the samples 16-bit?)")
