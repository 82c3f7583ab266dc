"""TensorBoard's event file of a training, beside its record: no package is needed to write it.

A record is its length, data and the masked CRC-32C of both; the data is an Event of TensorFlow's event.proto. Times are
the epochs' numbers: a run that was killed and resumed ends with the same bytes.
"""

import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

from asrdistill.files import atomic

NAME = "events.out.tfevents.0"


def write_events(folder: Path, history: Iterable[Mapping[str, float]], updates: float) -> None:
    """Write the file anew: a point of each measure at each epoch's end, over `updates` an epoch."""
    events = [_event(0, 0, b"\x1a", b"brain.Event:2")]
    for record in history:
        values = b"".join(_value(name, value) for name, value in record.items() if name != "epoch")
        events.append(_event(record["epoch"], round(updates * record["epoch"]), b"\x2a", values))
    with atomic(folder / NAME, "wb") as file:
        for event in events:
            length = struct.pack("<Q", len(event))
            file.write(length + _checksum(length) + event + _checksum(event))


def _event(time: float, step: int, key: bytes, content: bytes) -> bytes:
    return struct.pack("<Bd", 0x09, time) + b"\x10" + _varint(step) + key + _varint(len(content)) + content


def _value(name: str, value: float) -> bytes:
    tag = name.encode()
    content = b"\x0a" + _varint(len(tag)) + tag + struct.pack("<Bf", 0x15, value)
    return b"\x0a" + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    *more, last = [number >> shift & 0x7F for shift in range(0, max(1, number.bit_length()), 7)]
    return bytes([*(part | 0x80 for part in more), last])


def _checksum(data: bytes) -> bytes:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x82F63B78 * (crc & 1)
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
