"""lhotse manifests as JSON lines: recordings and supervisions, or cuts, in; recordings and supervisions out.

An utterance is a supervision, or a cut that has none. lhotse itself is not needed.
"""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypedDict

from asrdistill.corpora.rows import USUAL, Columns, Rows, at, choose_parts, places
from asrdistill.data.audio import audio_length
from asrdistill.data.directory import DataDirectory
from asrdistill.data.segment import name_of
from asrdistill.errors import UserError
from asrdistill.files import atomic
from asrdistill.reader import conform, read_lines

MANIFEST = re.compile(r"(.*?)[-_.]?(recordings|supervisions|cuts)[-_.]?(.*?)\.jsonl(?:\.gz)?")
WHOLE = 0.02  # seconds by which the supervision of a whole recording may be shorter
Recording = TypedDict("Recording", {"id": str, "sources": list[dict], "duration": float})  # noqa: UP013
Span = TypedDict("Span", {"id": str, "start": float, "duration": float})  # noqa: UP013


class Supervision(Span):
    recording_id: str


class Cut(Span):
    recording: Recording
    supervisions: list[Supervision]


def folders_of(source: Path, parts: Sequence[str] = ()) -> list[Path]:
    """The manifests of the parts (default: all)."""
    return [path for files in _sets(source, parts).values() for path in files.values()]


def _sets(source: Path, parts: Sequence[str] = ()) -> dict[str, dict[str, Path]]:
    """Set -> kind -> manifest; sets are named by what else is in the names of their files."""
    sets: dict[str, dict[str, Path]] = {}
    for path in [source] if source.is_file() else sorted(source.glob("*.jsonl*")):
        if found := MANIFEST.fullmatch(path.name):
            sets.setdefault("_".join(filter(None, (found[1], found[3]))) or "all", {})[found[2]] = path
    sets = {name: {"cuts": kinds["cuts"]} if "cuts" in kinds else kinds for name, kinds in sets.items()}
    if not sets or any("cuts" not in kinds and len(kinds) < 2 for kinds in sets.values()):
        raise UserError(f"{source} lacks recordings.jsonl and supervisions.jsonl, or cuts.jsonl (or .gz); add them")
    return {name: sets[name] for name in choose_parts(sets, parts, source)}


def prepare_lhotse(
    source: Path,
    out: Path,
    jobs: int = 1,
    parts: Sequence[str] = (),
    root: Path | None = None,
    columns: Columns = USUAL,
) -> None:
    """Make a data directory of each set; a single one is `out` itself.

    Raises UserError that names the line for recordings that are gone, outside of `root` (default: the folder of the
    manifests), no files (commands, addresses) or changed when loaded (transforms), and for mixed and padded cuts.
    """
    sets = _sets(source, parts)
    for name, place in places(out, sets, (), source).items():
        rows = Rows(root or (source.parent if source.is_file() else source), columns)
        for where, recording, span in _spans(sets[name]):
            with at(where):
                audio, id = _audio(recording, span, rows), span["id"]
                start, length = span["start"], span["duration"]
                if start < 0 or length <= 0:
                    raise UserError(f"{id} starts at {start:g} s and lasts {length:g} s; correct it")
                part = {"recording": name_of(Path(recording["id"])), "start": start, "end": start + length}
                whole = start == 0 and length > recording["duration"] - WHOLE
                rows.add(id, audio, span.get("text"), span.get("speaker"), **({} if whole else part))
        rows.write(place, jobs, source)


def _records(path: Path) -> Iterator[tuple[str, Any]]:
    """(file and line, record) of each line."""
    for number, line in enumerate(read_lines(path), 1):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        yield f"{path}, line {number}", conform(value, dict, f"{path}, line {number}")


def _spans(kinds: dict[str, Path]) -> Iterator[tuple[str, Any, Any]]:
    """(file and line, recording, supervision whose start counts from the recording's) of a set."""
    if "cuts" in kinds:
        for where, record in _records(kinds["cuts"]):
            if record["type"] != "MonoCut":
                raise UserError(f"{where} is a {record['type']}; save its audio first (CutSet.save_audios)")
            cut = conform(record, Cut, where)
            for span in cut["supervisions"] or [{"id": cut["id"], "start": 0.0, "duration": cut["duration"]}]:
                yield (
                    where,
                    cut["recording"],
                    {"channel": record.get("channel"), **span, "start": cut["start"] + span["start"]},
                )
        return
    found = (conform(record, Recording, where) for where, record in _records(kinds["recordings"]))
    known = {recording["id"]: recording for recording in found}
    for where, record in _records(kinds["supervisions"]):
        span = conform(record, Supervision, where)
        if span["recording_id"] not in known:
            raise UserError(f"{where}: recording {span['recording_id']} is not in {kinds['recordings']}; add it there")
        yield where, known[span["recording_id"]], span


def _audio(recording: Any, span: Any, rows: Rows) -> str:
    """The file of a recording's channel."""
    id, channel = recording["id"], span.get("channel") or 0
    channel = channel[0] if isinstance(channel, list) else channel
    source: dict[str, Any] = next((each for each in recording["sources"] if channel in each.get("channels", [])), {})
    if recording.get("transforms") or source.get("type") != "file":
        what = (
            "transforms"
            if recording.get("transforms")
            else f"'{source.get('type')}' as the source of channel {channel}"
        )
        raise UserError(f"recording {id} has {what} instead of a file as it is; save its audio first")
    with at(f"recording {id}"):
        return rows.locate(str(source.get("source", "")))[0]


def write_lhotse(data: DataDirectory, out: Path) -> None:
    """Write recordings.jsonl and supervisions.jsonl of a data directory into the existing folder `out`."""
    known: dict[str, float] = {}
    with atomic(out / "recordings.jsonl") as recordings, atomic(out / "supervisions.jsonl") as supervisions:
        for u in data:
            id, path = u.recording or u.id, str(Path(u.audio).absolute())
            if id not in known:
                frames, rate = audio_length(path)
                known[id] = frames / rate
                source = {"type": "file", "channels": [0], "source": path}
                size = {"sampling_rate": rate, "num_samples": frames, "duration": known[id]}
                print(json.dumps({"id": id, "sources": [source], **size, "channel_ids": [0]}), file=recordings)
            span = {"start": round(u.start, 6), "duration": round((known[id] if u.end is None else u.end) - u.start, 6)}
            words = {} if u.text is None else {"text": u.text}
            row = {"id": u.id, "recording_id": id, **span, "channel": 0, **words, "speaker": u.speaker}
            print(json.dumps(row, ensure_ascii=False), file=supervisions)
