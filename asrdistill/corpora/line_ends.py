"""Audio that was once treated as text: its bytes went through a conversion of line ends.

A copy in text mode (FTP, an archiver, version control) turns each pair of bytes 13 10 into a single 10, and each 13
that is left into 10. In 16-bit audio, which such copies have made of many a corpus, this loses one byte in 65,536:
from there to the next loss every sample is made of the halves of two, which is noise as loud as can be.

Where bytes were lost can be found again. A loss stands before a byte 10; on one side of it the samples are whole when
the bytes are paired from an even place on, on the other from an odd one, and whole samples are smoother by far.
"""

import itertools

import numpy as np

CR, LF = 13, 10
ENOUGH = 100  # bytes beside 13 in value; audio that has so many has some of 13, too
SWITCH = 60.0  # bits of smoothness that must be won by believing in a loss


def was_converted(data: bytes) -> bool:
    """Whether 16-bit audio has lost all its bytes 13, though not those of values close by."""
    return data.count(CR) == 0 and data.count(CR - 1) + data.count(CR + 1) >= ENOUGH


def restore(data: bytes) -> tuple[bytes, int]:
    """16-bit little-endian samples with the lost bytes back in their places, and how many there were.

    The roughness of a pairing is Σ log2(1 + |step|) over its samples. The best sequence of pairings is
    found by dynamic programming over the bytes 10, the only places where it may change. What was 13 and is 10
    stays 10, which is a click of 768 at most.
    """
    octets = np.frombuffer(data, np.uint8).astype(np.int32)
    value = octets[:-1] | (octets[1:] << 8)
    value -= (value >> 15) << 16  # signed
    rough = np.zeros(len(octets))
    rough[2:-1] = np.log2(1 + np.abs(value[2:] - value[:-2]))
    places = np.flatnonzero(octets == LF)
    even = np.arange(len(octets)) % 2 == 0
    pieces = [np.add.reduceat(np.where(paired, rough, 0), [0, *places]) for paired in (even, ~even)]
    losses = [int(places[piece - 1]) for piece in _switches(np.stack(pieces, 1))]
    bounds = [0, *losses, len(data)]
    whole = bytes([CR]).join(data[begin:end] for begin, end in itertools.pairwise(bounds))
    return whole[: len(whole) // 2 * 2], len(losses)


def _switches(cost: np.ndarray) -> list[int]:
    """Where the cheapest path through the columns of (N, 2) changes sides, if a change costs SWITCH."""
    total, came = cost[0].copy(), np.zeros(cost.shape, bool)
    for row in range(1, len(cost)):
        came[row] = total[::-1] + SWITCH < total
        total = np.where(came[row], total[::-1] + SWITCH, total) + cost[row]
    side, found = int(np.argmin(total)), []
    for row in range(len(cost) - 1, 0, -1):
        if came[row, side]:
            found.append(row)
            side = 1 - side
    return found[::-1]
