"""Reading audio of any format of libsndfile, at the sample rate of the features."""

import hashlib
import io
import math
import mmap
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from asrdistill.errors import UserError

PIECE = 1 << 16  # samples that are read at a time
FLAC_BLOCK = 4096  # samples: the usual block, which is decoded as a whole
UNKNOWN = 2**63 - 1  # libsndfile's frame count of a FLAC stream that does not say how long it is
# kbit/s of MPEG 2 and of MPEG 1, layer III
MP3_RATES = (
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
)
STREAM = 0x7FFF0000  # bytes: sizes from here on are those of streams, whose length nobody knew
LOUDEST = 8.0  # of float samples; beyond it they are no numbers in [-1, 1)
OVERSHOOT = 0.5  # seconds that a segment may exceed its recording, as in Kaldi


def read_audio(
    source: str, rate: int, start: float = 0.0, end: float | None = None, pipes: bool = False, mix: bool = False
) -> np.ndarray:
    """Samples of one recording or of the part from `start` to `end` (seconds).

    source  path, or shell command ending in ``|`` if `pipes` allows it
    mix     take the mean of several channels

    Returns float32 (N,) in [-1, 1), mono, at `rate` Hz, resampled by soxr if needed. Raises UserError for audio that is
    missing, empty, unreadable, truncated, longer than it says, stereo (without `mix`) or not finite, and for FLAC that
    is read as a whole and whose samples are not those of its MD5.
    """
    handle = _open(source, pipes)
    with open_sound(handle, source) as sound:
        if not mix:
            _check_mono(sound, source)
        _check_length(sound, source)
        native = sound.samplerate
        count = -1 if end is None else max(0, round(end * native) - round(start * native))
        try:
            if start > 0:
                sound.seek(min(round(start * native), sound.frames))
            promised = max(0, _promised_frames(sound, handle) - sound.tell())
            read = sound.read(count, dtype="float32", always_2d=True)
            if start <= 0 and count < 0:
                digest = _Digest(sound, handle)
                digest.add(read)
                digest.check(source)
            samples = read[:, 0] if sound.channels == 1 else read.mean(axis=1)
        except MemoryError:
            raise UserError(f"{source} claims {sound.frames} samples, too many for memory; cut or copy it") from None
        except soundfile.LibsndfileError as error:
            raise _not_audio(source, error) from None
        if count < 0 or len(samples) < count:
            check_whole(sound, handle, source)
    _check_count(source, len(samples), promised if count < 0 else min(count, promised), count)
    _check_values(source, samples)
    if count - len(samples) > OVERSHOOT * native:
        raise UserError(f"{source} ends at {start + len(samples) / native:.2f} s, the segment at {end} s; correct it")
    if native == rate:
        return samples
    resampled = soxr.resample(samples, native, rate, quality="soxr_hq")
    return np.pad(resampled, (0, math.ceil(len(samples) * (rate / native)) - len(resampled)))  # as librosa does


def audio_pieces(source: str, channel: int | None = None) -> tuple[int, Iterator[np.ndarray]]:
    """Sample rate in Hz and the samples, float32 (N,) in [-1, 1), piece by piece, of an audio file of any length.

    channel  from 1; None: several channels are mixed

    Raises UserError for a channel that is not there, and as :func:`read_audio`, at the latest after the last piece.
    """
    handle = _open(source, pipes=False)
    sound = open_sound(handle, source)
    check_channel(channel, sound.channels, source)
    return sound.samplerate, _pieces(sound, handle, source, channel)


def check_channel(channel: int | None, channels: int, source: str) -> None:
    if channel and channel > channels:
        raise UserError(f"{source} has {channels} channel(s), not {channel}; choose one of them")


def one_channel(samples: np.ndarray, channel: int | None) -> np.ndarray:
    """(N, channels) -> (N,): the mean, or one, from 1."""
    return samples[:, channel - 1] if channel else samples.mean(axis=1) if samples.shape[1] > 1 else samples[:, 0]


def _pieces(
    sound: soundfile.SoundFile, handle: io.BytesIO | str, source: str, channel: int | None
) -> Iterator[np.ndarray]:
    with sound:
        _check_length(sound, source)
        promised, done, digest = _promised_frames(sound, handle), 0, _Digest(sound, handle)
        try:
            while len(read := sound.read(PIECE, dtype="float32", always_2d=True)):
                digest.add(read)
                samples = one_channel(read, channel)
                _check_values(source, samples)
                done += len(samples)
                yield samples
        except soundfile.LibsndfileError as error:
            raise _not_audio(source, error) from None
        check_whole(sound, handle, source)
        _check_count(source, done, promised)
        digest.check(source)


class _Digest:
    """MD5 of a FLAC file's samples, for comparison with that of its header (RFC 9639), if it has one."""

    def __init__(self, sound: soundfile.SoundFile, handle: io.BytesIO | str):
        head = bytes(_content(handle)[:42]) if sound.format == "FLAC" else b""
        self.bits = ((head[20] & 1) << 4 | head[21] >> 4) + 1 if len(head) == 42 else 0
        self.known = head[:4] == b"fLaC" and any(head[26:]) and self.bits in (8, 16, 24)
        self.wanted, self.found = head[26:], hashlib.md5(usedforsecurity=False)

    def add(self, samples: np.ndarray) -> None:
        """The next samples, float32 (N, channels)."""
        if self.known:
            width = self.bits // 8  # bytes
            whole = (samples * np.float32(1 << self.bits - 1)).astype("<i4" if width == 3 else f"<i{width}")
            self.found.update(whole.view(np.uint8).reshape(-1, 4)[:, :3].tobytes() if width == 3 else whole.data)

    def check(self, source: str) -> None:
        if self.known and self.found.digest() != self.wanted:
            raise UserError(f"{source} is damaged: its samples are not those of its MD5; copy it again")


def _check_mono(sound: soundfile.SoundFile, source: str) -> None:
    if sound.channels != 1:
        raise UserError(f"{source} has {sound.channels} channels; give one channel (sox IN OUT remix 1)")


def _check_length(sound: soundfile.SoundFile, source: str) -> None:
    if sound.frames == UNKNOWN:
        raise UserError(f"{source} does not say how long it is; write it to a file again (sox IN OUT)")


def _not_audio(source: str, error: soundfile.LibsndfileError) -> UserError:
    return UserError(f"{source} is not audio ({error.error_string.rstrip('.')}); convert it to WAV")


def open_sound(handle: io.BytesIO | str, source: str) -> soundfile.SoundFile:
    """Open audio; WAV of a recorder that was killed before it wrote its size counts as whole. UserError for others."""
    try:
        sound = soundfile.SoundFile(handle)
        if sound.frames == 0 and sound.format in ("WAV", "WAVEX"):
            content = bytearray(_content(handle)[:])
            place = content.find(b"data", 12, 1 << 12) + 8
            size, further = _riff_size(content), content[place : place + 4].strip().isalnum()
            if 8 < place <= len(content) and not further and (not 44 < size < STREAM or size == len(content)):
                content[place - 4 : place] = min(len(content) - place, (1 << 32) - 1).to_bytes(4, "little")
                sound = soundfile.SoundFile(io.BytesIO(content))
        return sound
    except soundfile.LibsndfileError as error:
        raise _not_audio(source, error) from None
    except TypeError:
        raise UserError(f"{source} is headerless audio; pipe it: transcribe --stream --rate HZ < FILE") from None


def check_whole(sound: soundfile.SoundFile, handle: io.BytesIO | str, source: str) -> None:
    """Raise UserError if the file holds more than its header says, such as a second one; libsndfile leaves it out."""
    said, holds = sound.frames / sound.samplerate, 0.0
    if sound.format == "MP3":
        holds = _mp3_seconds(_content(handle))
    elif sound.format in FURTHER and FURTHER[sound.format](_content(handle)):
        holds = math.inf
    if holds > said + OVERSHOOT:
        raise UserError(f"{source} holds more than the {said:.1f} s it says; convert it to WAV")


def _is_chained(content: Any) -> bool:
    """Whether another Ogg stream follows the first one (RFC 3533)."""
    place, begun = 0, False
    while content[place : place + 4] == b"OggS" and place + 27 <= len(content):
        first = content[place + 5] & 2
        if first and begun:
            return True
        begun, lacing = begun or not first, content[place + 26]
        place += 27 + lacing + sum(content[place + 27 : place + 27 + lacing])
    return False


def _goes_on(content: Any) -> bool:
    """Whether samples or another WAV file follow the samples of a WAV file."""
    place = content.find(b"data", 12, 1 << 12) + 8
    size = int.from_bytes(content[place - 4 : place], "little")
    end = place + size + size % 2
    name = content[end : end + 4]
    return place > 8 and size > 0 and len(content) > end + 44 and (name == b"RIFF" or not name.strip().isalnum())


FURTHER = {"OGG": _is_chained, "WAV": _goes_on, "WAVEX": _goes_on}


def _mp3_seconds(content: Any) -> float:
    """Length of MPEG layer III by the headers of its frames (ISO 11172-3, 13818-3); ID3 tags are skipped."""
    place, seconds = 0, 0.0
    while 0 <= place <= len(content) - 10:
        head = int.from_bytes(content[place : place + 4], "big")
        version, bits, rate = head >> 19 & 3, head >> 12 & 15, head >> 10 & 3
        if content[place : place + 3] == b"ID3":
            place += 10 + sum((content[place + 9 - k] & 127) << 7 * k for k in range(4))
        elif head >> 21 != 0x7FF or version == 1 or head >> 17 & 3 != 1 or bits in (0, 15) or rate == 3:
            place = content.find(b"\xff", place + 1)
        else:
            hertz, samples = (44100, 48000, 32000)[rate] >> (2, 0, 1, 0)[version], 1152 if version == 3 else 576
            place += samples * 125 * MP3_RATES[version == 3][bits] // hertz + (head >> 9 & 1)
            seconds += samples / hertz
    return seconds


def audio_length(path: str) -> tuple[int, int]:
    """(samples, samples per second) by an audio file's header; raises UserError for no audio, none in it, or stereo."""
    with open_sound(_open(path, pipes=False), path) as sound:
        _check_mono(sound, path)
        _check_length(sound, path)
        _check_count(path, sound.frames, 0)
        return sound.frames, sound.samplerate


def flac_seconds(path: str) -> float:
    """Length of a FLAC file in seconds, by its header; decodes only its end, which shows whether the file is whole.

    Raises UserError if the file is not FLAC, has no length in its header, or is truncated.
    """
    try:
        with open_sound(path, path) as sound:
            if sound.format != "FLAC" or sound.frames == UNKNOWN:
                raise UserError(f"{path} is not FLAC, or its header has no length; write it again (flac -d, then flac)")
            seconds, tail = sound.frames / sound.samplerate, min(sound.frames, FLAC_BLOCK)
            sound.seek(sound.frames - tail)
            if len(sound.read(tail, dtype="int16")) == tail:
                return seconds
    except soundfile.LibsndfileError as error:
        raise UserError(f"{path} is cut short or not FLAC ({error.error_string.rstrip('.')}); copy it again") from None
    raise UserError(f"{path} is cut short or damaged: it ends before its {seconds:.2f} s; copy it again")


def _promised_frames(sound: soundfile.SoundFile, handle: io.BytesIO | str) -> int:
    """Frames according to the file's header; 0 if unknown.

    libsndfile lowers its frame count to what is there; only its log, "data : 16000 (should be 7978)", and the header of
    SPHERE files have the original. Sizes from 2 GB on in a file of unknown size (streams) and MP3s without a Xing
    header are unknown.
    """
    if sound.format == "NIST":
        count = re.search(rb"sample_count -i (\d+)", _content(handle)[:1024])
        return int(count[1]) if count else 0
    if sound.format == "MP3" and re.search(r"bitrate mode\s*: constant", sound.extra_info):
        return 0
    if large := re.search(r"does not match value from 'ds64' chunk of (\d+)", sound.extra_info):
        return int(large[1])
    sizes = r"(?:data|riff|SSND|BODY|Data Size)\s*: (\d+) \(should be (\d+)\)"
    for written, there in re.findall(sizes, sound.extra_info):
        streamed = int(written) >= STREAM and not 44 < _riff_size(_content(handle)) < STREAM
        if int(there) < int(written) and not streamed:
            return round(sound.frames * int(written) / max(int(there), 1))
    counts = re.findall(r"(?:^ *Frames|\bCols) *: (\d+)", sound.extra_info, re.M)  # of AVR, MPC2K, and MATLAB's arrays
    return max(sound.frames + ("a truncated file" in sound.extra_info), int((counts or [0])[-1]))


def _riff_size(content: Any) -> int:
    """Size of a WAV file in bytes, as it says itself; 8 if it does not."""
    return int.from_bytes(content[4:8], "little") + 8


def _content(handle: io.BytesIO | str) -> Any:
    """The bytes of a file, mapped into memory."""
    if isinstance(handle, io.BytesIO):
        return handle.getvalue()
    with open(handle, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _open(source: str, pipes: bool) -> io.BytesIO | str:
    if source.rstrip().endswith("|"):
        if not pipes:
            raise UserError(f"'{source}' is a shell command; allow such entries with --pipes if you trust the file")
        done = subprocess.run(source.rstrip()[:-1], shell=True, capture_output=True)
        if done.returncode != 0:
            reason = done.stderr.decode(errors="replace").strip()
            raise UserError(f"'{source}' failed with exit status {done.returncode}: {reason}")
        return io.BytesIO(done.stdout)
    path = Path(source)
    if not os.path.isfile(source):
        raise UserError(f"{source} does not exist; check the path")
    if path.stat().st_size == 0:
        raise UserError(f"{source} is empty; copy it again")
    return source


def _check_count(source: str, count: int, promised: int, asked: int = -1) -> None:
    if count == 0:
        raise UserError(f"{source} {'holds no samples' if asked < 0 else 'ends before the segment begins'}; check it")
    if count < promised:
        raise UserError(f"{source} is cut short: {count} of {promised} samples; copy it again")


def _check_values(source: str, samples: np.ndarray) -> None:
    if not np.isfinite(samples).all():
        raise UserError(f"{source} holds samples that are not finite (NaN or infinity); convert it again")
    if (loudest := float(np.abs(samples).max(initial=0))) > LOUDEST:
        raise UserError(f"{source} holds samples up to {loudest:g} instead of 1; scale them")
