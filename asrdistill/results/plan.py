"""What a report shows: its YAML file (``--config``), and results.json, where the rows stand beside it."""

import dataclasses
import json
import re
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asrdistill.config import build, option
from asrdistill.errors import UserError
from asrdistill.files import write_text
from asrdistill.reader import conform, read_json, read_yaml, reading
from asrdistill.results.measurements import Measurement, Measurements

SEARCHED = "decode"  # where the recipes decode to


@dataclass(frozen=True)
class System:
    """One model, or several that differ only in their seed, as decoded in one way."""

    models: list[str] = field(default_factory=list)  # patterns of model folders below EXP; default: NAME.SEED
    decoded: str = option(SEARCHED, "folder below EXP with the hypotheses")  # of another search, or of rescoring
    what: str = option("", "description")
    published: dict[str, str] = field(default_factory=dict)  # figures of others, {whose: figure}: a column for each
    phones: list[str] = field(default_factory=list)  # measured apart
    targets: str = option("", "soft targets below EXP that it learnt from, whose size is shown")
    int8: str = option("", "exported 8-bit model below EXP")
    without: str = option("", "the system trained without a teacher, shown in the same row")
    shown: bool = option(True, "whether it has a row of its own")


@dataclass(frozen=True)
class Plan:
    """A report: systems, and what is compared."""

    corpus: str = ""
    note: str = ""
    variant: str = ""
    sets: list[str] = field(default_factory=list)
    pooled: list[str] = field(default_factory=list)
    systems: dict[str, Any] = field(default_factory=dict)
    comparisons: list[list[str]] = field(default_factory=list)
    ratios: list[list[str]] = field(default_factory=list)  # pairs of systems whose frame errors are divided
    curves: dict[str, Any] = field(default_factory=dict)  # lines of a picture, {name: {x: system}}, kept as [x, system]
    x: str = "temperature"  # name of the axis
    train: str = ""  # set with what was learnt from, measured beside the sets
    speed: bool = False  # measure sizes and speeds, on one core
    optional: bool = False  # leave out systems without a model folder
    map: str = ""  # file that folds phones before they are scored: error rates are of phones

    @property
    def measure(self) -> str:
        return "per" if self.map else "wer"

    @property
    def shown(self) -> list[str]:
        """The systems with a row of their own."""
        return [name for name, system in self.systems.items() if system.shown]


@dataclass(frozen=True)
class Results:
    """A report and its rows: all that its tables and pictures are drawn from (``results.json``)."""

    plan: Plan
    table: Measurements
    environment: dict[str, str]

    @property
    def title(self) -> str:
        return f"{self.plan.corpus} ({self.plan.variant})" if self.plan.variant else self.plan.corpus

    def write(self, path: Path) -> None:
        systems = {name: _changed(system) for name, system in self.plan.systems.items()}
        head = {**_changed(self.plan), "systems": systems, "environment": self.environment}
        rows = ",\n".join(f"  {json.dumps(row, ensure_ascii=False)}" for row in self.table.rows)
        text = json.dumps({**head, "measurements": []}, indent=1, ensure_ascii=False)
        write_text(path, text.removesuffix("[]\n}") + f"[\n{rows}\n ]\n}}\n")  # a row a line


def read_results(path: Path) -> Results:
    """results.json; raises UserError for any other file."""
    found = read_json(path)
    with reading(path, "make it with asrdistill report"):
        kinds = typing.get_type_hints(Measurement).values()
        table = [zip(row, kinds, strict=True) for row in found.pop("measurements")]
        rows = [Measurement(*(conform(cell, kind, str(path), "measurements") for cell, kind in row)) for row in table]
        environment = conform(found.pop("environment"), dict[str, str], str(path), "environment")
        systems = {name: build(System, values, str(path)) for name, values in found["systems"].items()}
    return Results(build(Plan, {**found, "systems": systems}, str(path)), Measurements(rows), environment)


def _changed(options: Any) -> dict[str, Any]:
    """The fields that do not stand at their defaults."""
    default = vars(type(options)())
    return {key: value for key, value in vars(options).items() if value != default[key]}


def read_plan(path: Path) -> Plan:
    """Read and check a report's YAML; raises UserError for anything that does not fit together."""
    plan = build(Plan, read_yaml(path), str(path))
    for key in ("corpus", "sets", "systems"):
        if not getattr(plan, key):
            raise UserError(f"{path} lacks '{key}'; add it")
    if wrong := [name for name, values in plan.systems.items() if not isinstance(values, dict)]:
        raise UserError(f"{path}: the system '{wrong[0]}' must be a mapping, such as {{models: [NAME]}}")
    systems = {name: build(System, values, f"{path}, system '{name}'") for name, values in plan.systems.items()}
    curves = {line: [[x, name] for x, name in points.items()] for line, points in plan.curves.items()}
    for _, name in [point for points in curves.values() for point in points]:
        systems.setdefault(name, System(shown=False))
    if unknown := [name for name in plan.pooled if name not in plan.sets]:
        raise UserError(f"{path}: the pooled set '{unknown[0]}' is not among the sets; add it there")
    for pair in [*plan.comparisons, *plan.ratios]:
        if not (isinstance(pair, list) and len(pair) == 2 and systems.keys() >= set(pair)):
            raise UserError(f"{path}: a comparison is a pair of its systems, not {pair!r}")
    folding = str(Path(path).parent / plan.map) if plan.map else ""
    return dataclasses.replace(plan, pooled=plan.pooled or plan.sets, systems=systems, curves=curves, map=folding)


def find_models(exp: Path, name: str, system: System, optional: bool = False) -> list[Path]:
    """The system's model folders, seed by seed (2 before 10); raises UserError if there is none."""
    own = re.compile(re.escape(name) + r"\.\d+")  # narrow_2.0, not narrow_2.5.0
    found = {p for pattern in system.models for p in exp.glob(pattern) if not p.name.startswith(".")}
    found |= set() if system.models else {p for p in exp.glob(f"{name}.*") if own.fullmatch(p.name)}
    folders = sorted((p for p in found if (p / "meta.json").is_file()), key=_natural)
    if not folders and not optional:
        patterns = " or ".join(system.models) or f"{name}.SEED"
        raise UserError(f"the system '{name}' has no model folder {patterns} in {exp}; run the stage that makes it")
    return folders


def _natural(path: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.as_posix())]
