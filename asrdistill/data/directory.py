"""Data directories: Kaldi's plain tables, read whole, checked, and written sorted.

    wav.scp    recording  path | command |
    segments   utterance  recording  start  end      (optional: then utterance = recording)
    text       utterance  words …                    (optional: decoding needs none)
    utt2spk    utterance  speaker                    (optional: then speaker = utterance)
    spk2utt    speaker    utterances …               (written, checked against utt2spk when read)
    utt2dur    utterance  seconds                    (optional)
    spk2gender speaker    m or f                     (optional, for a person to see; kept in subsets and unions)

Sorted by the first column in C locale, as Kaldi's tools want them.
"""

import functools
import itertools
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asrdistill.data.audio import read_audio
from asrdistill.errors import UserError, log, shorten
from asrdistill.files import write_text
from asrdistill.reader import read_lines


@dataclass(frozen=True)
class Utterance:
    """One utterance: its audio, speaker, and transcript if known."""

    id: str
    audio: str  # a path, or a command ending in "|"
    speaker: str
    text: str | None = None
    recording: str = ""  # with `start` and `end` where the utterance is a segment of it
    start: float = 0.0  # seconds
    end: float | None = None
    duration: float | None = None  # seconds

    @property
    def seconds(self) -> float | None:
        """Length, if utt2dur or segments have it."""
        if self.duration is None and self.end is not None:
            return self.end - self.start
        return self.duration

    def samples(self, rate: int, pipes: bool = False) -> np.ndarray:
        """Float32 samples (N,) in [-1, 1) at `rate` Hz; raises UserError if shorter than utt2dur (a truncated MP3)."""
        try:
            samples = read_audio(self.audio, rate, self.start, self.end, pipes)
        except UserError as error:
            raise UserError(f"utterance {self.id}: {error}") from None
        found = len(samples) / rate
        if self.end is None and self.duration is not None and found < self.duration - 0.1:
            raise UserError(
                f"utterance {self.id}: {self.audio} is cut short: {found:.2f} of the {self.duration:.2f} s in utt2dur"
            )
        return samples


class DataDirectory:
    """The utterances of a data directory, in C-locale order of their ids."""

    def __init__(self, utterances: Iterable[Utterance]):
        self.utterances = sorted(utterances, key=lambda utterance: utterance.id)
        self._by_id = {utterance.id: utterance for utterance in self.utterances}
        for a, b in itertools.pairwise(self.utterances):
            if a.id == b.id:
                raise UserError(f"the utterance id {a.id} is used twice; give each utterance its own")

    def __len__(self) -> int:
        return len(self.utterances)

    def __iter__(self) -> Iterator[Utterance]:
        return iter(self.utterances)

    def __contains__(self, id: str) -> bool:
        return id in self._by_id

    def __getitem__(self, id: str) -> Utterance:
        return self._by_id[id]

    @property
    def speakers(self) -> dict[str, list[str]]:
        """speaker -> its utterance ids"""
        table: dict[str, list[str]] = {}
        for utterance in self.utterances:
            table.setdefault(utterance.speaker, []).append(utterance.id)
        return table

    @property
    def texts(self) -> dict[str, str]:
        """utterance id -> words, for those that have a transcript"""
        return {u.id: u.text for u in self.utterances if u.text is not None}

    def subset(self, keep: Callable[[Utterance], bool]) -> "DataDirectory":
        return DataDirectory(filter(keep, self.utterances))

    @classmethod
    def read(cls, folder: Path, pipes: bool = False) -> "DataDirectory":
        """Read and check a data directory.

        Raises UserError for a missing table, unsorted or duplicate ids, tables that disagree, missing audio files, and
        commands unless `pipes` allows them.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise UserError(f"data directory {folder} does not exist; check the path")
        audio = read_table(folder / "wav.scp")
        for recording, source in audio.items():
            _check_source(folder, recording, source, pipes)
        segments = _read_segments(folder / "segments", audio)
        texts, durations = (
            read_table(folder / name, segments) if (folder / name).exists() else {} for name in ("text", "utt2dur")
        )
        speakers = _read_utt2spk(folder / "utt2spk", segments)
        _check_spk2utt(folder / "spk2utt", speakers)
        return cls(
            Utterance(
                id=id,
                audio=_resolve(folder, audio[recording]),
                speaker=speakers.get(id, id),
                text=texts.get(id),
                recording=recording,
                start=start,
                end=end,
                duration=_number(durations[id], folder / "utt2dur", id) if id in durations else None,
            )
            for id, (recording, start, end) in segments.items()
        )

    def write(self, folder: Path) -> None:
        """Write the tables into the existing folder; audio beside or below the folder gets a relative path."""
        folder = Path(folder)
        recordings: dict[str, str] = {}
        for u in self.utterances:
            if recordings.setdefault(u.recording or u.id, u.audio) != u.audio:
                raise UserError(f"recording {u.recording or u.id} stands for two different files; rename one")
        real = functools.cache(os.path.realpath)  # of the few folders with audio
        names = ((id, _name_from(real(folder), audio, real)) for id, audio in recordings.items())
        write_table(folder / "wav.scp", names)
        if any(u.recording not in ("", u.id) or u.end is not None for u in self.utterances):
            ends = {u.id: u.duration if u.end is None else u.end for u in self.utterances}
            if endless := [id for id, end in ends.items() if end is None]:
                raise UserError(f"utterance {endless[0]} has no end time, but others of its directory are segments")
            rows = ((u.id, f"{u.recording or u.id} {u.start:.3f} {ends[u.id]:.3f}") for u in self.utterances)
            write_table(folder / "segments", rows)
        if all(u.text is not None for u in self.utterances):
            write_table(folder / "text", ((u.id, u.text or "") for u in self.utterances))
        write_table(folder / "utt2spk", ((u.id, u.speaker) for u in self.utterances))
        write_table(folder / "spk2utt", ((s, " ".join(ids)) for s, ids in self.speakers.items()))
        if all(u.duration is not None for u in self.utterances):
            write_table(folder / "utt2dur", ((u.id, f"{u.duration:.3f}") for u in self.utterances))

    def write_set(self, folder: Path, tokens: str = "words") -> None:
        """Make the folder with the tables, and log its size; `tokens` is what the transcripts consist of."""
        folder.mkdir(parents=True, exist_ok=True)
        self.write(folder)
        minutes = sum(u.seconds or 0.0 for u in self) / 60
        counts = len(self), minutes, sum(len((u.text or "").split()) for u in self), tokens, len(self.speakers)
        log.info("%s: %d utterances, %.1f minutes, %d %s, %d speakers", folder.name, *counts)


def combine(directories: Iterable[DataDirectory]) -> DataDirectory:
    """All utterances of several directories, without transcripts if one has none; raises UserError for a shared id."""
    seen: dict[str, Utterance] = {}
    directories = list(directories)
    lacking = [u.id for data in directories for u in data if u.text is None]
    if lacking and any(directory.texts for directory in directories):
        log.warning("the result has no transcripts: %d utterances have none, as %s", len(lacking), lacking[0])
    for directory in directories:
        for utterance in directory:
            if utterance.id in seen:
                raise UserError(f"utterance {utterance.id} stands in two of the data directories; rename it in one")
            seen[utterance.id] = utterance
    return DataDirectory(seen.values())


def write_with_genders(data: DataDirectory, sources: Sequence[Path], folder: Path) -> None:
    """Write `data`, with spk2gender if all the data directories `sources`, which it was made from, have it."""
    data.write(folder)
    tables = [Path(source) / "spk2gender" for source in sources]
    if all(table.is_file() for table in tables):
        genders = {speaker: gender for table in tables for speaker, gender in read_table(table).items()}
        write_table(folder / "spk2gender", ((speaker, genders[speaker]) for speaker in data.speakers))


def read_speakers(folder: Path) -> dict[str, str]:
    """utterance -> speaker, in order, without reading audio or text; raises UserError if tables are bad."""
    segments = folder / "segments"
    utterances = read_table(segments if segments.exists() else folder / "wav.scp")
    return _read_utt2spk(folder / "utt2spk", utterances) or {utterance: utterance for utterance in utterances}


def _read_utt2spk(path: Path, utterances: Iterable[str]) -> dict[str, str]:
    """utterance -> speaker; empty without the file."""
    speakers = read_table(path, utterances) if path.exists() else {}
    if wrong := next((id for id, speaker in speakers.items() if len(speaker.split()) != 1), None):
        raise UserError(f"{path}: {wrong} must have one speaker, not '{speakers[wrong]}'; correct it")
    return speakers


def write_table(path: Path, rows: Iterable[tuple[str, str]]) -> None:
    """Write a Kaldi table sorted in C locale."""
    ordered = sorted(rows, key=lambda row: row[0].encode())
    write_text(path, "".join(f"{key} {value}".rstrip() + "\n" for key, value in ordered))


def read_table(path: Path, expected: Iterable[str] | None = None) -> dict[str, str]:
    """A Kaldi table: first column -> rest of the line.

    Raises UserError if it is unsorted, has a key twice, or not the `expected` keys.
    """
    table: dict[str, str] = {}
    previous = ""
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            raise UserError(f"{path}, line {number} is empty; remove it")
        key, value = [*line.split(maxsplit=1), ""][:2]
        if key == previous:
            raise UserError(f"{path}, line {number}: {key} is there twice; keep one of them")
        if key.encode() < previous.encode():
            raise UserError(f"{path}, line {number}: {key} is out of order; sort it with LC_ALL=C sort")
        table[key] = value.strip()
        previous = key
    if not table:
        raise UserError(f"{path} is empty; make it again")
    ids = table.keys() if expected is None else set(expected)
    if missing := sorted(ids - table.keys()):
        raise UserError(f"{path} lacks {len(missing)} utterances with audio: {shorten(missing)}; add them")
    if extra := sorted(table.keys() - ids):
        raise UserError(f"{path} has {len(extra)} utterances without audio: {shorten(extra)}; remove them")
    return table


def _read_segments(path: Path, audio: dict[str, str]) -> dict[str, tuple[str, float, float | None]]:
    """utterance -> recording, start and end in seconds; without the file each recording is one utterance."""
    if not path.exists():
        return {recording: (recording, 0.0, None) for recording in audio}
    segments: dict[str, tuple[str, float, float | None]] = {}
    for id, rest in read_table(path).items():
        fields = rest.split()
        if len(fields) != 3:
            raise UserError(f"{path}: {id} must have 'recording start end', not '{rest}'")
        start, end = (_number(field, path, id) for field in fields[1:])
        if fields[0] not in audio:
            raise UserError(f"{path}: {id} is cut from recording {fields[0]}, which wav.scp lacks; add it there")
        if not 0 <= start < end:
            raise UserError(f"{path}: {id} runs from {start} to {end} s; the end must come after the start")
        segments[id] = (fields[0], start, end)
    return segments


def _number(text: str, path: Path, id: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"{path}: {id} has '{text}' instead of a number of seconds; correct it")
    return number


def _resolve(folder: Path, source: str) -> str:
    """Relative paths are relative to the data directory."""
    return source if source.endswith("|") or Path(source).is_absolute() else str(folder / source)


def _name_from(folder: str, source: str, real: Callable[[str], str]) -> str:
    """Name of an audio file or command in wav.scp of `folder`; the inverse of :func:`_resolve`."""
    if source.endswith("|"):
        return source
    place, name = os.path.split(source)
    path, beside = os.path.join(real(place), name), os.path.dirname(folder)
    return os.path.relpath(path, folder) if path.startswith(os.path.join(beside, "")) else path


def _check_source(folder: Path, recording: str, source: str, pipes: bool) -> None:
    if not source:
        raise UserError(f"{folder / 'wav.scp'}: {recording} names no file; add its path")
    if source.endswith("|"):
        if not pipes:
            raise UserError(
                f"{folder / 'wav.scp'}: {recording} is a shell command ('{source}'); "
                "allow such entries with --pipes if you trust the file"
            )
    elif not os.path.isfile(_resolve(folder, source)):
        raise UserError(f"{folder / 'wav.scp'}: {recording} names {source}, which does not exist; correct the path")


def _check_spk2utt(path: Path, utt2spk: dict[str, str]) -> None:
    if not path.exists():
        return
    found = {utt: speaker for speaker, utts in read_table(path).items() for utt in utts.split()}
    if found != utt2spk:
        wrong = sorted(k for k in found.keys() | utt2spk.keys() if found.get(k) != utt2spk.get(k))
        raise UserError(f"{path} and utt2spk disagree about {shorten(wrong)}; delete spk2utt, it is made from utt2spk")
