"""The paper's figures beside ours: docs/reproduction.md, drawn from what experiments measured.

recipes/amazon_queen_paper/conf/paper.yaml describes the form of PAPER.yaml.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asrdistill.config import build
from asrdistill.reader import read_json, read_yaml, reading
from asrdistill.results.plan import read_results
from asrdistill.results.tables import NOTHING, Table

NOT_RUN = "not run"


@dataclass(frozen=True)
class Row:
    what: str = ""
    paper: float | None = None
    ours: list = field(default_factory=list)
    less: list = field(default_factory=list)
    per: list = field(default_factory=list)
    to: list = field(default_factory=list)
    least: float | None = None
    most: float | None = None


Tables = list[tuple[str, str, list[Row]]]  # title, note, rows


def read_paper(path: Path) -> Tables:
    """The tables of PAPER.yaml; raises UserError for what is none."""
    with reading(path, "give 'paper' a list of tables with title and rows"):
        return [
            (str(t["title"]), str(t.get("note", "")), [build(Row, row, f"{path}, {t['title']}") for row in t["rows"]])
            for t in read_yaml(path)["paper"]
        ]


def markdown(tables: Tables, experiments: Sequence[Path]) -> str:
    """The document; figures that no experiment has are "not run"."""
    parts = [
        "# The paper and this toolkit",
        'Hinton, Vinyals and Dean (2015), "Distilling the Knowledge in a Neural Network". Drawn by `asrdistill report` '
        "from what the recipes measured. The corpora differ, so compare differences, not levels. The last column says "
        "whether our figure is on the named side of the bar.",
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


def look_up(way: Sequence[Any], experiments: Sequence[Path]) -> float | None:
    """The number that `way` names, in the first experiment that has the file; None if it is not there."""
    path = next((experiment / way[0] for experiment in experiments if (experiment / way[0]).is_file()), None)
    if not path:
        return None
    value: Any = read_json(path, Any)
    try:
        if "measurements" in value:
            system, measure, *sets = way[1:]
            results = read_results(path)
            found = results.table.mean(system, measure.replace("_error", "_accuracy"), *(sets or results.plan.pooled))
            if found is None and not sets:
                found = results.table.mean(system, measure)  # it belongs to no set
            return 100 - found if found is not None and measure.endswith("_error") else found
        for step in way[1:]:
            value = value[step]
    except (KeyError, IndexError, TypeError):
        return None
    if isinstance(value, list):
        return statistics.mean(value) if value else None
    return value
