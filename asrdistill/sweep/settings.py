"""What a measured system is made with, and what the recipe made its own with."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from asrdistill import stage
from asrdistill.config import build, option
from asrdistill.decode.options import DecodeOptions
from asrdistill.distill.options import StoreOptions
from asrdistill.errors import UserError
from asrdistill.files import read_json
from asrdistill.models.options import COMBINATIONS
from asrdistill.training.options import RESTS, TrainOptions

T = TypeVar("T")

SYSTEMS = ("student", "hard", "single", "ensemble")


@dataclass(frozen=True)
class Settings:
    """One system. What is None is as the recipe has it.

    student   learns from soft targets, one network a seed
    hard      the same network on the alignment alone, with the recipe's options of a teacher, one a seed
    single    the ensemble's members, of which the mean is taken
    ensemble  the members together

    The options of the network (layers, …) are those of `student` and `hard`; teachers are the recipe's. A network that
    has seen a share of the utterances has made as many updates as one that has seen all: more epochs of fewer frames.
    """

    system: str = option("student", "what it is", SYSTEMS)
    teachers: int | None = option(None, "members of the ensemble, with the seeds from the recipe's first on")
    combine: str | None = option(None, "mean of the members' distributions", COMBINATIONS)
    saw: float = option(100.0, "percent of the utterances that each teacher has seen, drawn by its seed")
    labelled: float = option(100.0, "percent of the utterances whose transcripts are known, to anyone")
    transfer: str = option(
        "all", "what a student learns from: all utterances, or those with transcripts", ("all", "labelled")
    )
    data: float = option(100.0, "percent of the utterances that student or hard learn from")
    unseen: bool = option(False, "of an utterance only those teachers speak that have not learnt from it")
    keep: int | None = option(None, "senones kept a frame")
    rest: str | None = option(None, "what becomes of the mass outside of them", RESTS)
    temperature: float | None = option(None, "of the soft targets")
    hard_weight: float | None = option(None, "of the hard targets beside them")
    layers: int | None = option(None, "hidden layers")
    width: int | None = option(None, "units in a hidden layer")
    dropout: float | None = option(None, "share of hidden units that are dropped in training")
    learning_rate: float | None = option(None, "peak learning rate")
    epochs: int | None = option(None, "passes over all utterances that its updates are as many as")
    early_stopping: bool = option(False, "keep the weights of the epoch that was best on held-out data")

    def check(self, source: str) -> None:
        """Raise UserError for numbers that mean nothing."""
        for name in ("saw", "labelled", "data"):
            if not 0 < getattr(self, name) <= 100:
                raise UserError(f"'{name}' in {source} is a percentage above 0, not {getattr(self, name):g}")
        for name in ("teachers", "layers", "width", "epochs"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise UserError(f"'{name}' in {source} must be at least 1, not {value}")
        if self.unseen and self.saw == 100:
            raise UserError(f"{source}: every teacher has seen all there is; 'unseen' wants 'saw' below 100")
        if self.system == "student" and self.transfer == "all" and self.labelled < 100 and self.data < 100:
            raise UserError(
                f"{source}: a student learns from all utterances, or from a share of those that have transcripts "
                "(transfer: labelled), not from a share of all where some have none"
            )


@dataclass(frozen=True)
class Layout:
    """Where a recipe keeps what its networks are made of; a folder is followed by the name of a set."""

    features: str = option("fbank", "folder below DATA with the features of each set")
    alignment: str = option("ali/sat", "folder below EXP with the alignment of each set")
    train: str = option("train", "the set with the training utterances, each once")
    heard: str = option("train_copies", "the set that networks learn from: those and copies of them")
    held_out: str = option("dev", "the set on which the training's progress is measured")
    map: str = option("", "file that folds phones before they are scored, where phones are recognised")


@dataclass(frozen=True)
class Recipe:
    """What a recipe has made, as its folders say: the starting point of all sweeps."""

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
    student = _made(exp / f"student.{seeds[0]}", TrainOptions)
    return Recipe(
        *(data, exp, lang, lm, layout),
        teacher=_made(exp / f"teacher.{seeds[0]}", TrainOptions),
        student=student,
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
