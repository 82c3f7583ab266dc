"""Repair of 16-bit audio that went through a conversion of line ends.

A copy in text mode turns bytes 13 10 into 10, and other 13 into 10. Each loss shifts the following samples by one byte,
which makes noise of them. A loss lies before a byte 10; bytes are paired differently before and after it, and correct
pairs make smoother samples.
"""

import itertools

import numpy as np

CR, LF = 13, 10
ENOUGH = 100  # bytes of value 12 and 14; audio with as many has some of 13
SWITCH = 60.0  # bits of smoothness that a loss must gain


def was_converted(data: bytes) -> bool:
    """Whether 16-bit audio has lost its bytes 13, but not those of neighbouring values."""
    return data.count(CR) == 0 and data.count(CR - 1) + data.count(CR + 1) >= ENOUGH


def restore(data: bytes) -> tuple[bytes, int]:
    """(16-bit little-endian samples with the lost bytes restored, number of losses).

    Minimises Σ log2(1 + |step|) over the samples by dynamic programming over the bytes 10. A 13 that became 10 stays,
    which is a click of at most 768.
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
    """Rows at which the cheapest path through the columns of (N, 2) changes sides, at a cost of SWITCH."""
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
