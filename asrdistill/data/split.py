"""Splits of a data directory into train, dev and test: by recordings, or by their ends if there are few."""

import zlib
from pathlib import Path

from asrdistill.data.directory import DataDirectory, Utterance
from asrdistill.errors import UserError

SETS = ("train", "dev", "test")
FEW = 10  # recordings; fewer are split inside


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
    share = (1 - 1e-6) * percent / 100 * sum(map(_seconds, run))  # tolerates rounding
    inside = len({utterance.recording for utterance in run}) == 1
    begun, taken, previous, where = 0.0, 0.0, "", "test"
    for utterance in run:
        recording = "" if inside else utterance.recording or utterance.id
        if inside or recording != previous:
            begun, previous = taken, recording
            where = "test" if begun < share else "dev" if begun < 2 * share else "train"
        sets[where].append(utterance)
        taken += _seconds(utterance)


def _seconds(utterance: Utterance) -> float:
    return 1.0 if utterance.seconds is None else utterance.seconds


def write_splits(data: DataDirectory, percent: float, out: Path) -> None:
    """Write the sets as data directories into the existing folder `out`."""
    for name, part in split_recordings(data, percent).items():
        part.write_set(out / name)
