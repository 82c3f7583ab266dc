"""What corpora of other tools have in common: rows of audio file, transcript and speaker become a data directory."""

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from asrdistill.data.audio import audio_length
from asrdistill.data.directory import DataDirectory, Utterance
from asrdistill.data.segment import name_of
from asrdistill.errors import UserError, shorten
from asrdistill.lang.normalize import normalize_text
from asrdistill.parallel import map_utterances

log = logging.getLogger("asrdistill")

COLUMNS = {  # names that other tools give to the columns, the likeliest first
    "audio": ("audio", "path", "file_name", "audio_filepath", "file", "filename", "audio_path", "wav"),
    "text": ("text", "sentence", "transcription", "transcript", "normalized_text"),
    "speaker": ("speaker", "speaker_id", "client_id"),
}


@dataclass(frozen=True)
class Columns:
    """Names of the columns, "" for the usual ones, and the language in which transcripts are normalised, if any."""

    audio: str = ""
    text: str = ""
    speaker: str = ""
    language: str = ""

    def choose(self, there: Sequence[str], source: object) -> dict[str, str]:
        """audio, text and, if there is one, speaker -> name of the column; raises UserError if one is missing."""
        chosen = {}
        for kind, usual in COLUMNS.items():
            wanted = getattr(self, kind)
            if found := [name for name in ([wanted] if wanted else usual) if name in there]:
                chosen[kind] = found[0]
            elif wanted or kind != "speaker":
                what = f"no column '{wanted}'" if wanted else f"no column that is known to hold {kind}"
                raise UserError(f"{source} has {what}; give --{kind}-column, one of {shorten(there, 12)}")
        return chosen


USUAL = Columns()


@dataclass
class Rows:
    """Utterances of one set, as they are read; `root` is the folder that no audio file may be outside of."""

    root: Path
    columns: Columns
    utterances: list[Utterance] = field(default_factory=list)

    def locate(self, name: str, below: Sequence[str] = ("",), suffixes: Sequence[str] = ("",)) -> tuple[str, str]:
        """(path, path in its folder without suffix) of an audio file in one of the folders `below` the root.

        Raises UserError for a file that is not there, is outside of the root, or whose name is not one for wav.scp.
        """
        if not name.isprintable() or not name.strip() or name.rstrip().endswith("|"):
            raise UserError(f"'{name}' is no name of an audio file; correct it")
        top = os.path.join(os.path.abspath(self.root), "")
        for folder in below:
            path = os.path.normpath(os.path.join(top, folder, name))
            if not path.startswith(top):
                raise UserError(f"{name} is outside of {self.root}; give --root, the folder with all audio")
            for found in (path + suffix for suffix in suffixes):
                if os.path.isfile(found):
                    return found, os.path.splitext(os.path.relpath(found, os.path.join(top, folder)))[0]
        raise UserError(f"{name} is not in {self.root}; copy it there, or give --root, the folder of the audio")

    def add(self, id: str, audio: str, text: Any, speaker: Any, **segment: Any) -> None:
        """Add an utterance; `segment` has its recording, start and end (seconds) if it is a part of one."""
        if not isinstance(text, str | None):
            raise UserError(f"its transcript is {text!r:.40} instead of text; correct it, or give --text-column")
        if text is not None:
            language = self.columns.language
            text = normalize_text(text, language) if language else " ".join(text.replace("\0", " ").split())
        id = name_of(Path(id))
        voice = id if speaker in (None, "") else name_of(Path(str(speaker)))
        self.utterances.append(Utterance(id, audio, voice, text=text, **segment))

    def write(self, folder: Path, jobs: int, source: object) -> None:
        """Write the data directory, without utterances that have no transcript where others have one.

        Raises UserError naming `source` and the audio that cannot be read, and without utterances.
        """
        kept = [u for u in self.utterances if u.text is not None] or self.utterances
        if len(kept) < len(self.utterances):
            log.warning("left out: %d utterances of %s without transcript", len(self.utterances) - len(kept), source)
        with at(str(source)):
            if not kept:
                raise UserError("there are no utterances in it; check it")
            files = list(dict.fromkeys(u.audio for u in kept))
            lengths = dict(zip(files, map_utterances(audio_length, files, jobs, "prepare", unit="files"), strict=True))
            DataDirectory(_with_length(u, *lengths[u.audio]) for u in kept).write_set(folder)


def _with_length(u: Utterance, frames: int, rate: int) -> Utterance:
    if u.end is not None and u.end > frames / rate + 0.1:
        raise UserError(f"utterance {u.id} ends at {u.end:g} s, but {u.audio} at {frames / rate:.2f} s; correct it")
    return replace(u, duration=frames / rate if u.end is None else u.end - u.start)


@contextmanager
def at(where: str) -> Iterator[None]:
    """UserErrors of the block begin with a place: file and line, or row."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{where}: {error}") from None


def choose_parts(there: Iterable[str], parts: Sequence[str], source: object) -> list[str]:
    """The sets named `parts` (default: all); raises UserError for one that is not there."""
    known = list(there)
    if missing := [part for part in parts if part not in known]:
        raise UserError(f"{source} has no part {missing[0]}; give some of {shorten(known, 12)}")
    return list(parts) or known


def places(out: Path, there: Iterable[str], parts: Sequence[str], source: object) -> dict[str, Path]:
    """Chosen set -> its data directory: `out` itself if there is one set, else a folder of it."""
    names = choose_parts(there, parts, source)
    return {name: out / name_of(Path(name)) if len(names) > 1 else out for name in names}
