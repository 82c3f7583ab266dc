"""Features of different kinds side by side, for ensembles of teachers with different inputs."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from asrdistill.data.archive import FrameArchive, alias, check_match, joined_hash
from asrdistill.errors import UserError

JOINED = "joined"  # the type of such features


def paste(sources: Sequence[Path], out: Path) -> None:
    """Write into `out` an archive whose rows are those of all `sources` side by side; it stores only their paths.

    Utterances that one of them lacks are left out. Raises UserError if these are too many, and unless they are features
    of different kinds, of the same frames.
    """
    archives = [FrameArchive(source, "features") for source in sources]
    first, *others = archives
    described = [archive.meta["features"] for archive in archives]
    if not others or any(settings["type"] == JOINED for settings in described):
        raise UserError("give two or more archives that are not pasted themselves")
    if any(settings in described[:number] for number, settings in enumerate(described)):
        raise UserError(f"{sources[0]} and others hold the same features; only different ones can be pasted")
    for other in others:
        first.restrict(other)
        other.restrict(first)
    for other in others:
        check_match(first, other, first)
        if other.frames_of != first.frames_of or other.meta["frame_shift"] != first.meta["frame_shift"]:
            raise UserError(f"{other.folder} was not made for the frames of {first.folder}; encode with these features")
    sizes = [archive.parts["frames"][1][0] for archive in archives]
    alias(
        first.folder,
        out,
        {utterance: utterance for utterance in first},
        parts={"frames": {"dtype": "<f4", "shape": [sum(sizes)]}},
        features={"type": JOINED, "of": described, "sizes": sizes},
        feature_hash=first.frames_of,
        joined=[os.path.relpath(archive.folder.resolve(), Path(out).resolve()) for archive in archives],
        hash=joined_hash(archives),
    )


def has_columns(settings: dict[str, Any], own: dict[str, Any]) -> bool:
    """Whether features with these `settings` are or contain those with the settings `own`."""
    return settings == own or own in settings.get("of", [])


def columns(settings: dict[str, Any], own: dict[str, Any]) -> slice:
    """Columns of the features `own` in features with these `settings`."""
    if settings == own:
        return slice(None)
    place, begins = settings["of"].index(own), np.cumsum([0, *settings["sizes"]])
    return slice(int(begins[place]), int(begins[place + 1]))
