"""Which systems an experiment compares: the recipe's ``systems.yaml``.

corpus: Flight of the Amazon Queen
note: a sentence on the corpus                # optional, for RESULTS.md
sets: [dev, test, test_unseen]
pooled: [dev, test, test_unseen]      # for comparisons and the share of the gain; default: all sets
systems:
  mono:     {kind: gmm, models: [mono]}
  single:   {kind: single, models: ["teacher.*"]}
  ensemble: {kind: ensemble, models: [ensemble]}
  student:  {kind: student, models: ["student.*"]}
  student_fglarge: {kind: student, models: ["student.*"], decoded: rescore}   # EXP/rescore/student.0/test
comparisons: [[student, single], [student, ensemble], [student_fglarge, student]]
map: ../../../data/timit_phones.txt   # where phones are recognised: how they are folded before they are scored
"""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from asrdistill.config import build, option, read_yaml
from asrdistill.errors import UserError

KINDS = ("gmm", "single", "ensemble", "baseline", "student", "specialists")


SEARCHED = "decode"  # where the recipes decode to


@dataclass(frozen=True)
class System:
    kind: str = option("single", "what the system is", choices=KINDS)
    models: list[str] = field(default_factory=list)  # patterns of model folders below EXP, one folder a seed
    decoded: str = option(SEARCHED, "folder below EXP with the hypotheses")  # of another search, or of rescoring


@dataclass(frozen=True)
class Plan:
    corpus: str = ""
    note: str = ""
    sets: list[str] = field(default_factory=list)
    pooled: list[str] = field(default_factory=list)
    systems: dict[str, Any] = field(default_factory=dict)
    comparisons: list[list[str]] = field(default_factory=list)
    map: str = ""

    @property
    def measure(self) -> str:
        """Which error rate it is: of words, or of phones, which are folded by a map."""
        return "per" if self.map else "wer"


def read_plan(path: Path) -> Plan:
    """Read and check systems.yaml; raises UserError for anything that does not fit together.

    Where there is no baseline, the ensemble's members (`single`) are it: trained as the student
    was, but on hard targets.
    """
    plan = build(Plan, read_yaml(path), str(path))
    for key in ("corpus", "sets", "systems"):
        if not getattr(plan, key):
            raise UserError(f"{path} lacks '{key}'")
    systems = {name: _system(name, values, path) for name, values in plan.systems.items()}
    if "single" in systems and "baseline" not in systems:
        systems["baseline"] = replace(systems["single"], kind="baseline")
    if unknown := [name for name in plan.pooled if name not in plan.sets]:
        raise UserError(f"{path}: the pooled set '{unknown[0]}' is not among the sets")
    for pair in plan.comparisons:
        if not (isinstance(pair, list) and len(pair) == 2):
            raise UserError(f"{path}: a comparison is a pair of systems, not {pair!r}")
        if unknown := [name for name in pair if name not in systems]:
            raise UserError(f"{path} compares the system '{unknown[0]}', which it does not define")
    folding = str(Path(path).parent / plan.map) if plan.map else ""
    return replace(plan, pooled=plan.pooled or plan.sets, systems=systems, map=folding)


def _system(name: str, values: Any, path: Path) -> System:
    if not isinstance(values, dict):
        raise UserError(f"{path}: the system '{name}' must have a kind and models")
    system = build(System, values, f"{path}, system '{name}'")
    if not system.models:
        raise UserError(f"{path}: the system '{name}' names no models")
    return system


def find_models(exp: Path, name: str, system: System) -> list[Path]:
    """The system's model folders, seed by seed (2 before 10)."""
    found = {p for pattern in system.models for p in exp.glob(pattern) if not p.name.startswith(".")}
    folders = sorted((p for p in found if (p / "meta.json").is_file()), key=_natural)
    if not folders:
        patterns = " or ".join(system.models)
        raise UserError(f"the system '{name}' has no model folder {patterns} in {exp}; run the stage that makes it")
    return folders


def _natural(path: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.as_posix())]
