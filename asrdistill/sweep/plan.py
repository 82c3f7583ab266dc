"""From settings to runs: each run is one call of the command that makes one folder.

A folder's name is decided by the settings that differ from the recipe's, so that equal systems of different sweeps are
one folder, and systems that are the recipe's own are the recipe's folders:

    EXP/teacher.0, EXP/ensemble, EXP/targets, EXP/student.0     the recipe's
    EXP/sweeps/teacher-data25.3                                  teacher 3 of a quarter of the utterances
    EXP/sweeps/ensemble-n2-geometric, targets-n2-geometric       two teachers, geometric mean
    EXP/sweeps/student-n2-geometric-t5.0                         its student at temperature 5, seed 0
    EXP/sweeps/frames/<model>/<set>, decode/<model>/<set>        as below EXP
"""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asrdistill.config import flags
from asrdistill.data.options import SubsetOptions
from asrdistill.distill.options import StoreOptions
from asrdistill.sweep.settings import Recipe, Settings
from asrdistill.sweep.spec import Sweep, cells, plain
from asrdistill.training.options import TrainOptions

PAPER_TEMPERATURES = (1.0, 2.0, 5.0, 10.0)  # a store for another temperature than the recipe's is made for all of these
NETWORK = ("layers", "width", "dropout", "learning_rate", "epochs", "early_stopping")
SOFT = ("temperature", "hard_weight", "rest", *NETWORK)
SHORT = {"temperature": "t", "hard_weight": "hard", "rest": "", "learning_rate": "lr", "early_stopping": "early"}


@dataclass(frozen=True)
class Run:
    """One call of the command: the folder that it makes, its arguments, the folders of other runs that it needs."""

    folder: Path
    arguments: tuple[str, ...]
    needs: tuple[Path, ...] = ()
    cores: int = 1


@dataclass(frozen=True)
class Model:
    """A network or ensemble, and the originals of the utterances that it has learnt from."""

    folder: Path
    learnt: Path  # alignment

    def beside(self, kind: str, name: str) -> Path:
        """The folder of what was measured with it on a set: of its frames, or decoded."""
        return self.folder.parent / kind / self.folder.name / name


@dataclass
class Plan:
    """The runs of one or several sweeps, each after those that it needs, equal ones once."""

    recipe: Recipe
    runs: dict[Path, Run] = field(default_factory=dict)

    def add(self, sweep: Sweep) -> None:
        """Everything that a sweep's results are collected from."""
        for cell in cells(sweep):
            for model in self.models(cell.settings, sweep.seeds):
                for name in sweep.sets:
                    self.evaluate(model, name, self.recipe.alignment(name))
                    if "wer" in sweep.measure:
                        self.decode(model, name, cell.settings.system)
                if "train" in sweep.measure:
                    self.evaluate(model, self.recipe.layout.train, model.learnt)

    def models(self, settings: Settings, seeds: Sequence[int]) -> list[Model]:
        """The models of a system, seed by seed; their runs are added."""
        if settings.system == "ensemble":
            return [self.ensemble(settings)]
        if settings.system == "single":
            return self.members(settings)
        first = self.recipe.seeds[0]
        make = self.student if settings.system == "student" else self.hard
        return [make(settings, first + seed) for seed in seeds]

    def hard(self, settings: Settings, seed: int) -> Model:
        """A network that learns from the alignment alone, by the recipe's options of a teacher."""
        percent = min(settings.data, settings.labelled)
        options, parts = self._options(self.recipe.teacher, settings, NETWORK, percent, seed)
        return self._train("teacher", [*_part("data", percent), *parts], options, self.learnt(percent))

    def members(self, settings: Settings) -> list[Model]:
        """The teachers of a student: networks of the recipe's size that have seen what is labelled, or parts of it."""
        labelled, saw, first = settings.labelled, settings.saw, self.recipe.seeds[0]
        found = []
        for seed in range(first, first + self._count(settings)):
            options, _ = self._options(self.recipe.teacher, Settings(), (), labelled * saw / 100, seed)
            part = self.learnt(labelled, saw, seed)
            found.append(self._train("teacher", [*_part("data", labelled), *_part("saw", saw)], options, part))
        return found

    def ensemble(self, settings: Settings) -> Model:
        parts, combine = self._ensemble_parts(settings), settings.combine or self.recipe.combine
        members = [model.folder for model in self.members(settings)]
        folder = self._folder("ensemble", parts)
        self._run(folder, ["ensemble", *members, folder, "--combine", combine], members)
        return Model(folder, self.learnt(settings.labelled))

    def store(self, settings: Settings) -> tuple[Path, list[str]]:
        """The soft targets that a student with these settings learns from, and what of its name they decide."""
        base = self.recipe.store
        temperature = self.recipe.student.temperature if settings.temperature is None else settings.temperature
        keep = base.keep if settings.keep is None else settings.keep
        temperatures = list(base.temperatures)
        if temperature not in temperatures:
            temperatures = sorted({*temperatures, *PAPER_TEMPERATURES, temperature})
        parts = self._ensemble_parts(settings)
        parts += [*([f"k{keep}"] if keep != base.keep else []), *(["unseen"] if settings.unseen else [])]
        shown = [f"t{'_'.join(map(plain, temperatures))}"] if temperatures != base.temperatures else []
        ensemble = self.ensemble(settings).folder
        folder = self._folder("targets", [*parts, *shown])
        options = flags(StoreOptions(keep, temperatures))
        features = self.recipe.features(self.recipe.layout.heard)
        asked = self.members(settings) if settings.unseen else []
        learnt = [self._heard(member.learnt) for member in asked]
        arguments = ["soft-targets", ensemble, features, folder, *options, "--jobs", 1]
        self._run(folder, [*arguments, *(["--unseen", *learnt] if learnt else [])], [ensemble, *learnt])
        return folder, parts

    def student(self, settings: Settings, seed: int) -> Model:
        store, parts = self.store(settings)
        labelled = settings.labelled
        everything = settings.transfer == "all"
        percent = settings.data if everything else min(settings.data, labelled)
        known = labelled if everything and labelled < 100 else percent
        options, own = self._options(self.recipe.student, settings, SOFT, percent, seed)
        options = dataclasses.replace(options, unlabelled=known < percent)
        parts = [*parts, *_part("learnt", percent), *own]
        learnt = self.recipe.alignment(self.recipe.layout.train) if known < percent else self.learnt(known)
        return self._train("student", parts, options, learnt, store, self.learnt(known))

    def evaluate(self, model: Model, name: str, alignment: Path) -> None:
        out = model.beside("frames", name)
        needs = [model.folder, alignment]
        self._run(out, ["evaluate", model.folder, self.recipe.features(name), alignment, out, "--jobs", 1], needs)

    def decode(self, model: Model, name: str, system: str) -> None:
        out, recipe = model.beside("decode", name), self.recipe
        arguments = ["decode", model.folder, recipe.features(name), recipe.lang, recipe.lm, out]
        self._run(out, [*arguments, *flags(recipe.decoding(system)), "--jobs", 1], [model.folder])

    def learnt(self, percent: float, saw: float = 100, seed: int = 0) -> Path:
        """Alignment of a random share of the training utterances; of a share of that, drawn by its viewer's seed."""
        whole = self.recipe.alignment(self.recipe.layout.train)
        share = self._subset(whole, [*_part("data", percent)], percent, 0)
        return self._subset(share, [*_part("data", percent), *_part("saw", saw), str(seed)], saw, seed + 1)

    def _subset(self, alignment: Path, parts: Sequence[str], percent: float, seed: int) -> Path:
        if percent == 100:
            return alignment
        out = self.recipe.made / "ali" / "-".join([self.recipe.layout.train, *parts])
        self._run(out, ["subset", alignment, out, *flags(SubsetOptions(percent=percent, seed=seed))], [alignment])
        return out

    def _heard(self, learnt: Path) -> Path:
        """The alignment of the utterances that an alignment has, and of their copies if those are learnt from."""
        layout = self.recipe.layout
        if layout.heard == layout.train:
            return learnt
        if learnt == self.recipe.alignment(layout.train):
            return self.recipe.alignment(layout.heard)
        out = learnt.with_name(f"{learnt.name}-copies")
        self._run(out, ["copies", learnt, self.recipe.features(layout.heard), out], [learnt])
        return out

    def _train(
        self,
        kind: str,
        parts: Sequence[str],
        options: TrainOptions,
        learnt: Path,
        store: Path | None = None,
        labelled: Path | None = None,
    ) -> Model:
        """`labelled` is the alignment that is learnt from beside soft targets, where it is not that of all `learnt`."""
        layout, seed = self.recipe.layout, options.seed
        ours = bool(parts) or (kind == "teacher" and seed not in self.recipe.seeds)
        folder = (self.recipe.made if ours else self.recipe.exp) / f"{'-'.join([kind, *parts])}.{seed}"
        if ours:  # side by side with others
            options = dataclasses.replace(options, threads=1)
        heard = self._heard(labelled or learnt)
        held_out = (self.recipe.features(layout.held_out), self.recipe.alignment(layout.held_out))
        soft = ["--soft-targets", store] if store else []
        arguments = ["train", self.recipe.features(layout.heard), heard, folder, *flags(options), *soft]
        needs = [heard, *([store] if store else [])]
        self._run(folder, [*arguments, "--held-out", *held_out], needs, options.threads)
        return Model(folder, learnt)

    def _options(
        self, base: TrainOptions, settings: Settings, names: Iterable[str], percent: float, seed: int
    ) -> tuple[TrainOptions, list[str]]:
        """The options of a network that learns from so many percent of the utterances; what of its name they decide."""
        wanted = {name: getattr(settings, name) for name in names}
        changed = {k: v for k, v in wanted.items() if v is not None and v != getattr(base, k)}
        epochs = max(1, round(changed.get("epochs", base.epochs) * 100 / percent))
        named = [SHORT.get(key, key) + ("" if value is True else plain(value)) for key, value in changed.items()]
        return dataclasses.replace(base, **{**changed, "epochs": epochs, "seed": seed}), named

    def _ensemble_parts(self, settings: Settings) -> list[str]:
        count, combine = self._count(settings), settings.combine or self.recipe.combine
        parts = [f"n{count}"] if count != len(self.recipe.seeds) else []
        parts += [combine] if combine != self.recipe.combine else []
        return [*parts, *_part("data", settings.labelled), *_part("saw", settings.saw)]

    def _count(self, settings: Settings) -> int:
        return settings.teachers or len(self.recipe.seeds)

    def _folder(self, kind: str, parts: Sequence[str]) -> Path:
        """The recipe's folder where nothing differs from it."""
        return self.recipe.made / "-".join([kind, *parts]) if parts else self.recipe.exp / kind

    def _run(self, folder: Path, arguments: Sequence[Any], needs: Sequence[Path], cores: int = 1) -> None:
        made = tuple(path for path in dict.fromkeys(needs) if path in self.runs)
        run = Run(folder, tuple(map(str, arguments)), made, cores)
        if self.runs.setdefault(folder, run) != run:
            raise AssertionError(f"{folder} would be made in two ways: {run.arguments}, {self.runs[folder].arguments}")


def _part(name: str, percent: float) -> list[str]:
    return [f"{name}{plain(percent)}"] if percent != 100 else []


def make_plan(recipe: Recipe, sweeps: Iterable[Sweep]) -> Plan:
    """The runs of several sweeps."""
    plan = Plan(recipe)
    for sweep in sweeps:
        plan.add(sweep)
    return plan
