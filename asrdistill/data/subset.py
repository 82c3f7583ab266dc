"""Some of a data directory's or a frame archive's utterances."""

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from asrdistill.data.archive import FrameArchive, subset
from asrdistill.data.directory import DataDirectory, Utterance
from asrdistill.data.options import SubsetOptions
from asrdistill.errors import UserError

log = logging.getLogger("asrdistill")

T = TypeVar("T")


def select(data: DataDirectory, options: SubsetOptions, name: Path) -> DataDirectory:
    """The utterances that the options ask for; `name` is what messages call the data directory.

    Of equally short utterances those with the smallest ids are taken. Raises UserError when the shortest are
    wanted and an utterance's length is not known.
    """
    if options.shortest:
        by_length = sorted(data, key=lambda utterance: (_seconds(utterance, name), utterance.id))
        return DataDirectory(_first(by_length, options.shortest, "utterances", name))
    if options.percent:
        return DataDirectory(_random(list(data), options.percent, options.seed))
    if options.utterances:
        return DataDirectory(_spaced(list(data), options.utterances, "utterances", name))
    speakers = set(_spaced(list(data.speakers), options.speakers, "speakers", name))
    return data.subset(lambda utterance: utterance.speaker in speakers)


def select_rows(archive: FrameArchive, options: SubsetOptions) -> list[str]:
    """The same choice among the utterances of a frame archive, which knows their lengths but not their speakers."""
    if options.percent:
        return _random(archive.utterances, options.percent, options.seed)
    if options.shortest:
        by_length = sorted(archive, key=lambda utterance: (archive.rows(utterance), utterance))
        return list(_first(by_length, options.shortest, "utterances", archive.folder))
    if options.utterances:
        return _spaced(archive.utterances, options.utterances, "utterances", archive.folder)
    raise UserError(f"{archive.folder} is a frame archive, which knows no speakers; choose its utterances otherwise")


def write_rows(archive: FrameArchive, out: Path, utterances: Sequence[str]) -> None:
    """Write into `out` an index of these utterances over the archive's shards, with what else stands beside those."""
    subset(archive.folder, out, utterances)
    copy_beside(archive, out)


def copy_beside(archive: FrameArchive, out: Path) -> None:
    """Copy what stands beside an archive's shards, index and meta.json: senones.json, the tails of soft targets."""
    for path in archive.folder.iterdir():
        shard = path.suffix == ".npy"
        if path.is_file() and not shard and not path.name.startswith(".") and not (out / path.name).exists():
            shutil.copy(path, out)


def _random(items: Sequence[T], percent: float, seed: int) -> list[T]:
    """The first of the items in a random order, so that of one seed the smaller share lies in the larger."""
    count = max(1, round(len(items) * percent / 100))
    order = np.random.default_rng(seed).permutation(len(items))
    return [items[index] for index in sorted(order[:count].tolist())]


def _seconds(utterance: Utterance, name: Path) -> float:
    if utterance.duration is not None:
        return utterance.duration
    if utterance.end is None:
        raise UserError(f"{name} has no utt2dur, so that it is not known how short {utterance.id} is; write one")
    return utterance.end - utterance.start


def _first(items: Sequence[T], count: int, what: str, name: Path) -> Sequence[T]:
    if len(items) <= count:
        log.info("%s has %d %s, no more than the %d wanted: all are taken", name, len(items), what, count)
    return items[:count]


def _spaced(items: Sequence[T], count: int, what: str, name: Path) -> list[T]:
    count = len(_first(items, count, what, name))
    return [items[i * len(items) // count] for i in range(count)]
