"""TIMIT (LDC93S1): read speech of 630 speakers, labelled by hand with 61 phones.

It is taken as it comes: file names in upper or lower case, the folders TRAIN and TEST anywhere in the
tree, audio as NIST SPHERE or RIFF. What every speaker says alike (SA1, SA2) is left out, as always.
The transcript of an utterance is its phones, folded from 61 to 48 (Lee and Hon 1989, "Speaker-independent
phone recognition using hidden Markov models"; the glottal stop q is deleted). For scoring, 48 are folded
to 39. Both maps are the columns of ``data/timit_phones.txt``; the speakers of the customary development
set and of the core test set stand in ``data/timit_dev.txt`` and ``data/timit_core.txt``.

A part of TIMIT with the same folders does too: it has no standard sets, so some train speakers make dev.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from asrdistill.corpora import line_ends
from asrdistill.data.directory import DataDirectory, Utterance, write_table
from asrdistill.errors import UserError, shorten
from asrdistill.files import TABLES, write_text
from asrdistill.lang.normalize import normalize_english

log = logging.getLogger("asrdistill")

AUDIO = "audio"  # folder for what had to be restored
RATE = 16_000  # of the audio; .PHN counts its samples
ALL_SPEAKERS = 630  # a folder with more than half of them is all of TIMIT, and must be whole
WHOLE = {"train": (462, 3696), "dev": (50, 400), "test": (24, 192), "test_complete": (168, 1344)}
DEV_EVERY = 6  # of a sample's train speakers, one of so many makes dev
KINDS = (".wav", ".phn", ".txt")

SENTENCE = re.compile(r"S[IX]\d+")  # not SA
SPEAKER = re.compile(r"[FM][A-Z]{3}\d")


class Segment(NamedTuple):
    """A phone from `start` to `end`, in seconds."""

    start: float
    end: float
    phone: str


@dataclass(frozen=True)
class Recording:
    """A speaker's sentence with its files; `part` is TRAIN or TEST, the folder that it stands in."""

    part: str
    speaker: str
    sentence: str
    audio: Path
    phones: Path
    text: Path

    @property
    def id(self) -> str:
        """The speaker first, so that utterances sort as their speakers do."""
        return f"{self.speaker}_{self.sentence}"


def prepare_timit(timit: Path, out: Path, minutes: float | None = None, jobs: int = 1) -> None:
    """Make the data directories train, dev, test (core) and test_complete in the existing folder `out`.

    Audio that lost bytes in a conversion of line ends is restored and written into audio/; a warning counts it.
    Of a sample of TIMIT, dev is every sixth of the train speakers, train the others, train_and_dev both,
    and the test sets are all of its TEST. Each directory has the hand-made times of its phones in
    ``phones.ctm`` and the words in ``text.words``. Raises UserError when `timit` is no TIMIT, lacks a
    file, has a phone that is none, or has other counts than the corpus.
    """
    if minutes is not None:
        raise UserError("TIMIT's sets are standard, so none is cut down; leave --minutes out")
    fold = read_fold()
    recordings = find_recordings(timit)
    sets = divide(timit, recordings)
    labels = {recording.id: read_phones(recording.phones, fold) for recording in recordings}
    utterances = {recording.id: _utterance(recording, labels[recording.id], out) for recording in recordings}
    restored = [name for name, utterance in utterances.items() if Path(utterance.audio).parent == out / AUDIO]
    if restored:
        log.warning(
            "%d of %d recordings had lost bytes in a conversion of line ends and were restored: %s",
            *(len(restored), len(recordings), shorten(restored)),
        )
    for name, members in sets.items():
        data = DataDirectory(utterances[recording.id] for recording in members)
        (out / name).mkdir(exist_ok=True)
        data.write(out / name)
        write_table(out / name / "text.words", ((r.id, read_words(r.text)) for r in members))
        write_text(out / name / "phones.ctm", "".join(_ctm((utterance.id, labels[utterance.id]) for utterance in data)))
        seconds, phones = sum(u.duration or 0 for u in data), sum(len(labels[u.id]) for u in data)
        log.info(
            "%s: %d utterances, %.1f minutes, %d phones, %d speakers",
            *(name, len(data), seconds / 60, phones, len(data.speakers)),
        )


def find_recordings(timit: Path) -> list[Recording]:
    """All recordings below the folder but SA1 and SA2, sorted by speaker and sentence; each with its three files."""
    timit = Path(timit)
    found: dict[tuple[str, str, str], dict[str, Path]] = {}
    for path in sorted(timit.rglob("*")):
        kind, sentence = path.suffix.lower(), path.name.split(".")[0].upper()
        folders = [folder.upper() for folder in path.relative_to(timit).parts[:-1]]
        part = next((folder for folder in ("TRAIN", "TEST") if folder in folders), None)
        if not (part and kind in KINDS and SPEAKER.fullmatch(folders[-1]) and SENTENCE.fullmatch(sentence)):
            continue
        files = found.setdefault((folders[-1], sentence, part), {})
        before = files.setdefault(kind, path)
        if before.parent != path.parent:
            raise UserError(f"{path} is {before} once more; give the folder of one copy of TIMIT")
        files[kind] = min(before, path, key=lambda path: len(path.name))  # SX8.WAV rather than SX8.WAV.wav
    if not found:
        raise UserError(f"{timit} holds no TIMIT: no TRAIN or TEST with sentences in it; give the folder of LDC93S1")
    for (_, sentence, _), files in found.items():
        if missing := [kind for kind in KINDS if kind not in files]:
            folder = next(iter(files.values())).parent
            raise UserError(f"{folder / sentence} has no {missing[0].upper()} file; copy it from LDC93S1 again")
    return [
        Recording(part, speaker, sentence, *(files[kind] for kind in KINDS))
        for (speaker, sentence, part), files in sorted(found.items())
    ]


def divide(timit: Path, recordings: list[Recording]) -> dict[str, list[Recording]]:
    """Recordings of each set: the standard ones of a whole TIMIT, whose sizes are checked, or those of a sample."""
    parts = {part: [r for r in recordings if r.part == part] for part in ("TRAIN", "TEST")}
    if 2 * len(_speakers(recordings)) <= ALL_SPEAKERS:
        return _divide_sample(timit, parts["TRAIN"], parts["TEST"])
    dev, core = (set(_read_lines(TABLES / f"timit_{name}.txt")) for name in ("dev", "core"))
    sets = {
        "train": parts["TRAIN"],
        "dev": [r for r in parts["TEST"] if r.speaker in dev],
        "test": [r for r in parts["TEST"] if r.speaker in core],
        "test_complete": parts["TEST"],
    }
    for name, wanted in WHOLE.items():
        if (found := (len(_speakers(sets[name])), len(sets[name]))) != wanted:
            raise UserError(
                f"{timit} has {found[0]} speakers and {found[1]} utterances for {name}, but LDC93S1 has "
                f"{wanted[0]} and {wanted[1]}; copy it again"
            )
    return sets


def _divide_sample(timit: Path, train: list[Recording], test: list[Recording]) -> dict[str, list[Recording]]:
    speakers = _speakers(train)
    left_out = speakers[DEV_EVERY // 2 - 1 :: DEV_EVERY]
    if not left_out or not test:
        raise UserError(
            f"{timit} has {len(speakers)} speakers in TRAIN and {len(_speakers(test))} in TEST, "
            "but even a sample needs three and one; give more of TIMIT"
        )
    log.warning(
        "%s is a sample of TIMIT (%d of %d speakers) without the standard sets: dev is the train speakers %s, "
        "both test sets are all of TEST",
        *(timit, len(speakers) + len(_speakers(test)), ALL_SPEAKERS, ", ".join(left_out)),
    )
    return {
        "train": [r for r in train if r.speaker not in left_out],
        "dev": [r for r in train if r.speaker in left_out],
        "train_and_dev": train,
        "test": test,
        "test_complete": test,
    }


def _speakers(recordings: Iterable[Recording]) -> list[str]:
    return sorted({recording.speaker for recording in recordings})


def read_fold() -> dict[str, str | None]:
    """Each of the 61 phones -> one of 48, or None where it is deleted."""
    rows = (line.split() for line in _read_lines(TABLES / "timit_phones.txt"))
    return {phone: folded[0] if folded else None for phone, *folded in rows}


def read_phones(path: Path, fold: dict[str, str | None]) -> list[Segment]:
    """Folded segments of a .PHN file with lines ``first-sample end-sample phone``; a UserError names a bad one."""
    segments = []
    for number, line in enumerate(_read_lines(path), 1):
        try:
            start, end, phone = line.split()
            begin, stop = int(start), int(end)
        except ValueError:
            raise UserError(f"{path}, line {number}: '{line}' is not 'first-sample end-sample phone'") from None
        if phone not in fold:
            raise UserError(f"{path}, line {number}: '{phone}' is none of TIMIT's 61 phones; correct it")
        if folded := fold[phone]:
            segments.append(Segment(begin / RATE, stop / RATE, folded))
    if not segments:
        raise UserError(f"{path} holds no phones; copy it from LDC93S1 again")
    return segments


def read_words(path: Path) -> str:
    """The words of a .TXT file: one line ``first-sample end-sample sentence``."""
    return normalize_english(" ".join(_read_lines(path)).split(maxsplit=2)[-1])


def _utterance(recording: Recording, segments: list[Segment], out: Path) -> Utterance:
    """The utterance with its phones as text, and with audio in ``out/audio`` where that had to be restored."""
    try:
        samples, rate = soundfile.read(recording.audio, dtype="int16")
    except soundfile.LibsndfileError as error:
        raise UserError(f"{recording.audio} cannot be read as audio ({error.error_string.rstrip('.')})") from None
    if rate != RATE:
        raise UserError(f"{recording.audio} has {rate} Hz, but TIMIT has {RATE}; copy it from LDC93S1 again")
    audio, octets = recording.audio, samples.astype("<i2").tobytes()
    if line_ends.was_converted(octets):
        octets, losses = line_ends.restore(octets)
        if losses:
            audio, samples = out / AUDIO / f"{recording.id}.wav", np.frombuffer(octets, "<i2")
            audio.parent.mkdir(exist_ok=True)
            soundfile.write(audio, samples, RATE)
    phones = " ".join(segment.phone for segment in segments)
    return Utterance(recording.id, str(audio), recording.speaker, text=phones, duration=len(samples) / RATE)


def _ctm(labels: Iterable[tuple[str, list[Segment]]]) -> Iterator[str]:
    for utterance, segments in labels:
        for start, end, phone in segments:
            yield f"{utterance} 1 {start:.4f} {end - start:.4f} {phone}\n"


def _read_lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, UnicodeDecodeError):
        raise UserError(f"{path} is missing, or is no text; copy it again") from None
