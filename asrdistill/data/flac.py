"""How long FLAC files are, by their header and last frame alone: a corpus of 960 h in seconds, nothing decoded.

The header promises a number of samples. Only a file that ends with a whole frame, up to just that sample, keeps
the promise; libsndfile notices a cut in decoding alone. Format: RFC 9639.
"""

import numba
import numpy as np

from asrdistill.errors import UserError

HEADER = 42  # bytes: "fLaC", the head of a block of metadata, STREAMINFO
FRAME_OVERHEAD = 64  # bytes that a frame may have beyond its samples: header, subframe headers, checksum


def flac_seconds(path: str) -> float:
    """Length of a FLAC file in seconds; raises UserError for what is no FLAC or does not end where its header says."""
    try:
        with open(path, "rb", buffering=0) as handle:
            head = handle.read(HEADER)
            if len(head) < HEADER or head[:4] != b"fLaC":
                raise UserError(f"{path} is no FLAC file, or cut in its header; copy it again")
            info = head[8:]
            bits = int.from_bytes(info[10:18], "big")  # rate 20, channels - 1: 3, sample size - 1: 5, samples 36
            rate, channels, depth = bits >> 44, (bits >> 41 & 7) + 1, (bits >> 36 & 31) + 1
            samples, block = bits & (1 << 36) - 1, int.from_bytes(info[2:4], "big")
            if not samples or not rate:
                raise UserError(f"{path} does not say how long it is; write it again (flac -d, then flac)")
            longest = block * channels * (depth + 7) // 8 + FRAME_OVERHEAD
            handle.seek(max(HEADER, handle.seek(0, 2) - longest))
            end = handle.read()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from None
    if not _ends_with_sample(np.frombuffer(end, np.uint8), samples, block):
        raise UserError(f"{path} is cut short or damaged: its end is not that of {samples / rate:.2f} s; copy it again")
    return samples / rate


def _table(polynomial: int, width: int) -> np.ndarray:
    """Checksum of each byte, for checksums that take the highest bit first."""
    top, mask = 1 << (width - 1), (1 << width) - 1
    rows = np.arange(256, dtype=np.int64) << (width - 8)
    for _ in range(8):
        rows = np.where(rows & top, rows << 1 ^ polynomial, rows << 1) & mask
    return rows


CRC8, CRC16 = _table(0x07, 8), _table(0x8005, 16)


@numba.njit(cache=True)
def _ends_with_sample(end: np.ndarray, samples: int, block: int) -> bool:
    """Whether the bytes end with a whole frame whose last sample is the last of `samples`."""
    for start in range(len(end) - 1):
        if end[start] == 0xFF and end[start + 1] & 0xFE == 0xF8 and _last_sample(end[start:], block) == samples:
            check = 0
            for byte in end[start:]:
                check = (check << 8 & 0xFFFF) ^ CRC16[check >> 8 ^ byte]
            if check == 0:  # of the frame and its own checksum
                return True
    return False


@numba.njit(cache=True)
def _last_sample(frame: np.ndarray, block: int) -> int:
    """Number of samples up to the end of the frame that begins here; -1 where none begins."""
    if len(frame) < 16:  # no frame with its header and checksum is that short, but for one of constant subframes
        frame = np.concatenate((frame, np.zeros(16, np.uint8)))
    size_code, rate_code = frame[2] >> 4, frame[2] & 15
    number, at = np.int64(frame[4]), 5  # coded as in UTF-8
    if number >= 0xC0:
        following = 0
        while number << following & 0x40:
            following += 1
        number &= (1 << max(0, 6 - following)) - 1
        for _ in range(following):
            number = number << 6 | (frame[at] & 0x3F)
            at += 1
    if size_code == 1:
        size = 192
    elif size_code <= 5:
        size = 576 << (size_code - 2)
    elif size_code == 6:
        size = frame[at] + 1
        at += 1
    elif size_code == 7:
        size = (np.int64(frame[at]) << 8 | frame[at + 1]) + 1
        at += 2
    else:
        size = 256 << (size_code - 8)
    if rate_code >= 12:
        at += 1 if rate_code == 12 else 2
    check = 0
    for byte in frame[:at]:
        check = CRC8[check ^ byte]
    if size_code == 0 or check != frame[at]:
        return -1
    return int(number if frame[1] & 1 else number * block) + size
