"""Subsets of data directories and frame archives, and splits into train, dev and test."""

import shutil
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from asrdistill.data.archive import FrameArchive, subset
from asrdistill.data.directory import DataDirectory, Utterance
from asrdistill.data.options import SubsetOptions
from asrdistill.errors import UserError, log
from asrdistill.files import write_text
from asrdistill.reader import read_lines

T = TypeVar("T")
SETS = ("train", "dev", "test")
FEW = 10  # recordings; fewer are split inside


def select(data: DataDirectory, options: SubsetOptions, name: Path) -> DataDirectory:
    """The utterances that the options choose; `name` is the data directory in messages.

    Raises UserError if the shortest are chosen and a length is unknown.
    """
    if options.speakers:
        speakers = set(_spaced(list(data.speakers), options.speakers, "speakers", name))
        return data.subset(lambda utterance: utterance.speaker in speakers)
    return DataDirectory(
        _choose(list(data), options, lambda utterance: (_seconds(utterance, name), utterance.id), name)
    )


def select_rows(archive: FrameArchive, options: SubsetOptions) -> list[str]:
    """The utterances of a frame archive that the options choose; raises UserError for --speakers."""
    if options.speakers:
        raise UserError(f"{archive.folder} is a frame archive, without speakers; give another option than --speakers")
    return _choose(archive.utterances, options, lambda utterance: (archive.rows(utterance), utterance), archive.folder)


def _choose(items: list[T], options: SubsetOptions, key: Callable[[T], Any], name: Path) -> list[T]:
    if options.shortest:
        return _first(sorted(items, key=key), options.shortest, "utterances", name)
    if options.percent:  # of one seed smaller shares are within larger ones
        count = max(1, round(len(items) * options.percent / 100))
        order = np.random.default_rng(options.seed).permutation(len(items))
        return [items[index] for index in sorted(order[:count].tolist())]
    return _spaced(items, options.utterances, "utterances", name)


def write_rows(archive: FrameArchive, out: Path, utterances: Sequence[str]) -> None:
    """Write into `out` an index of these utterances over the archive's shards, its other files, its CTMs' lines."""
    subset(archive.folder, out, utterances)
    kept = set(utterances)
    for path in archive.folder.glob("*.ctm"):
        write_text(out / path.name, "".join(f"{line}\n" for line in read_lines(path) if line.split(" ", 1)[0] in kept))
    copy_beside(archive, out)


def copy_beside(archive: FrameArchive, out: Path) -> None:
    """Copy the other files of an archive: senones.json, the tails of soft targets."""
    for path in archive.folder.iterdir():
        others = path.suffix not in (".npy", ".ctm")  # a CTM is of these utterances
        if path.is_file() and others and not path.name.startswith(".") and not (out / path.name).exists():
            shutil.copy(path, out)


def _seconds(utterance: Utterance, name: Path) -> float:
    if utterance.seconds is None:
        raise UserError(f"{name} has no utt2dur, so the length of {utterance.id} is unknown; write one")
    return utterance.seconds


def _first(items: list[T], count: int, what: str, name: Path) -> list[T]:
    if len(items) <= count:
        log.info("%s has %d %s, not more than %d: all are taken", name, len(items), what, count)
    return items[:count]


def _spaced(items: list[T], count: int, what: str, name: Path) -> list[T]:
    count = len(_first(items, count, what, name))
    return [items[i * len(items) // count] for i in range(count)]


def split_recordings(data: DataDirectory, percent: float) -> dict[str, DataDirectory]:
    """Sets train, dev and test; dev and test have about `percent` of the audio each.

    Recordings are ordered by checksums of their names and stay in one set. With fewer than FEW recordings the end of
    each goes to test and the part before it to dev. Raises UserError if a set would be empty.
    """
    recordings: dict[str, list[Utterance]] = {}
    for utterance in data:
        recordings.setdefault(utterance.recording or utterance.id, []).append(utterance)
    ordered = sorted(recordings, key=lambda name: (zlib.crc32(name.encode()), name))
    runs = [[u for name in ordered for u in recordings[name]]]
    if len(recordings) < FEW:
        runs = [sorted(recordings[name], key=lambda u: -u.start) for name in ordered]
    sets: dict[str, list[Utterance]] = {name: [] for name in SETS}
    for run in runs:
        _deal(run, percent, sets)
    if empty := [name for name in SETS if not sets[name]]:
        raise UserError(
            f"{len(data)} utterances of {len(recordings)} recordings are too few to split: {empty[0]} would be "
            "empty; give more audio"
        )
    return {name: DataDirectory(utterances) for name, utterances in sets.items()}


def _deal(run: list[Utterance], percent: float, sets: dict[str, list[Utterance]]) -> None:
    """Assign the first utterances to test, the next to dev, the others to train."""
    share = (1 - 1e-6) * percent / 100 * sum(map(_length_of, run))  # tolerates rounding
    inside = len({utterance.recording for utterance in run}) == 1
    begun, taken, previous, where = 0.0, 0.0, "", "test"
    for utterance in run:
        recording = "" if inside else utterance.recording or utterance.id
        if inside or recording != previous:
            begun, previous = taken, recording
            where = "test" if begun < share else "dev" if begun < 2 * share else "train"
        sets[where].append(utterance)
        taken += _length_of(utterance)


def _length_of(utterance: Utterance) -> float:
    return 1.0 if utterance.seconds is None else utterance.seconds


def write_splits(data: DataDirectory, percent: float, out: Path) -> None:
    """Write the sets as data directories into the existing folder `out`."""
    for name, part in split_recordings(data, percent).items():
        part.write_set(out / name)
