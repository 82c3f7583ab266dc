"""steel_sky on a made-up game whose entries are compressed here."""

import struct
from pathlib import Path

import numpy as np
import pytest
import rnc
import soundfile
from steel_sky import make_corpus, read_index

from asrdistill.data.directory import DataDirectory
from asrdistill.errors import UserError
from tests.refusals import assert_names, refused


class Packer:
    """Bits in words of 16, lowest first; a word takes its place where its first bit is needed."""

    def __init__(self):
        self.content, self.words, self.free = bytearray(), [], 0

    def put(self, value: int, count: int) -> None:
        if self.free < count:
            self.words.append(len(self.content))
            self.content += b"\0\0"
            self.free += 16
        for bit in range(count):
            if value >> bit & 1:
                place = len(self.words) * 16 - self.free
                self.content[self.words[place // 16] + place % 16 // 8] |= 1 << place % 8
            self.free -= 1

    def table(self) -> None:
        """16 symbols of 4 bits each."""
        self.put(16, 5)
        for _ in range(16):
            self.put(4, 4)

    def number(self, value: int) -> None:
        symbol = value.bit_length()
        for bit in range(4):
            self.put(symbol >> (3 - bit) & 1, 1)
        if symbol > 1:
            self.put(value - (1 << symbol - 1), symbol - 1)


def pack(chunks: list[list[tuple[bytes, int, int]]]) -> bytes:
    """Chunks of (literal bytes, distance, length) -> packed; the last of a chunk has its literal bytes alone."""
    packer, plain = Packer(), bytearray()
    packer.put(0, 2)
    for pairs in chunks:
        for _ in range(3):
            packer.table()
        packer.put(len(pairs), 16)
        for number, (literal, back, copied) in enumerate(pairs, 1):
            packer.number(len(literal))
            packer.content += literal
            plain += literal
            if number < len(pairs):
                packer.number(back - 1)
                packer.number(copied - 2)
                for _ in range(copied):
                    plain.append(plain[-back])
    body = bytes(packer.content)
    checks = [slow_checksum(part) for part in (plain, body)]
    return rnc.HEADER.pack(rnc.MAGIC, len(plain), len(body), *checks, 0, len(chunks)) + body


def slow_checksum(content: bytes) -> int:
    value = 0
    for byte in content:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value


def literals(content: bytes) -> bytes:
    """Packed in chunks of runs of up to 999 bytes; each pair but the last copies two bytes from 2 back and goes on."""
    return pack([[(content[at : at + 999], 0, 0)] for at in range(0, len(content), 999)])


def test_checksum_is_crc_16():
    assert rnc._checksum(np.frombuffer(b"123456789", np.uint8)) == 0xBB3D


def test_copies_reach_into_themselves_and_over_chunks():
    packed = pack([[(b"abc", 3, 7), (b"", 1, 4), (b"xyz", 0, 0)], [(b"-", 5, 3), (b"!", 0, 0)]])
    plain = b"abcabcabca" + b"aaaa" + b"xyz" + b"-"
    plain += plain[-5:-2] + b"!"
    assert rnc.unpack(packed) == plain


@pytest.mark.parametrize("damage", [lambda p: p[:-1], lambda p: p[:30] + bytes([p[30] ^ 1]) + p[31:], lambda p: b"RNC"])
def test_damaged_bytes_are_refused(damage):
    with pytest.raises(UserError):
        rnc.unpack(damage(literals(bytes(range(200)))))


def make_game(folder: Path, sounds: dict[int, np.ndarray]) -> Path:
    index, disk = b"", b""
    for number, samples in sounds.items():
        entry = bytes(22) + literals((samples + 128).astype(np.uint8).tobytes())
        disk += bytes(-len(disk) % 16)
        place = len(disk)
        coded = place if number % 2 else 1 << 23 | place >> 4  # both forms of a place
        index += struct.pack("<H", number) + coded.to_bytes(3, "little") + len(entry).to_bytes(3, "little")
        disk += entry
    folder.mkdir()
    (folder / "sky.dnr").write_bytes(struct.pack("<I", len(sounds)) + index)
    (folder / "sky.dsk").write_bytes(disk)
    return folder


@pytest.fixture
def game(tmp_path):
    rng = np.random.default_rng(0)
    noise = {number: rng.integers(-90, 90, 11025 + number % 7) for number in (50_000, 50_001, 51_002, 55_999)}
    others = {49_999: noise[50_000], 60_000: noise[50_000], 50_003: noise[50_000][:2000], 50_004: noise[50_000] * 0}
    return make_game(tmp_path / "game", {**noise, **others}), noise


def test_speech_is_extracted_bit_for_bit(game, tmp_path, caplog):
    caplog.set_level("INFO", "asrdistill")
    folder, sounds = game
    make_corpus(folder, tmp_path / "out")
    data = DataDirectory.read(tmp_path / "out" / "unlabelled")
    assert [utterance.id for utterance in data] == [f"sky-{number}" for number in sorted(sounds)]
    assert all(utterance.text is None for utterance in data)
    for number, samples in sounds.items():
        heard, rate = soundfile.read(data[f"sky-{number}"].audio, dtype="int16")
        assert rate == 11025
        assert np.array_equal(heard, samples * 256)
    assert_names(caplog.text, "2 clips", "0.5 s", "sky-50003")
    assert len(list((tmp_path / "out" / "clips").iterdir())) == len(sounds)


def test_missing_truncated_and_damaged_files_are_refused(game, tmp_path):
    folder = game[0]
    with refused(tmp_path / "sky.dnr"):
        list(read_index(tmp_path))
    disk = (folder / "sky.dsk").read_bytes()
    (folder / "sky.dsk").write_bytes(disk[:-3000])
    with refused(folder / "sky.dsk", "entry 50004"):
        list(read_index(folder))
    damaged = bytearray(disk)
    damaged[300:500] = bytes(200)
    (folder / "sky.dsk").write_bytes(bytes(damaged))
    with refused(folder / "sky.dsk", "entry 50000"):
        make_corpus(folder, tmp_path / "out")
    (folder / "sky.dnr").write_bytes((folder / "sky.dnr").read_bytes()[:-1])
    with refused(folder / "sky.dnr"):
        list(read_index(folder))
