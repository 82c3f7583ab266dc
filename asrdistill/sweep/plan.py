"""From settings to runs: each run is one call of a package function that makes one folder.

A folder is named by the settings that differ from the recipe's: equal systems of sweeps are one (docs/distillation.md).
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from asrdistill import stage
from asrdistill.config import build
from asrdistill.data.archive import FrameArchive
from asrdistill.data.options import SubsetOptions
from asrdistill.data.subset import select_rows, write_rows
from asrdistill.decode.corpus import decode_archive, load, recognisers
from asrdistill.decode.graph import graph_folder
from asrdistill.decode.options import DecodeOptions
from asrdistill.distill.options import StoreOptions
from asrdistill.distill.store import make_store
from asrdistill.distill.train import train_model
from asrdistill.errors import UserError
from asrdistill.features.perturb import expand_to_copies
from asrdistill.models.io import save_ensemble
from asrdistill.reader import read_json
from asrdistill.scoring.frames import evaluate
from asrdistill.sweep.spec import Layout, Settings, Sweep, plain
from asrdistill.training.options import TrainOptions

T = TypeVar("T")

PAPER_TEMPERATURES = (1.0, 2.0, 5.0, 10.0)  # a store for another temperature than the recipe's is made for all of these
SOFT = ("temperature", "hard_weight", "tail_mode")  # options that only a student has
SHORT = {"temperature": "t", "hard_weight": "hard", "tail_mode": "", "learning_rate": "lr", "early_stopping": "early"}


@dataclass(frozen=True)
class Run:
    """One call of :func:`asrdistill.stage.make`, after the runs that make its inputs."""

    out: Path
    work: Callable[[Path], object] = field(compare=False)
    verb: str
    options: Any
    inputs: tuple[Path, ...]

    def __str__(self) -> str:
        return f"{self.verb}: {' '.join(map(str, self.inputs))} -> {self.out}"


class Model(NamedTuple):
    """A network or ensemble, and the alignment of the original utterances that it learnt from."""

    folder: Path
    learnt: Path


@dataclass
class Plan:
    """The runs of one or several sweeps, each after those that it needs, equal ones once.

    All start from a recipe's DATA and EXP, by the options in the markers. Raises UserError for a missing folder.
    """

    data: Path
    exp: Path
    lang: Path
    lm: Path
    layout: Layout
    runs: dict[Path, Run] = field(default_factory=dict)

    def __post_init__(self) -> None:
        meta = read_json(self.exp / "ensemble/meta.json")
        self.seeds = [int(name.rpartition(".")[2]) for name in meta["members"]]  # of the recipe's teachers
        self.combine: str = meta["combine"]
        self.teacher = _made(self.exp / f"teacher.{self.seeds[0]}", TrainOptions)
        self.own_student = _made(self.exp / f"student.{self.seeds[0]}", TrainOptions)
        self.own_store = _made(self.exp / "targets", StoreOptions)
        self.made = self.exp / "sweeps"
        self.learn_from = self.features(self.layout.heard)
        self.whole = self.alignment(self.layout.train)

    def features(self, name: str) -> Path:
        return self.data / self.layout.features / name

    def alignment(self, name: str) -> Path:
        return self.exp / self.layout.alignment / name

    def add(self, sweep: Sweep) -> None:
        """Everything that a sweep's results are collected from."""
        for cell in sweep.cells():
            for model in self.models(cell.settings, sweep.seeds):
                name = model.folder.relative_to(self.exp)
                on = {part: self.alignment(part) for part in sweep.sets}
                on |= {self.layout.train: model.learnt} if "train" in sweep.measure else {}
                for part, alignment in on.items():
                    out, inputs = self.exp / "frames" / name / part, (model.folder, self.features(part), alignment)
                    self._run(out, partial(evaluate, *inputs, jobs=1), "nnet evaluate", {}, *inputs)
                for part in sweep.sets if "wer" in sweep.measure else ():
                    known = {"ensemble": "ensemble", "student": f"student.{self.seeds[0]}"}
                    like = known.get(cell.settings.system, f"teacher.{self.seeds[0]}")
                    options = _made(self.exp / "decode" / like / self.layout.held_out, DecodeOptions)
                    needs = (model.folder, self.features(part), self.lang, self.lm)
                    work = partial(_decode, *needs, options)
                    self._run(self.exp / "decode" / name / part, work, "decode run", options, *needs)

    def models(self, settings: Settings, seeds: Sequence[int]) -> list[Model]:
        """The models of a system, seed by seed; their runs are added."""
        if settings.system == "ensemble":
            return [self.ensemble(settings)]
        if settings.system == "single":
            return self.members(settings)
        make = self.student if settings.system == "student" else self.hard
        return [make(settings, self.seeds[0] + seed) for seed in seeds]

    def hard(self, settings: Settings, seed: int) -> Model:
        """A network that learns from the alignment alone, by the recipe's options of a teacher."""
        percent = min(settings.data, settings.labelled)
        options, parts = _options(self.teacher, settings.network, percent, seed, SOFT)
        return self._train("teacher", [*_parts(("data", percent, 100)), *parts], options, self.learnt(percent))

    def members(self, settings: Settings) -> list[Model]:
        """The teachers of a student: networks of the recipe's size that learn from what is labelled, or parts of it."""
        labelled, saw, first = settings.labelled, settings.saw, self.seeds[0]
        parts, found = _parts(("data", labelled, 100), ("saw", saw, 100)), []
        for seed in range(first, first + (settings.teachers or len(self.seeds))):
            options, _ = _options(self.teacher, {}, labelled * saw / 100, seed)
            found.append(self._train("teacher", parts, options, self.learnt(labelled, saw, seed)))
        return found

    def ensemble(self, settings: Settings) -> Model:
        members = [model.folder for model in self.members(settings)]
        folder, how = self._folder("ensemble", self._ensemble_parts(settings)), settings.combine or self.combine
        self._run(folder, partial(save_ensemble, members=members, how=how), "nnet ensemble", {"combine": how}, *members)
        return Model(folder, self.learnt(settings.labelled))

    def store(self, settings: Settings) -> tuple[Path, list[str]]:
        """The soft targets that a student with these settings learns from, and the parts of its name they decide."""
        base = self.own_store
        temperature = settings.network.get("temperature", self.own_student.temperature)
        keep = base.keep if settings.keep is None else settings.keep
        temperatures, shown = list(base.temperatures), []
        if temperature not in temperatures:
            temperatures = sorted({*temperatures, *PAPER_TEMPERATURES, temperature})
            shown = [f"t{'_'.join(map(plain, temperatures))}"]
        parts = [*self._ensemble_parts(settings), *_parts(("k", keep, base.keep)), *["unseen"] * settings.unseen]
        folder = self._folder("targets", [*parts, *shown])
        unseen = [self._with_copies(m.learnt) for m in self.members(settings)] if settings.unseen else []
        inputs = (self.ensemble(settings).folder, self.learn_from)
        options = StoreOptions(keep, temperatures)
        work = partial(make_store, *inputs, options=options, jobs=1, train_alignments=unseen)
        self._run(folder, work, "distill targets", options, *inputs, *unseen)
        return folder, parts

    def student(self, settings: Settings, seed: int) -> Model:
        store, parts = self.store(settings)
        labelled, everything = settings.labelled, settings.transfer == "all"
        percent = settings.data if everything else min(settings.data, labelled)
        known = labelled if everything and labelled < 100 else percent
        options, own = _options(self.own_student, settings.network, percent, seed)
        options = dataclasses.replace(options, unlabelled=known < percent)
        parts += [*_parts(("learnt", percent, 100)), *own]
        model = self._train("student", parts, options, self.learnt(known), store)
        return model._replace(learnt=self.whole) if known < percent else model

    def learnt(self, percent: float, saw: float = 100, seed: int = 0) -> Path:
        """Alignment of a random part of the training utterances; of a part of that, drawn by its viewer's seed."""
        found, parts = self.whole, [self.layout.train]
        for name, share, drawn_by, own in (("data", percent, 0, []), ("saw", saw, seed + 1, [str(seed)])):
            if share < 100:
                options = SubsetOptions(percent=share, seed=drawn_by)
                parts += [f"{name}{plain(share)}", *own]
                whole, found = found, self.made / "ali" / "-".join(parts)
                self._run(found, partial(_subset, whole, options), "data subset", options, whole)
        return found

    def _with_copies(self, learnt: Path) -> Path:
        """The alignment of the utterances that an alignment has, and of their copies if those are learnt from."""
        if self.layout.heard == self.layout.train:
            return learnt
        if learnt == self.whole:
            return self.alignment(self.layout.heard)
        out = learnt.with_name(f"{learnt.name}-copies")
        inputs = (learnt, self.learn_from)
        self._run(out, partial(expand_to_copies, *inputs), "ali expand", {}, *inputs)
        return out

    def _train(
        self, kind: str, parts: Sequence[str], options: TrainOptions, learnt: Path, store: Path | None = None
    ) -> Model:
        layout, seed = self.layout, options.seed
        ours = bool(parts) or (kind == "teacher" and seed not in self.seeds)
        folder = (self.made if ours else self.exp) / f"{'-'.join([kind, *parts])}.{seed}"
        options = dataclasses.replace(options, threads=1) if ours else options
        inputs = (self.learn_from, self._with_copies(learnt))
        held_out = (self.features(layout.held_out), self.alignment(layout.held_out))
        work = partial(train_model, *inputs, store, held_out, options)
        self._run(folder, work, "nnet train", options, *inputs, *([store] if store else []), *held_out)
        return Model(folder, learnt)

    def _ensemble_parts(self, settings: Settings) -> list[str]:
        mean = ("", settings.combine, self.combine)
        drawn = (("data", settings.labelled, 100), ("saw", settings.saw, 100))
        return _parts(("n", settings.teachers, len(self.seeds)), mean, *drawn)

    def _folder(self, kind: str, parts: Sequence[str]) -> Path:
        """The recipe's folder where nothing differs from it."""
        return self.made / "-".join([kind, *parts]) if parts else self.exp / kind

    def _run(self, out: Path, work: Callable[[Path], object], verb: str, options: Any, *inputs: Path) -> None:
        run = Run(out, work, verb, options, inputs)
        if self.runs.setdefault(out, run) != run:
            raise AssertionError(f"{out} would be made in two ways: {run}; {self.runs[out]}")


def _made(folder: Path, cls: type[T]) -> T:
    """The options that a folder was made with."""
    done: dict[str, Any] = stage.marker(folder)
    if not done:
        raise UserError(f"{folder} is not there; run the recipe's own stages before its sweeps")
    return build(cls, done["options"], str(folder / stage.MARKER))


def _subset(archive: Path, options: SubsetOptions, out: Path) -> None:
    whole = FrameArchive(archive)
    write_rows(whole, out, select_rows(whole, options))


def _decode(model: Path, features: Path, lang: Path, lm: Path, options: DecodeOptions, out: Path) -> None:
    with graph_folder(None, out) as graph:
        archives, decoder = load(model, [features], lang, lm, options, graph)
        with recognisers(model, decoder, 1) as workers:
            decode_archive(archives[0], decoder, out, workers)


def _options(
    base: TrainOptions, network: dict[str, Any], percent: float, seed: int, without: Sequence[str] = ()
) -> tuple[TrainOptions, list[str]]:
    """The options of a network that learns from that percentage of the utterances; the parts of its name."""
    changed = {key: value for key, value in network.items() if key not in without and value != getattr(base, key)}
    epochs = max(1, round(changed.get("epochs", base.epochs) * 100 / percent))
    named = [SHORT.get(key, key) + ("" if value is True else plain(value)) for key, value in changed.items()]
    return dataclasses.replace(base, **{**changed, "epochs": epochs, "seed": seed}), named


def _parts(*named: tuple[str, Any, Any]) -> list[str]:
    """NAMEVALUE of each (name, value, usual value) where the value is given and not the usual one."""
    return [f"{name}{plain(value)}" for name, value, usual in named if value not in (None, usual)]
