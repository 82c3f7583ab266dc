"""A sweep as its YAML file says it.

title: Temperature of the soft targets
vary: {temperature: [1, 2, 5, 10]}            # settings and their values; of several, all combinations. The first is x
base: {hard_weight: 1.0}                      # settings of all
rows:                                         # what is measured at each point, a line of the picture each
  student: {system: student}
  ensemble: {system: ensemble}
seeds: [0, 1, 2]                              # of student and hard
sets: [dev, test, test_unseen]
pooled: [test, test_unseen]
measure: [frames, wer, train]                 # frame accuracy; words; frame accuracy on what was learnt from
compare: [[student, ensemble]]                # rows whose words are compared at each point
quick: {vary: {temperature: [1, 2]}, measure: [frames]}   # what --quick has in the place of these

A row's settings go before the point's, those before the base; with `only: [1, 2]` it is measured at these values of x
alone. Settings are those of
:class:`asrdistill.sweep.settings.Settings`.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asrdistill.config import build, read_yaml
from asrdistill.errors import UserError
from asrdistill.sweep.settings import Settings

MEASURES = ("frames", "wer", "train")

Point = dict[str, Any]  # setting -> its value


@dataclass(frozen=True)
class Sweep:
    """A sweep; `name` is its file's."""

    name: str = ""
    title: str = ""
    vary: dict[str, Any] = field(default_factory=dict)
    base: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, Any] = field(default_factory=lambda: {"student": {}})
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2])
    sets: list[str] = field(default_factory=lambda: ["dev", "test", "test_unseen"])
    pooled: list[str] = field(default_factory=lambda: ["test", "test_unseen"])
    measure: list[str] = field(default_factory=lambda: ["frames"])
    compare: list[list[str]] = field(default_factory=list)

    @property
    def x(self) -> str:
        """The setting along the axis."""
        return next(iter(self.vary))

    @property
    def points(self) -> list[Point]:
        return [dict(zip(self.vary, values, strict=True)) for values in itertools.product(*self.vary.values())]


@dataclass(frozen=True)
class Cell:
    """One system of a sweep: a row at a point."""

    row: str
    point: Point
    settings: Settings

    @property
    def key(self) -> str:
        """What the sweep's results call it: "student, temperature 2"."""
        return ", ".join([self.row, *(f"{name} {plain(value)}" for name, value in self.point.items())])


def plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def read_sweep(path: Path, quick: bool, seeds: int | None = None) -> Sweep:
    """Read and check a sweep, with so many seeds if it is said; raises UserError for what it cannot mean."""
    values = {"title": path.stem, **read_yaml(path)}
    instead = values.pop("quick", {})
    if seeds is not None and seeds < 1:
        raise UserError(f"--seeds must be at least 1, not {seeds}")
    if not isinstance(instead, dict):
        raise UserError(f"'quick' in {path} must have the lines that --quick has in the place of others")
    values |= (instead if quick else {}) | ({"seeds": list(range(seeds))} if seeds else {})
    sweep = build(Sweep, {**values, "name": path.stem}, str(path))
    if not sweep.vary:
        raise UserError(f"{path} lacks 'vary': the settings that vary, each with its values")
    for name, listed in {**sweep.vary, **{key: getattr(sweep, key) for key in ("seeds", "sets", "pooled")}}.items():
        if not isinstance(listed, list) or not listed:
            raise UserError(f"'{name}' in {path} must be a list of at least one value, not {listed!r}")
    if unknown := [name for name in sweep.measure if name not in MEASURES]:
        raise UserError(f"{path} measures '{unknown[0]}'; what can be measured are {', '.join(MEASURES)}")
    if unknown := [name for name in sweep.pooled if name not in sweep.sets]:
        raise UserError(f"{path}: the pooled set '{unknown[0]}' is not among the sets")
    if unknown := [name for pair in sweep.compare for name in pair if name not in sweep.rows]:
        raise UserError(f"{path} compares the row '{unknown[0]}', which it does not define")
    cells(sweep, str(path))
    return sweep


def cells(sweep: Sweep, source: str = "") -> list[Cell]:
    """All systems of a sweep, point by point."""
    found = []
    for point in sweep.points:
        for row, settings in sweep.rows.items():
            where = f"{source or sweep.name}, row '{row}'"
            layers = [layer or {} for layer in (sweep.base, point, settings)]
            joined = _join(layers, where)
            if point[sweep.x] in joined.pop("only", sweep.vary[sweep.x]):
                found.append(Cell(row, point, _settings(joined, where)))
    return found


def _join(layers: Sequence[Any], source: str) -> dict[str, Any]:
    joined: dict[str, Any] = {}
    for layer in layers:
        if not isinstance(layer, dict):
            raise UserError(f"settings in {source} must be 'setting: value' pairs, not {layer!r}")
        joined |= layer
    return joined


def _settings(values: dict[str, Any], source: str) -> Settings:
    settings = build(Settings, values, source)
    settings.check(source)
    return settings
