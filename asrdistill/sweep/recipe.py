"""What a recipe made its own systems with: the starting point of all sweeps."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from asrdistill import stage
from asrdistill.config import build, option
from asrdistill.decode.options import DecodeOptions
from asrdistill.distill.options import StoreOptions
from asrdistill.errors import UserError
from asrdistill.files import read_json
from asrdistill.training.options import TrainOptions

T = TypeVar("T")


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
class Recipe:
    data: Path
    exp: Path
    lang: Path
    lm: Path
    layout: Layout
    teacher: TrainOptions
    student: TrainOptions
    store: StoreOptions
    seeds: list[int]  # of the teachers
    combine: str

    @property
    def made(self) -> Path:
        """Where everything that a sweep makes goes."""
        return self.exp / "sweeps"

    def features(self, name: str) -> Path:
        return self.data / self.layout.features / name

    def alignment(self, name: str) -> Path:
        return self.exp / self.layout.alignment / name

    def decoding(self, system: str) -> DecodeOptions:
        """Beams and scales that the recipe decoded its own system of this kind with."""
        name = {"ensemble": "ensemble", "student": f"student.{self.seeds[0]}"}.get(system, f"teacher.{self.seeds[0]}")
        return _made(self.exp / "decode" / name / self.layout.held_out, DecodeOptions)


def read_recipe(data: Path, exp: Path, lang: Path, lm: Path, layout: Layout) -> Recipe:
    """A recipe's systems from the folders that it made; raises UserError for one that is not there."""
    members = [Path(name).name for name in read_json(exp / "ensemble/meta.json")["members"]]
    seeds = [int(name.rpartition(".")[2]) for name in members]
    return Recipe(
        *(data, exp, lang, lm, layout),
        teacher=_made(exp / f"teacher.{seeds[0]}", TrainOptions),
        student=_made(exp / f"student.{seeds[0]}", TrainOptions),
        store=_made(exp / "targets", StoreOptions),
        seeds=seeds,
        combine=stage.marker(exp / "ensemble")["options"]["combine"],
    )


def _made(folder: Path, cls: type[T]) -> T:
    """The options that a folder was made with."""
    done: dict[str, Any] = stage.marker(folder)
    if not done:
        raise UserError(f"{folder} is not there; run the recipe's own stages before its sweeps")
    return build(cls, done["options"], str(folder / stage.MARKER))
