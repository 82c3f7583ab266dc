"""Reading audio of any format of libsndfile, at the sample rate of the features."""

import io
import math
import re
import subprocess
from pathlib import Path

import numpy as np
import soundfile
import soxr

from asrdistill.errors import UserError

FLAC_BLOCK = 4096  # samples: the usual block, which is decoded as a whole
UNKNOWN = 2**63 - 1  # libsndfile's frame count of a FLAC stream that does not say how long it is
OVERSHOOT = 0.5  # seconds that a segment may exceed its recording, as in Kaldi


def read_audio(source: str, rate: int, start: float = 0.0, end: float | None = None, pipes: bool = False) -> np.ndarray:
    """Samples of one recording or of the part from `start` to `end` (seconds).

    source  path, or shell command ending in ``|`` if `pipes` allows it

    Returns float32 (N,) in [-1, 1), mono, at `rate` Hz, resampled by soxr if needed. Raises UserError for audio that is
    missing, empty, unreadable, truncated, stereo or not finite.
    """
    handle = _open(source, pipes)
    try:
        with soundfile.SoundFile(handle) as sound:
            if sound.channels != 1:
                raise UserError(f"{source} has {sound.channels} channels; give one channel (sox IN OUT remix 1)")
            if sound.frames == UNKNOWN:
                raise UserError(f"{source} does not say how long it is; write it to a file again (sox IN OUT)")
            native = sound.samplerate
            if start > 0:
                sound.seek(min(round(start * native), sound.frames))
            count = -1 if end is None else max(0, round(end * native) - round(start * native))
            promised = max(0, _promised_frames(sound, handle) - sound.tell())
            samples = sound.read(count, dtype="float32")
    except soundfile.LibsndfileError as error:
        raise UserError(f"{source} is not audio ({error.error_string.rstrip('.')}); convert it to WAV") from None
    _check(source, samples, promised if count < 0 else min(count, promised), count)
    if count - len(samples) > OVERSHOOT * native:
        raise UserError(f"{source} ends at {start + len(samples) / native:.2f} s, the segment at {end} s; correct it")
    return samples if native == rate else _resampled(samples, native, rate)


def _resampled(samples: np.ndarray, native: int, rate: int) -> np.ndarray:
    """(N,) -> (ceil(N · rate / native),), as librosa.resample: the last is 0 if soxr has one less."""
    resampled = soxr.resample(samples, native, rate, quality="soxr_hq")
    return np.pad(resampled, (0, math.ceil(len(samples) * (rate / native)) - len(resampled)))


def flac_seconds(path: str) -> float:
    """Length of a FLAC file in seconds, by its header; decodes only its end, which shows whether the file is whole.

    Raises UserError if the file is not FLAC, has no length in its header, or is truncated.
    """
    try:
        with soundfile.SoundFile(path) as sound:
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
    SPHERE files have the original. Sizes from 2 GB on (streams) and MP3s without a Xing header are unknown.
    """
    if sound.format == "NIST":
        count = re.search(rb"sample_count -i (\d+)", _first_bytes(handle))
        return int(count[1]) if count else 0
    if sound.format == "MP3" and re.search(r"bitrate mode\s*: constant", sound.extra_info):
        return 0
    for written, there in re.findall(r"(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)", sound.extra_info):
        if int(there) < int(written) < 0x7FFF0000:
            return round(sound.frames * int(written) / max(int(there), 1))
    return sound.frames


def _first_bytes(handle: io.BytesIO | str) -> bytes:
    if isinstance(handle, io.BytesIO):
        return handle.getvalue()[:1024]
    with open(handle, "rb") as file:
        return file.read(1024)


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
    if not path.is_file():
        raise UserError(f"{source} does not exist; check the path")
    if path.stat().st_size == 0:
        raise UserError(f"{source} is empty; copy it again")
    return source


def _check(source: str, samples: np.ndarray, promised: int, asked: int) -> None:
    if len(samples) == 0:
        raise UserError(f"{source} {'holds no samples' if asked < 0 else 'ends before the segment begins'}; check it")
    if len(samples) < promised:
        raise UserError(f"{source} is cut short: {len(samples)} of {promised} samples; copy it again")
    if not np.isfinite(samples).all():
        raise UserError(f"{source} holds samples that are not finite (NaN or infinity); convert it again")
