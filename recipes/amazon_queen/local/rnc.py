"""Decompression of RNC method 1 (Rob Northen Computing's ProPack), used by many games of the 1990s.

    RNC\\x01   unpacked size, packed size (u32)   checksums of both (u16)   slack, chunks (u8)   packed bytes

All big-endian. The packed bytes are words of 16 bits, least significant bit first, and between them runs of literal
bytes. Each chunk begins with three Huffman tables (lengths of literal runs, distances, lengths of copies) and the
number of its pairs of a literal run and a copy of what stands so far back.
"""

import struct

import numba
import numpy as np

from asrdistill.errors import UserError

HEADER = struct.Struct(">4sIIHHBB")
MAGIC = b"RNC\x01"
SYMBOLS = 32  # of a Huffman table, at most


def unpack(packed: bytes) -> bytes:
    """Decompress; raises UserError if the bytes are truncated or a checksum differs."""
    if len(packed) < HEADER.size or not packed.startswith(MAGIC):
        raise UserError("not compressed by RNC method 1")
    _, size, length, checksum, packed_checksum, _, chunks = HEADER.unpack_from(packed)
    body = np.frombuffer(packed, np.uint8, offset=HEADER.size)[:length]
    if len(body) < length or _checksum(body) != packed_checksum:
        raise UserError("the compressed bytes are truncated or damaged")
    unpacked = np.zeros(size, np.uint8)
    filled = _unpack(np.concatenate([body, np.zeros(4, np.uint8)]), chunks, unpacked)
    if filled != size or _checksum(unpacked) != checksum:
        raise UserError("the compressed bytes are damaged")
    return unpacked.tobytes()


@numba.njit(cache=True)
def _checksum(content):
    """CRC-16 with the polynomial 0xA001."""
    value = 0
    for byte in content:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ 0xA001 if value & 1 else value >> 1
    return value


@numba.njit(cache=True)
def _unpack(packed, chunks, out):
    """Fill `out` from `packed`, which four zeros follow; returns how many bytes came out, or -1 for damaged ones."""
    state = np.zeros(3, np.int64)  # next byte, bits that are left of the last word, how many they are
    _bits(packed, state, 2)
    lengths = np.zeros((3, SYMBOLS), np.int64)  # bits of each symbol's code in each table, 0 without one
    filled = 0
    for _ in range(chunks):
        for table in range(3):
            lengths[table] = 0
            for symbol in range(_bits(packed, state, 5)):
                lengths[table, symbol] = _bits(packed, state, 4)
        pairs = _bits(packed, state, 16)
        for pair in range(pairs):
            run = _value(packed, state, lengths[0])
            if run < 0 or filled + run > len(out) or state[0] + run > len(packed):
                return -1
            out[filled : filled + run] = packed[state[0] : state[0] + run]
            filled += run
            state[0] += run
            if pair + 1 == pairs:
                break
            back = _value(packed, state, lengths[1]) + 1
            copied = _value(packed, state, lengths[2]) + 2
            if not 1 <= back <= filled or copied < 2 or filled + copied > len(out):
                return -1
            for _ in range(copied):  # byte by byte: a copy may reach into itself
                out[filled] = out[filled - back]
                filled += 1
    return filled


@numba.njit(cache=True)
def _bits(packed, state, count):
    """The next `count` bits, 16 at most; zeros after the end."""
    if state[2] < count:
        at = state[0]
        if at + 1 < len(packed):
            state[1] |= (packed[at] | (np.int64(packed[at + 1]) << 8)) << state[2]
        state[0] += 2
        state[2] += 16
    value = state[1] & ((1 << count) - 1)
    state[1] >>= count
    state[2] -= count
    return value


@numba.njit(cache=True)
def _value(packed, state, lengths):
    """A number in a canonical Huffman code: its symbol is its count of bits. -1 where no code fits."""
    code = 0  # less the codes of the symbols before
    for length in range(1, 16):
        code = (code << 1) | _bits(packed, state, 1)
        for symbol in range(SYMBOLS):
            if lengths[symbol] == length:
                if code == 0:
                    return symbol if symbol < 2 else (1 << (symbol - 1)) | _bits(packed, state, symbol - 1)
                code -= 1
    return -1
