"""Measurements from an experiment folder: EXP/MODEL, tune/MODEL, decode/MODEL/SET and frames/MODEL/SET below it."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from asrdistill import stage
from asrdistill.errors import UserError, shorten
from asrdistill.hmm.senones import Senones
from asrdistill.lang.lexicon import Lang
from asrdistill.reader import read_json
from asrdistill.results.measurements import TABLE, Measurement, Measurements, append, read, rounded
from asrdistill.results.plan import SEARCHED, Plan, Results, System, find_models
from asrdistill.results.stages import describe_environment, describe_lms, read_markers, stage_costs
from asrdistill.scoring.significance import compare, interval
from asrdistill.scoring.transcripts import fold, oov_errors, read_map
from asrdistill.scoring.wer import Scores, Transcripts, concatenate, read_transcripts, score

SCALES = ("lm_weight", "insertion_penalty")


@dataclass(frozen=True)
class Folders:
    """Where things are; without `data` nothing is scored."""

    exp: Path
    data: Path | None = None  # made before the models; the sets are in DATA/corpus or DATA itself
    lang: Path | None = None  # that was decoded with; default: DATA/lang
    lm: Path | None = None  # default: DATA/lm


def corpus_of(folders: Folders, part: str) -> Path:
    """The data directory of a set."""
    data = folders.data or Path()
    return (data / "corpus" if (data / "corpus").is_dir() else data) / part


@dataclass
class Model:
    """A model folder of a system, its word errors, and what its table rows are called."""

    system: str
    folder: Path
    name: Path  # below EXP
    meta: dict[str, Any]
    scores: dict[str, Scores] = field(default_factory=dict)
    rows: list[Measurement] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.seed = str(self.meta.get("seed", self.folder.name))

    def add(self, measure: str, value: float | None, set: str = "", count: int = 1, source: Path | None = None) -> None:
        if value is not None:
            where = (source or self.name).as_posix()
            self.rows.append(Measurement(self.system, self.seed, set, measure, value, count, where))

    def measured(self, measure: str) -> list[str]:
        return [row.set for row in self.rows if row.measure == measure]


def collect(folders: Folders, plan: Plan) -> Results:
    """Measure all systems of the plan and append the rows to EXP/measurements.tsv; UserError for what does not fit."""
    collector = _Collector(folders, plan)
    systems: dict[str, list[Model]] = {}
    for name, system in plan.systems.items():
        if found := find_models(folders.exp, name, system, plan.optional):
            systems[name] = [collector.measure(name, folder) for folder in found]
            _check_system(name, systems[name], system.decoded)
    known = {name: plan.systems[name] for name in systems}
    plan = replace(plan, systems=known, comparisons=[pair for pair in plan.comparisons if known.keys() >= set(pair)])
    models = [model for found in systems.values() for model in found]
    markers = read_markers([path for path in (folders.data, folders.exp) if path])
    rows = [row for model in models for row in model.rows]
    _check_frames(rows, plan.sets)
    rows += list(_describe_sets(collector, rows))
    for name, seeds in systems.items():
        scored = [[part] for part in seeds[0].scores] + [plan.pooled] * (len(plan.pooled) > 1)
        for sets in [sets for sets in scored if seeds[0].scores.keys() >= set(sets)]:
            pooled = _pool(seeds, sets)
            low, high = interval(pooled)
            rows += _rows(name, " + ".join(sets), int(pooled[0].words.sum()), error_low=low, error_high=high)
    rows += [row for a, b in plan.comparisons for row in _compare(a, b, systems, plan)]
    for name, cost in stage_costs(markers).items():
        rows += _rows(name, "", stage_seconds=cost["seconds"], stage_peak_mb=cost["peak_mb"])
    rows += list(_gain_kept(Measurements(rows), plan))
    rows = list(map(rounded, rows))
    append(folders.exp / TABLE, rows)
    precisions = [model.meta.get("precision", "") for model in models]
    decoded = {plan.systems[model.system].decoded: model.name / name for model in models for name in model.scores}
    made = describe_environment(markers, precisions) | describe_lms(folders.exp, decoded)
    return Results(plan, Measurements(rows), made)


class _Collector:
    """What all models of a report are measured against: texts of the sets, the lexicon, a map of phones."""

    def __init__(self, folders: Folders, plan: Plan):
        self.folders, self.plan, self.exp = folders, plan, folders.exp
        self.map = read_map(Path(plan.map)) if plan.map else None
        self.known = Measurements(read(folders.exp / TABLE))
        self.texts: dict[str, Transcripts] = {}
        self.lexicon: set[str] = set()
        if folders.data:
            self.texts = {name: self._read(corpus_of(folders, name) / "text") for name in plan.sets}
            self.lexicon = set(Lang.read(folders.lang or folders.data / "lang").words)

    def _read(self, path: Path) -> Transcripts:
        return fold(read_transcripts(path), self.map, str(path)) if self.map else read_transcripts(path)

    def measure(self, system: str, folder: Path) -> Model:
        """A model with all its measurements that are there, and with its hypotheses in the folder `decoded`."""
        options: System = self.plan.systems[system]
        name = folder.relative_to(self.exp)
        model = Model(system, folder, name, _read_record(folder / "meta.json", "parameters"))
        for key in ("parameters", "updates"):
            model.add(key, model.meta.get(key))
        model.add("senones", Senones.read(folder).count)
        if "members" in model.meta:
            model.add("members", len(model.meta["members"]) + ("gmm" in model.meta))
        if "bias" in model.meta:
            model.add("offset", model.meta["bias"]["offset"])
        sequences = model.meta.get("loss") == "mmi"  # its outputs are no posteriors of frames
        for part in [] if sequences else [*self.plan.sets, *([self.plan.train] if self.plan.train else [])]:
            if (path := self.exp / "frames" / name / part / "frames.json").is_file():
                self._add_frames(model, path, part, options.phones)
        self._add_words(model, options)
        if options.targets:
            _add_store(model, self.exp / options.targets)
        if self.plan.speed:
            self._add_speed(model, options)
        return model

    def _add_frames(self, model: Model, path: Path, part: str, phones: Sequence[str]) -> None:
        record, source = _read_record(path, "frames", "correct", "cross_entropy"), path.parent.relative_to(self.exp)
        model.add("frame_accuracy", 100 * record["correct"] / record["frames"], part, record["frames"], source)
        model.add("cross_entropy", record["cross_entropy"], part, record["frames"], source)
        if phones:
            by_phone = record["phones"]
            if missing := [phone for phone in phones if phone not in by_phone]:
                raise UserError(f"{path}: no frame of {missing[0]} was evaluated; its phones are {' '.join(by_phone)}")
            frames, correct = (sum(by_phone[phone][key] for phone in phones) for key in ("frames", "correct"))
            model.add("phone_accuracy", 100 * correct / frames, part, frames, source)

    def _add_words(self, model: Model, options: System) -> None:
        """Word errors and the search's speed; all sets must be decoded with the same scales, the tuned ones if any."""
        tuned = self.exp / "tune" / model.name / "tuned.json"
        scales = _read_record(tuned, *SCALES) if options.decoded == SEARCHED and tuned.is_file() else None
        for part, text in self.texts.items():
            source = Path(options.decoded, model.name, part)
            folder = self.exp / source
            if not folder.is_dir():
                continue
            hypotheses = folder / "hyp.txt"
            words = self._read(hypotheses)
            scores = model.scores[part] = score(text, words, str(hypotheses))
            n = scores.total
            for key, errors in ((self.plan.measure, n.errors), ("ins", n.ins), ("del", n.dels), ("sub", n.subs)):
                model.add(key, 100 * errors / n.words, part, n.words, source)
            oov = oov_errors(text, words, self.lexicon)
            model.add("oov_wrong", oov["rate"], part, oov["words"], source)
            if (folder / "rescore.json").is_file():
                record = _read_record(folder / "rescore.json", *SCALES)
            else:
                record = _read_record(folder / "decode.json", *SCALES, "rtf", "seconds_of_speech")
                model.add("rtf", record["rtf"], part, max(1, round(record["seconds_of_speech"])), source)
            scales = scales or record
            for key in SCALES:
                if record[key] != scales[key]:
                    raise UserError(
                        f"{folder} was decoded with {key} {record[key]:g}, not {scales[key]:g}; decode it again"
                    )
        for key in SCALES if model.scores else ():
            model.add(key, (scales or {})[key])

    def _add_speed(self, model: Model, options: System) -> None:
        """Megabytes and frames/s on one core, float32 and 8-bit. A speed that the table has is not measured again."""
        forms = [("", model.folder / "model.safetensors")]
        forms += [("int8_", self.exp / options.int8 / "model.safetensors")] if options.int8 else []
        for prefix, path in forms:
            model.add(f"{prefix}mb", path.stat().st_size / 1e6 if path.is_file() else None)
            key = (model.system, model.seed, "", f"{prefix}frames_per_second")
            source = f"{path.parent.relative_to(self.exp)} {stage.marker(path.parent).get('hash', '')[:12]}".strip()
            found = [row for row in self.known.rows if row.key == key and row.source == source]
            if not found and path.is_file():
                from asrdistill.decode.acoustic import open_network
                from asrdistill.results.speed import frames_per_second

                found = [Measurement(*key, frames_per_second(open_network(path.parent)), 1, source)]
            model.rows += found
        model.add("look_ahead_ms", 1000 * model.meta["frame_shift"] * model.meta["options"]["right"])


def _add_store(model: Model, store: Path) -> None:
    """Bytes a frame of the soft targets that a student learnt from, and the mass kept at its temperature (percent)."""
    meta, temperature = read_json(store / "meta.json"), stage.marker(model.folder)["options"]["temperature"]
    sizes = [np.dtype(part["dtype"]).itemsize * math.prod(part["shape"]) for part in meta["parts"].values()]
    model.add("store_bytes", sum(sizes))
    model.add("kept_mass", 100 * meta["kept_mass"][meta["temperatures"].index(temperature)])


def _read_record(path: Path, *keys: str) -> dict[str, Any]:
    record = read_json(path)
    if missing := [key for key in keys if key not in record]:
        raise UserError(f"{path} lacks '{missing[0]}'; make {path.parent} again")
    return record


def _check_system(name: str, models: Sequence[Model], decoded: str) -> None:
    """The models of a system must differ in nothing but their seed, and be measured alike."""
    first = models[0]
    if decoded != SEARCHED and not first.scores:
        raise UserError(f"the system '{name}' has no hypotheses of {first.folder} in {decoded}; make them there")
    if not first.scores and not first.measured("frame_accuracy"):
        raise UserError(f"the system '{name}': {first.folder} was neither decoded nor evaluated; decode it")
    table = Measurements([row for model in models for row in model.rows])
    for what, tolerance in (("parameters", 0), ("updates", 0.01), ("senones", 0)):  # random chunks divide unevenly
        values = table.values(name, what)
        for model, value in zip(models, values, strict=False):
            if abs(value - values[0]) > tolerance * values[0]:
                raise UserError(
                    f"{first.folder} and {model.folder} differ in {what} ({values[0]:g}, {value:g}), not only in seed"
                )
    for model in models[1:]:
        for what in ("rtf", "wer", "per", "frame_accuracy"):
            if missing := sorted(set(first.measured(what)) ^ set(model.measured(what))):
                lacking = model if missing[0] in first.measured(what) else first
                raise UserError(
                    f"{lacking.folder} lacks {what} of {shorten(missing)}, unlike others of '{name}'; make it"
                )


def _check_frames(rows: Sequence[Measurement], sets: Sequence[str]) -> None:
    """All models must be evaluated on the same alignment of a set."""
    for part in sets:
        found = {row.count: row.source for row in rows if row.measure == "frame_accuracy" and row.set == part}
        if len(found) > 1:
            raise UserError(f"{shorten(found.values())} have {shorten(found)} frames of {part}; use one alignment")


def _rows(system: str, part: str, count: int = 1, **figures: float) -> list[Measurement]:
    return [Measurement(system, "", part, key, value, count) for key, value in figures.items()]


def _describe_sets(collector: _Collector, rows: Sequence[Measurement]) -> Iterator[Measurement]:
    """Size, words outside the lexicon and perplexity of each set; they belong to no system."""
    folders = collector.folders
    path = (folders.lm or (folders.data or folders.exp) / "lm") / "perplexity.json"
    perplexity = read_json(path) if path.is_file() else {}
    for name, text in collector.texts.items():
        words = [word for said in text.values() for word in said]
        oov = sum(word not in collector.lexicon for word in words)
        yield from _rows("", name, utterances=len(text), words=len(words), oov=oov)
        if found := perplexity.get(name):
            yield from _rows("", name, perplexity=found["perplexity"] if isinstance(found, dict) else found)
    for name, count in {row.set: row.count for row in rows if row.measure == "frame_accuracy"}.items():
        yield from _rows("", name, frames=count)


def _pool(models: Sequence[Model], sets: Sequence[str]) -> list[Scores]:
    return [concatenate([model.scores[part] for part in sets]) for model in models]


def _compare(a: str, b: str, systems: Mapping[str, list[Model]], plan: Plan) -> list[Measurement]:
    """Word errors of a less those of b on the pooled sets: points, 95 % interval and one-sided p (paired bootstrap)."""
    for name in (a, b):
        if missing := [part for part in plan.pooled if part not in systems[name][0].scores]:
            raise UserError(f"'{a}' cannot be compared with '{b}': decode {shorten(missing)} with '{name}'")
    found = compare(_pool(systems[a], plan.pooled), _pool(systems[b], plan.pooled))
    low, high = found.ci95
    return _rows(f"{a} − {b}", " + ".join(plan.pooled), difference=found.difference, low=low, high=high, p=found.p)


def _gain_kept(table: Measurements, plan: Plan) -> Iterator[Measurement]:
    """Shares of the ensemble's gain that the student keeps in frames and in words, in percent, for each of its seeds.

    See docs/distillation.md.
    """
    roles = ("student", "baseline" if "baseline" in plan.systems else "single", "ensemble", "single")
    alike = table.mean("single", "parameters") == table.mean("student", "parameters")
    for name, measure, sign in (("gain_kept", "frame_accuracy", 1), ("word_gain_kept", plan.measure, -1)):
        students, *others = [table.values(role, measure, *plan.pooled) for role in roles]
        if not all(others):
            continue
        baseline, ensemble, single = map(statistics.mean, others)
        gain = sign * (ensemble - (single if alike else baseline))
        for number, value in enumerate(students if gain > 0 else []):
            share = 100 * sign * (value - baseline) / gain
            yield Measurement("student", str(number), " + ".join(plan.pooled), name, share)
