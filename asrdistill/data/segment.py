"""Segmentation of a folder of recordings at their pauses, by level alone.

In each stretch of 30 s the quiet level is the 5th percentile of the frames, the loud one the 98th. A frame is sound
within the upper 70 % between them, or of 50 dB if they are further apart. Stretches of constant level (hum, noise,
silence) have no sound. Music is not told from speech.
"""

import itertools
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from asrdistill.data.audio import UNKNOWN, check_whole, open_sound
from asrdistill.data.directory import DataDirectory, Utterance
from asrdistill.data.options import SegmentOptions
from asrdistill.errors import UserError, log, shorten
from asrdistill.files import write_json, write_text
from asrdistill.parallel import map_utterances

AUDIO = "audio"  # folder of converted recordings
PLAIN = {"WAV", "WAVEX", "AIFF", "FLAC"}  # formats with fast seeking
SUFFIXES = {f".{name.lower()}" for name in soundfile.available_formats()} | {
    *(".aac", ".aif", ".flac", ".m4a", ".mp3", ".mp4", ".oga", ".ogg", ".opus", ".webm", ".wma")
}

FRAME = 0.01  # seconds
BLOCK = 60.0  # seconds of audio in memory
STRETCH = 3000  # frames of a stretch
SMOOTH = 5  # frames averaged for a level
FLOOR = -100.0  # dB of full scale: level of digital silence
SILENT = -60.0  # dB: quieter stretches have no sound
FLAT = 8.0  # dB between quiet and loud: stretches with less have no sound
REACH = 50.0  # dB between quiet and loud, at most
DOWN = 0.7  # share of the range from loud to quiet that is sound

WIDE, NARROW = 16_000, 8_000  # Hz: rates of features

Span = tuple[int, int]  # first frame, and the one after the last


@dataclass(frozen=True)
class Recording:
    """An audio file with its segments in seconds, or why it is left out."""

    id: str
    path: Path
    speaker: str
    audio: str = ""
    rate: int = 0
    seconds: float = 0.0
    pieces: tuple[tuple[float, float], ...] = ()
    fault: str = ""

    def utterances(self) -> Iterator[Utterance]:
        for begin, end in self.pieces:
            name = f"{self.id}-{round(100 * begin):07d}-{round(100 * end):07d}"
            yield Utterance(
                name, self.audio, self.speaker, recording=self.id, start=begin, end=end, duration=end - begin
            )


def segment_recordings(
    folder: Path, out: Path, options: SegmentOptions, jobs: int, whole: Collection[str] = ()
) -> None:
    """Make the existing folder `out` a data directory of the pieces of all recordings below `folder`.

    A recording is named after its file; its speaker is its folder, or the recording itself. Recordings with several
    channels (which are mixed) or in formats with slow seeking are converted to FLAC in ``out/audio``. ``out/rate`` is
    the sample rate that suits most of the audio, 16000 or 8000;
    ``out/segment.json``: what was left out, and why. Recordings named in `whole` are not cut, unless they are longer
    than a piece may be. Raises UserError where there are no recordings, where more of them cannot be read than the
    options allow, and where there is no sound in any.
    """
    found = {path: path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    files = sorted(path for path, name in found.items() if not any(part.startswith(".") for part in name.parts))
    if not files:
        raise UserError(f"there is no file in {folder}; give a folder with recordings")
    (out / AUDIO).mkdir(exist_ok=True)
    tasks = [(name, path, name in whole) for name, path in _names(folder, files).items()]
    work = partial(_segment_file, folder, out / AUDIO, options)
    recordings = list(map_utterances(work, tasks, jobs, "segment", unit="files"))
    if not any((out / AUDIO).iterdir()):
        (out / AUDIO).rmdir()
    kept = _check(folder, recordings, options)
    DataDirectory(utterance for recording in kept for utterance in recording.utterances()).write(out)
    wide = sum(recording.seconds for recording in kept if recording.rate >= WIDE)
    enough = wide >= 0.9 * sum(recording.seconds for recording in kept)
    write_text(out / "rate", f"{WIDE if enough else NARROW}\n")
    summary = {
        "files": len(recordings),
        "recordings": len(kept),
        "seconds": round(sum(recording.seconds for recording in recordings), 2),
        "pieces": sum(len(recording.pieces) for recording in recordings),
        "left_out": {str(r.path): r.fault or "no sound" for r in recordings if not r.pieces},
    }
    write_json(out / "segment.json", summary)


def _names(folder: Path, files: list[Path]) -> dict[str, Path]:
    """name -> file: the path, with the suffix only where names would be equal."""
    stems = [path.relative_to(folder).with_suffix("") for path in files]
    counts = Counter(stems)
    names: dict[str, Path] = {}
    for stem, path in zip(stems, files, strict=True):
        whole = path.relative_to(folder) if counts[stem] > 1 else stem
        name = name_of(whole)
        if name in names:
            raise UserError(f"{names[name]} and {path} would have the same name, {name}; rename one of them")
        names[name] = path
    return names


def name_of(path: Path) -> str:
    """The path, composed (NFC), with an underscore for each run of signs that are no letters, marks or digits."""

    def is_kept(sign: str) -> bool:
        return sign.isalnum() or sign in "_.+-" or unicodedata.category(sign)[0] == "M"

    runs = itertools.groupby(unicodedata.normalize("NFC", str(path)), is_kept)
    return "".join("".join(run) if kept else "_" for kept, run in runs)


def _check(folder: Path, found: list[Recording], options: SegmentOptions) -> list[Recording]:
    """Recordings with segments; logs the others and raises UserError if too many are unreadable."""
    faulty = [recording for recording in found if recording.fault]
    for recording in faulty:
        log.warning("left out: %s (%s)", recording.path, recording.fault)
    readable = [recording for recording in found if not recording.fault]
    if not readable:
        raise UserError(f"none of the {len(found)} files in {folder} is audio that can be read; give a folder of audio")
    broken = [recording for recording in faulty if recording.path.suffix.lower() in SUFFIXES]
    percent = 100 * len(broken) / (len(broken) + len(readable))
    if percent > options.max_left_out:
        raise UserError(
            f"{len(broken)} of {len(broken) + len(readable)} audio files in {folder} cannot be read ({percent:.1f} %): "
            f"{shorten(recording.path.name for recording in broken)}; convert them, or raise --max-left-out"
        )
    kept = [recording for recording in readable if recording.pieces]
    silent = [recording for recording in readable if not recording.pieces]
    if not kept:
        raise UserError(
            f"there is no speech in any of the {len(readable)} recordings in {folder}: they are silent, of one level "
            f"throughout, or shorter than {options.shortest:g} s"
        )
    if silent:
        log.warning("left out: %d recordings without sound (%s)", len(silent), shorten(r.path.name for r in silent))
    pieces = [end - begin for recording in kept for begin, end in recording.pieces]
    minutes = sum(recording.seconds for recording in kept) / 60
    log.info(
        f"{len(found)} files: {len(kept)} recordings of {minutes:.1f} minutes, cut into {len(pieces)} pieces of "
        f"{sum(pieces) / 60:.1f} minutes; {len(found) - len(kept)} files left out"
    )
    return kept


def _segment_file(folder: Path, audio: Path, options: SegmentOptions, task: tuple[str, Path, bool]) -> Recording:
    name, path, whole = task
    parent = path.relative_to(folder).parent
    speaker = name if parent == Path(".") else name_of(parent)
    copy = audio / f"{name}.flac"
    try:
        if path.stat().st_size == 0:
            raise UserError("it is empty")
        with open_sound(str(path), "it") as sound:
            check_whole(sound, str(path), "it")
            rate = sound.samplerate
            plain = sound.channels == 1 and sound.format in PLAIN and sound.frames != UNKNOWN
            measured, seconds = levels(sound, None if plain else copy)
    except soundfile.LibsndfileError as error:
        fault = f"cannot be read as audio: {error.error_string.rstrip('.')}"
    except (UserError, OSError) as error:
        fault = str(error)
    else:
        uncut = whole and seconds <= options.longest
        spans = [(0, len(measured) + 1)] if uncut else pieces(measured, options)
        if not spans and not plain:
            copy.unlink()
        cuts = tuple((begin * FRAME, min(end * FRAME, seconds)) for begin, end in spans)
        return Recording(name, path, speaker, str(path if plain else copy), rate, seconds, cuts)
    copy.unlink(missing_ok=True)
    return Recording(name, path, speaker, fault=fault)


def levels(sound: soundfile.SoundFile, copy: Path | None) -> tuple[np.ndarray, float]:
    """(levels of frames of 10 ms in dB of full scale, float32 (T,); length in seconds).

    copy  file for the audio as mono FLAC of 16 bits
    """
    step = round(FRAME * sound.samplerate)
    measured, count = [np.empty(0, np.float32)], 0
    writer = soundfile.SoundFile(copy, "w", sound.samplerate, 1, "PCM_16", format="FLAC") if copy else None
    try:
        while len(block := sound.read(round(BLOCK / FRAME) * step, dtype="float32", always_2d=True)):
            mono = block.mean(1)
            if not np.isfinite(mono).all():
                raise UserError("it holds samples that are not finite numbers")
            if writer:
                writer.write(mono)
            count += len(mono)
            whole = mono[: len(mono) // step * step].reshape(-1, step)
            power = np.maximum(whole.var(1), 10 ** (FLOOR / 10))  # the variance ignores a constant offset
            measured.append((10 * np.log10(power)).astype(np.float32))
    finally:
        if writer:
            writer.close()
    return np.concatenate(measured), count / sound.samplerate


def pieces(measured: np.ndarray, options: SegmentOptions) -> list[Span]:
    """Segments in frames, from levels (T,) in dB."""
    if not len(measured):
        return []
    smooth = np.convolve(np.pad(measured, SMOOTH // 2, mode="edge"), np.full(SMOOTH, 1 / SMOOTH), "valid")
    margin, longest = round(options.margin / FRAME), round(options.longest / FRAME)
    spans: list[Span] = []
    for begin, end in _joined(_runs(sounds(smooth)), round(options.pause / FRAME)):
        if end - begin >= round(options.shortest / FRAME):
            spans += _split(smooth, begin, end, longest - 2 * margin)
    return _widened(spans, margin, len(measured))


def sounds(smooth: np.ndarray) -> np.ndarray:
    """Levels (T,) in dB -> whether frames are sound, bool (T,)."""
    found = []
    for stretch in np.array_split(smooth, -(-len(smooth) // STRETCH)):
        quiet, loud = np.percentile(stretch, (5, 98))
        reach = min(loud - quiet, REACH)
        kept = loud > SILENT and reach >= FLAT
        found.append(stretch > loud - DOWN * reach if kept else np.zeros(len(stretch), bool))
    return np.concatenate(found)


def _runs(mask: np.ndarray) -> list[Span]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _joined(runs: list[Span], pause: int) -> list[Span]:
    """Runs, merged if less than a pause apart."""
    joined: list[Span] = []
    for begin, end in runs:
        if joined and begin - joined[-1][1] < pause:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((begin, end))
    return joined


def _split(smooth: np.ndarray, begin: int, end: int, longest: int) -> list[Span]:
    """Parts of a span up to `longest`, split repeatedly at the quietest frame of its middle half."""
    spans, waiting = [], [(begin, end)]
    while waiting:
        begin, end = waiting.pop()
        if end - begin <= longest:
            spans.append((begin, end))
            continue
        quarter = (end - begin) // 4
        middle = begin + quarter + int(smooth[begin + quarter : end - quarter].argmin())
        waiting += [(middle, end), (begin, middle)]
    return spans


def _widened(spans: list[Span], margin: int, frames: int) -> list[Span]:
    """Spans with margins; neighbours share the gap between them."""
    ends = [0, *((a[1] + b[0]) // 2 for a, b in itertools.pairwise(spans)), frames]
    return [
        (max(begin - margin, left), min(end + margin, right))
        for (begin, end), left, right in zip(spans, ends, ends[1:], strict=False)
    ]
