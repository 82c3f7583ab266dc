"""Transcripts of a data directory, read from disk on demand."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from asrdistill.data.directory import DataDirectory
from asrdistill.errors import UserError

Transcript = tuple[str, list[str]]  # utterance id, its words


class Texts(Sequence[Transcript]):
    """Transcripts in the order of the file; only offsets are in memory. Slices, and selections by number, share it.

    places  (U,) int64: byte offsets of the lines
    """

    def __init__(self, path: Path, places: np.ndarray):
        self.path, self.places = path, places

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[Transcript]:
        with open(self.path, "rb") as lines:
            for place in self.places.tolist():
                lines.seek(place)
                utterance, *words = lines.readline().decode("utf-8-sig").split()
                yield utterance, words

    def __getitem__(self, key: Any) -> Any:
        some = Texts(self.path, np.atleast_1d(self.places[key]))
        return next(iter(some)) if isinstance(key, int) else some


def read_texts(folder: Path) -> Texts:
    """Transcripts of all utterances of a data directory, whose audio may be missing.

    Raises UserError if tables are missing, unsorted or disagree, or an utterance has no text.
    """
    places = _places(folder)
    if places is None:  # reading all of it names the fault
        first = next(iter(DataDirectory.read(folder, pipes=True)))
        raise UserError(f"utterance {first.id} has no transcript; add it to the text of {folder}")
    return Texts(folder / "text", places)


def _places(folder: Path) -> np.ndarray | None:
    """Offsets of the lines of text; None unless there is one line per utterance, in order."""
    segments = folder / "segments"
    others = segments if segments.exists() else folder / "wav.scp"
    ends, previous = [0], b""
    try:
        with open(folder / "text", "rb") as texts, open(others, "rb") as utterances:
            for text, other in zip_longest(texts, utterances, fillvalue=b""):
                key = text.decode("utf-8-sig").split(maxsplit=1)[0].encode()
                if key <= previous or key != other.decode("utf-8-sig").split(maxsplit=1)[0].encode():
                    return None
                ends.append(ends[-1] + len(text))
                previous = key
    except (OSError, UnicodeDecodeError, IndexError):
        return None
    return np.array(ends[:-1])
