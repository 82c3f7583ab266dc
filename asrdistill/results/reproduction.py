"""The paper's figures beside ours: docs/reproduction.md, drawn from what experiments wrote.

PAPER.yaml is a list of tables; a row's `paper` is the paper's figure, or nothing where the paper has none, and `ours`
says where ours stands: a JSON file below one of the experiment folders and the way to a number in it, step by step.

- title: Speech (Table 1)
  rows:
    - {what: "ensemble, frames %", paper: 61.1, ours: [results.json, systems, ensemble, frame_accuracy, test, mean]}
    - what: "student − hard, frames %"
      paper: 12.5
      ours: [sweeps/share.json, cells, "soft, data 3", frame_accuracy, pooled, mean]
      less: [sweeps/share.json, cells, "hard, data 3", frame_accuracy, pooled, mean]   # the difference to this is meant
      least: 0                    # from where on (`most`: up to where) ours agrees

A list at the end of a way is taken as its mean: one value for each seed. `per: WAY` gives `ours` in percent of another
number; `to: WAY` the part of the way from `less` to another number that `ours` has gone, in percent. What is not there
was not run.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from asrdistill.config import build
from asrdistill.errors import UserError
from asrdistill.files import read_json
from asrdistill.results.table import NOTHING, Table

NOT_RUN = "not run"
Way = list  # of names and numbers


@dataclass(frozen=True)
class Row:
    what: str = ""
    paper: float | None = None
    ours: Way = field(default_factory=list)
    less: Way = field(default_factory=list)
    per: Way = field(default_factory=list)
    to: Way = field(default_factory=list)
    least: float | None = None
    most: float | None = None


def read_paper(path: Path) -> list[tuple[str, str, list[Row]]]:
    """Title, note and rows of each table; raises UserError for what is not one."""
    try:
        tables = yaml.safe_load(path.read_text(encoding="utf-8"))
        return [
            (t["title"], t.get("note", ""), [build(Row, row, f"{path}, {t['title']}") for row in t["rows"]])
            for t in tables
        ]
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is not a list of tables with title and rows ({error})") from None


def markdown(tables: Sequence[tuple[str, str, list[Row]]], experiments: Sequence[Path]) -> str:
    """The document; figures that no experiment has are "not run"."""
    parts = [
        "# The paper and we",
        'Hinton, Vinyals and Dean (2015), "Distilling the Knowledge in a Neural Network". Drawn by `asrdistill '
        "reproduction` from what the recipes measured. The corpora are others, so that differences count, not levels. "
        "“agrees” says whether ours is on the side of the bar that is named; where none is, nothing is claimed.",
    ]
    for title, note, rows in tables:
        cells = [_cells(row, experiments) for row in rows]
        parts += [f"## {title}", note, Table(["what", "paper", "ours", "bar", "agrees"], cells).markdown()]
    return "\n\n".join(part for part in parts if part) + "\n"


def _cells(row: Row, experiments: Sequence[Path]) -> list[str]:
    ours = figure(row, experiments)
    bar = f"≥ {row.least:g}" if row.least is not None else f"≤ {row.most:g}" if row.most is not None else NOTHING
    inside = (row.least is None or (ours or 0) >= row.least) and (row.most is None or (ours or 0) <= row.most)
    agrees = NOTHING if bar == NOTHING or ours is None else "yes" if inside else "no"
    paper = NOTHING if row.paper is None else f"{row.paper:g}"
    return [row.what, paper, NOT_RUN if ours is None else f"{ours:.2f}", bar, agrees]


def figure(row: Row, experiments: Sequence[Path]) -> float | None:
    """Our figure; None where something that it is made of has not been measured."""
    values = [look_up(way, experiments) if way else 0.0 for way in (row.ours, row.less, row.per, row.to)]
    if not row.ours or None in values:
        return None
    ours, less, per, to = (float(value or 0.0) for value in values)
    whole = per if row.per else to - less if row.to else 100.0
    return 100 * (ours - less) / whole if whole else None


def look_up(way: Way, experiments: Sequence[Path]) -> float | None:
    """The number at the end of a way, in the first experiment that has the file."""
    for experiment in experiments:
        if (path := experiment / str(way[0])).is_file():
            return _walk(read_json(path), way[1:])
    return None


def _walk(value: Any, steps: Way) -> float | None:
    for step in steps:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    if isinstance(value, list):
        return statistics.mean(value) if value else None
    return value
