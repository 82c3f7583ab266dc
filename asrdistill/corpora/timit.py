"""TIMIT (LDC93S1): read speech of 630 speakers, labelled by hand with 61 phones.

Transcripts are phones, folded from 61 to 48 (Lee and Hon 1989), without the glottal stop q; scoring folds 48 to 39.
Both maps are columns of ``data/timit_phones.txt``; ``data/timit_dev.txt`` and ``data/timit_core.txt`` list the
speakers of the development and core test sets. SA1 and SA2 are left out. File names have either case, audio is SPHERE
or RIFF. Of a sample of TIMIT, some train speakers become the dev set.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from asrdistill.corpora import line_ends
from asrdistill.data.ctm import Interval, read_phn
from asrdistill.data.directory import DataDirectory, Utterance, write_table
from asrdistill.errors import UserError, shorten
from asrdistill.files import TABLES, write_text
from asrdistill.lang.normalize import normalize_english
from asrdistill.reader import read_lines

log = logging.getLogger("asrdistill")

AUDIO = "audio"  # folder of restored audio
RATE = 16_000  # of the audio; .PHN counts its samples
ALL_SPEAKERS = 630  # a folder with more than half of them must be whole
WHOLE = {"train": (462, 3696), "dev": (50, 400), "test": (24, 192), "test_complete": (168, 1344)}
DEV_EVERY = 6  # one of N train speakers of a sample is in dev
KINDS = (".wav", ".phn", ".txt")

SENTENCE = re.compile(r"S[IX]\d+")  # not SA
SPEAKER = re.compile(r"[FM][A-Z]{3}\d")


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


def prepare_timit(timit: Path, out: Path, jobs: int = 1) -> None:
    """Make the data directories train, dev, test (core) and test_complete in the existing folder `out`.

    Of a sample, every sixth train speaker is in dev, train_and_dev has all, and the test sets are all of TEST. Each
    directory has the hand-labelled times in ``phones.ctm`` and the words in ``text.words``. Audio that lost bytes in a
    conversion of line ends is restored into audio/. Raises UserError if a file is missing, a phone is unknown, or
    counts differ from the corpus.
    """
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
        data.write_set(out / name, "phones")
        write_table(out / name / "text.words", ((r.id, read_words(r.text)) for r in members))
        ctm = ((u.id, begin, end - begin, phone) for u in data for begin, end, phone in labels[u.id])
        write_text(out / name / "phones.ctm", "".join("{} 1 {:.4f} {:.4f} {}\n".format(*row) for row in ctm))


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
    """Recordings of each set: the standard sets of a whole TIMIT, whose sizes are checked, or those of a sample."""
    parts = {part: [r for r in recordings if r.part == part] for part in ("TRAIN", "TEST")}
    if 2 * len(_speakers(recordings)) <= ALL_SPEAKERS:
        return _divide_sample(timit, parts["TRAIN"], parts["TEST"])
    dev, core = (set(read_lines(TABLES / f"timit_{name}.txt")) for name in ("dev", "core"))
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
    """Each of the 61 phones -> one of 48, or None if it is deleted."""
    rows = (line.split() for line in read_lines(TABLES / "timit_phones.txt"))
    return {phone: folded[0] if folded else None for phone, *folded in rows}


def read_phones(path: Path, fold: dict[str, str | None]) -> list[Interval]:
    """Folded phones of a .PHN file; raises UserError naming a bad line."""
    phones = read_phn(path, RATE)
    for number, phone in enumerate(phones, 1):
        if phone.label not in fold:
            raise UserError(f"{path}, line {number}: '{phone.label}' is no phone of TIMIT; copy the file again")
    folded = [phone._replace(label=label) for phone in phones if (label := fold[phone.label])]
    if not folded:
        raise UserError(f"{path} holds no phones; copy it from LDC93S1 again")
    return folded


def read_words(path: Path) -> str:
    """Words of a .TXT file: one line ``first-sample end-sample sentence``."""
    return normalize_english(" ".join(read_lines(path)).split(maxsplit=2)[-1])


def _utterance(recording: Recording, phones: list[Interval], out: Path) -> Utterance:
    """The utterance with its phones as text; audio that had to be restored is in ``out/audio``."""
    try:
        samples, rate = soundfile.read(recording.audio, dtype="int16")
    except soundfile.LibsndfileError as error:
        raise UserError(f"{recording.audio} is not audio ({error.error_string.rstrip('.')}); copy it again") from None
    if rate != RATE:
        raise UserError(f"{recording.audio} has {rate} Hz, but TIMIT has {RATE}; copy it from LDC93S1 again")
    audio, octets = recording.audio, samples.astype("<i2").tobytes()
    if line_ends.was_converted(octets):
        octets, losses = line_ends.restore(octets)
        if losses:
            audio, samples = out / AUDIO / f"{recording.id}.wav", np.frombuffer(octets, "<i2")
            audio.parent.mkdir(exist_ok=True)
            soundfile.write(audio, samples, RATE)
    text = " ".join(phone.label for phone in phones)
    return Utterance(recording.id, str(audio), recording.speaker, text=text, duration=len(samples) / RATE)
