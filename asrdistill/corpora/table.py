"""A folder of audio with one transcript file: CSV, TSV (Common Voice), LJSpeech's metadata.csv, or JSON lines (NeMo).

CSV may quote fields, which then may hold commas, quotes and ends of lines (RFC 4180). A TSV has a row per line, and a
field that is quoted as a whole loses its quotes, since Common Voice has quotes that never close.
"""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from asrdistill.corpora.rows import COLUMNS, USUAL, Columns, Rows, at
from asrdistill.errors import UserError
from asrdistill.reader import decoded, read_lines, reading

FOLDERS = ("", "clips", "wavs", "audio")  # where audio stands below the folder; clips: Common Voice, wavs: LJSpeech
SUFFIXES = ("", ".wav", ".flac", ".mp3", ".ogg", ".opus")
KINDS = (".csv", ".tsv", ".txt", ".jsonl", ".json")
Cells = Iterator[tuple[int, list[str]]]  # line and fields of each row


def folders_of(source: Path) -> list[Path]:
    """The transcript file: the source, or the only one in it; raises UserError if there are several or none."""
    found = [source] if source.is_file() else sorted(path for path in source.glob("*") if path.suffix.lower() in KINDS)
    if len(found) != 1:
        names = f"several files that could hold the transcripts, as {found[0].name}" if found else "no transcript file"
        raise UserError(f"{source} has {names}; give the path of one ({', '.join(KINDS)})")
    return found


def prepare_table(source: Path, out: Path, jobs: int = 1, root: Path | None = None, columns: Columns = USUAL) -> None:
    """Make `out` a data directory of the audio that a transcript file names, in `root` (default: its folder).

    Raises UserError that names the line for audio that is missing, outside of the folder or unreadable, and for rows
    that have other fields than the header.
    """
    (path,) = folders_of(source)
    rows = Rows(root or path.parent, columns)
    for line, row in _json_rows(path) if path.suffix.lower() in (".jsonl", ".json") else _rows(path, columns):
        with at(f"{path}, line {line}"):
            chosen = columns.choose(list(row), "it")
            audio, name = rows.locate(str(row[chosen["audio"]]), FOLDERS, SUFFIXES)
            rows.add(name, audio, row[chosen["text"]], row.get(chosen.get("speaker", "")))
    rows.write(out, jobs, path)


def _json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for line, text in _lines(path):
        try:
            row = json.loads(text)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict) or row.get("offset"):
            what = "a part of its audio (offset)" if isinstance(row, dict) else "no JSON object"
            raise UserError(f"{path}, line {line} is {what}; write a whole file's per line")
        yield line, row


def _rows(path: Path, columns: Columns) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, values by column) of each row of a table, whose form its first line tells."""
    first = next(read_lines(path), "")
    wanted = {columns.audio} if columns.audio else set(COLUMNS["audio"])
    sign = next((sign for sign in "\t,;|" if wanted & {cell.strip('" ') for cell in first.split(sign)}), "")
    if sign:
        cells = ((n, [_unquoted(cell) for cell in line.split(sign)]) for n, line in _lines(path))
        table = cells if sign == "\t" else _csv(path, sign)
        header = [cell.strip() for cell in next(table)[1]]
    elif "|" in first:  # LJSpeech: id, text as written, text normalised; one voice
        voice = path.absolute().parent.name
        table = ((n, [*line.split("|"), voice]) for n, line in _lines(path))
        header = ["audio", *["written"] * (first.count("|") - 1), "text", "speaker"]
    else:
        raise UserError(f"{path}, line 1 names no column of audio files; give --audio-column, or add a header")
    if len(set(header)) < len(header):
        raise UserError(f"{path}, line 1 names a column twice; rename one")
    for line, row in table:
        if len(row) != len(header):
            raise UserError(f"{path}, line {line} has {len(row)} fields instead of {len(header)}; correct its quotes")
        yield line, dict(zip(header, row, strict=True))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    return ((n, line) for n, line in enumerate(read_lines(path), 1) if line.strip())


def _unquoted(cell: str) -> str:
    whole = len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in cell[1:-1].replace('""', "")
    return cell[1:-1].replace('""', '"') if whole else cell


def _csv(path: Path, delimiter: str) -> Cells:
    with reading(path, "correct it"), open(path, "rb") as file:
        reader = csv.reader((decoded(line, str(path)) for line in file), delimiter=delimiter, strict=True)
        begin = 1
        try:
            for row in reader:
                if row:
                    yield begin, row
                begin = reader.line_num + 1
        except csv.Error as error:
            raise UserError(f"{path}, line {begin} is no row of a CSV file ({error}); correct its quotes") from None
