"""Some of a data directory's utterances."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

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
    if options.utterances:
        return DataDirectory(_spaced(list(data), options.utterances, "utterances", name))
    speakers = set(_spaced(list(data.speakers), options.speakers, "speakers", name))
    return data.subset(lambda utterance: utterance.speaker in speakers)


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
