"""Subsets of data directories and frame archives."""

import shutil
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
