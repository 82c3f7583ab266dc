"""A sweep's YAML file; docs/distillation.md has an example."""

import itertools
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from asrdistill.config import build, option
from asrdistill.errors import UserError
from asrdistill.models.options import COMBINATIONS
from asrdistill.reader import read_yaml
from asrdistill.training.options import TrainOptions

SYSTEMS = ("student", "hard", "single", "ensemble")
MEASURES = ("frames", "wer", "train")


@dataclass(frozen=True)
class Layout:
    """Where a recipe keeps what its networks are made of; a folder is followed by the name of a set."""

    features: str = option("fbank", "folder below DATA with the features of each set")
    alignment: str = option("ali/sat", "folder below EXP with the alignment of each set")
    train: str = option("train", "set with the training utterances, each once")
    heard: str = option("train_copies", "set that networks learn from: train and its perturbed copies")
    held_out: str = option("dev", "set on which the training's progress is measured")
    map: str = option("", "file that folds phones before they are scored, where phones are recognised")


@dataclass(frozen=True)
class Settings:
    """One system; None stands for the recipe's value."""

    system: str = option("student", "what it is", SYSTEMS)
    teachers: int | None = None  # members of the ensemble, with the seeds from the recipe's first on
    combine: str | None = option(None, "mean of the members' distributions", COMBINATIONS)
    saw: float = 100.0  # percent of the utterances that each teacher learns from, drawn by its seed
    labelled: float = 100.0  # percent of the utterances with known transcripts
    transfer: str = option("all", "transfer set: all utterances, or those with transcripts", ("all", "labelled"))
    data: float = 100.0  # percent of the utterances that student or hard learn from
    unseen: bool = False  # take targets of an utterance from teachers that have not learnt from it
    keep: int | None = None  # senones kept a frame
    network: dict[str, Any] = field(default_factory=dict)  # training options of student and hard

    def __post_init__(self) -> None:
        for name in ("saw", "labelled", "data"):
            if not 0 < getattr(self, name) <= 100:
                raise UserError(f"'{name}' must be a percentage above 0, not {getattr(self, name):g}")
        if self.teachers is not None and self.teachers < 1:
            raise UserError(f"'teachers' must be at least 1, not {self.teachers}")
        if self.unseen and self.saw == 100:
            raise UserError("'unseen' needs 'saw' below 100")
        if self.system == "student" and self.transfer == "all" and self.labelled < 100 and self.data < 100:
            raise UserError("'data' with 'labelled' below 100 needs 'transfer: labelled'")


def settings_of(values: dict[str, Any], source: str) -> Settings:
    """Settings from one mapping of them and of training options; raises UserError for other keys and values."""
    own = [f.name for f in fields(Settings)]
    network = {key: value for key, value in values.items() if not get_close_matches(key, own, 1, 0.8)}
    options = build(TrainOptions, network, source)
    checked = {f.name: getattr(options, f.name) for f in fields(TrainOptions) if f.name in network}
    try:
        rest = {key: value for key, value in values.items() if key not in network}
        return build(Settings, {**rest, "network": checked}, source)
    except UserError as error:
        raise UserError(str(error) if source in str(error) else f"{source}: {error}") from None


class Cell(NamedTuple):
    """One system of a sweep: a row at a point."""

    row: str
    point: dict[str, Any]
    settings: Settings

    @property
    def key(self) -> str:
        """The system's name in the results: "student, temperature 2"."""
        return label(self.row, self.point)


def label(row: str, point: dict[str, Any]) -> str:
    return ", ".join([row, *(f"{name} {plain(value)}" for name, value in point.items())])


def plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Sweep:
    name: str = ""  # of the file
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

    def cells(self) -> list[Cell]:
        """All systems, point by point; raises UserError for settings that make no sense."""
        found = []
        for values in itertools.product(*self.vary.values()):
            point = dict(zip(self.vary, values, strict=True))
            for row, own in self.rows.items():
                where = f"{self.name}.yaml, row '{row}'"
                if not isinstance(own or {}, dict):
                    raise UserError(f"settings in {where} must be 'setting: value' pairs, not {own!r}")
                joined = {**self.base, **point, **(own or {})}
                if point[self.x] in joined.pop("only", self.vary[self.x]):
                    found.append(Cell(row, point, settings_of(joined, where)))
        return found


def read_sweep(path: Path, quick: bool = False, seeds: int | None = None) -> Sweep:
    """Read and check a sweep, with seeds 0 to `seeds` - 1 if given; raises UserError for what does not fit."""
    values = read_yaml(path)
    reduced = values.pop("quick", {})
    if not isinstance(reduced, dict):
        raise UserError(f"'quick' in {path} must have the keys that --quick replaces")
    values |= (reduced if quick else {}) | ({"seeds": list(range(seeds))} if seeds else {})
    sweep = build(Sweep, {"title": path.stem, **values, "name": path.stem}, str(path))
    if not sweep.vary:
        raise UserError(f"{path} lacks 'vary': the settings that vary, each with its values")
    for name, listed in {**sweep.vary, "seeds": sweep.seeds, "sets": sweep.sets, "pooled": sweep.pooled}.items():
        if not isinstance(listed, list) or not listed:
            raise UserError(f"'{name}' in {path} must be a list of at least one value, not {listed!r}")
    named = {"measure": (sweep.measure, MEASURES), "pooled": (sweep.pooled, sweep.sets)}
    named["compare"] = ([name for pair in sweep.compare for name in pair], list(sweep.rows))
    for key, (names, known) in named.items():
        if unknown := [name for name in names if name not in known]:
            raise UserError(f"'{key}' in {path} names '{unknown[0]}'; known are {', '.join(known)}")
    sweep.cells()
    return sweep
