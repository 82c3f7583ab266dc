"""Collect ``results.json`` from an experiment folder.

    EXP/<model>/                  meta.json, senones.json
    EXP/tune/<model>/             tuned.json
    EXP/decode/<model>/<set>/     hyp.txt, decode.json (or rescore.json)
    EXP/frames/<model>/<set>/     frames.json
    CORPUS/<set>/text
    LM/perplexity.json            where its maker left one

A system is one model or several that differ only in their seed, as decoded in one way. Its word errors are summed over
the seeds (errors / words is then the mean rate); a list holds one value for each seed.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asrdistill.data.directory import read_table
from asrdistill.errors import UserError, shorten
from asrdistill.files import read_json
from asrdistill.hmm.senones import Senones
from asrdistill.lang.lexicon import Lang
from asrdistill.results.plan import SEARCHED, Plan, System, find_models
from asrdistill.results.stages import describe_environment, read_markers, stage_costs
from asrdistill.scoring.mapping import Map, fold, read_map
from asrdistill.scoring.oov import oov_errors
from asrdistill.scoring.significance import compare
from asrdistill.scoring.summary import wer_entry
from asrdistill.scoring.wer import Scores, Transcripts, concatenate, read_transcripts, score

DIGITS = 4  # of all figures, so that they do not depend on the machine's last bit
SCALES = ("lm_weight", "insertion_penalty")


@dataclass(frozen=True)
class Folders:
    """Where things are; `data` and `exp` hold everything whose time counts."""

    exp: Path
    data: Path
    corpus: Path  # with a data directory for each set
    lang: Path  # that was decoded with
    lm: Path


@dataclass(frozen=True)
class Model:
    """One model folder and what was measured with it, set by set."""

    folder: Path
    meta: dict[str, Any]
    senones: int
    frames: dict[str, dict[str, Any]]
    scores: dict[str, Scores]
    oov: dict[str, dict[str, Any]]  # errors on the words that the lexicon lacks
    decodes: dict[str, dict[str, Any]]

    def accuracy(self, sets: Sequence[str]) -> float:
        """Frame accuracy (percent), the frames of the sets pooled."""
        records = [self.frames[name] for name in sets]
        return 100 * sum(record["correct"] for record in records) / sum(record["frames"] for record in records)


Systems = dict[str, list[Model]]


def collect(folders: Folders, plan: Plan, variant: str) -> dict[str, Any]:
    """The contents of results.json; raises UserError for what is missing or does not fit together."""
    folding = read_map(Path(plan.map)) if plan.map else None
    texts = {name: _read_text(folders.corpus / name / "text", folding) for name in plan.sets}
    lexicon = set(Lang.read(folders.lang).words)
    known: dict[tuple[Path, str], Model] = {}
    systems: Systems = {}
    for name, system in plan.systems.items():
        found = [(folder, system.decoded) for folder in find_models(folders.exp, name, system)]
        for key in found:
            if key not in known:
                known[key] = read_model(folders.exp, *key, texts, lexicon, folding)
        systems[name] = [known[key] for key in found]
        _check_system(name, systems[name], system.decoded)
    markers = read_markers([folders.data, folders.exp])
    results = {
        "corpus": plan.corpus,
        **({"note": plan.note} if plan.note else {}),
        "variant": variant,
        "sets": _describe_sets(texts, lexicon, list(known.values())),
        "systems": {
            name: _describe_system(plan.systems[name], models, plan.measure) for name, models in systems.items()
        },
        "comparisons": [_compare(a, b, systems, plan) for a, b in plan.comparisons],
        "transfer": _transfer(systems, plan.pooled),
        "stages": stage_costs(markers),
        "environment": describe_environment(markers, [model.meta.get("precision", "") for model in known.values()]),
    }
    perplexity = folders.lm / "perplexity.json"
    return {**results, "perplexity": read_json(perplexity)} if perplexity.is_file() else results


def share_of_gain(student: Sequence[float], baseline: float, ensemble: float, reference: float) -> list[float]:
    """100 · (student − baseline) / (ensemble − reference) for each seed of the student.

    Frame accuracies in percent. The reference is the mean of the ensemble's members; where they
    differ from the student in kind, it is the baseline.
    """
    return [100 * (accuracy - baseline) / (ensemble - reference) for accuracy in student]


def read_model(
    exp: Path, folder: Path, decoded: str, texts: Mapping[str, Transcripts], lexicon: set[str], folding: Map | None
) -> Model:
    """A model with all its measurements that are there, and with its hypotheses in the folder `decoded`."""
    name = folder.relative_to(exp)
    meta = _read_record(folder / "meta.json", "parameters")
    frames, scores, oov, decodes = {}, {}, {}, {}
    for part, text in texts.items():
        if (path := exp / "frames" / name / part / "frames.json").is_file():
            frames[part] = _read_record(path, "frames", "correct", "cross_entropy")
        if (path := exp / decoded / name / part).is_dir():
            hypotheses = path / "hyp.txt"
            heard = read_transcripts(hypotheses)
            heard = fold(heard, folding, str(hypotheses)) if folding else heard
            scores[part] = score(text, heard, str(hypotheses))
            oov[part] = oov_errors(text, heard, lexicon)
            decodes[part] = _read_decode(path)
    tuned = exp / "tune" / name / "tuned.json"
    _check_scales(exp / decoded / name, decodes, tuned if decoded == SEARCHED and tuned.is_file() else None)
    return Model(folder, meta, Senones.read(folder).count, frames, scores, oov, decodes)


def _read_decode(folder: Path) -> dict[str, Any]:
    """How a folder's hypotheses were found: by a search, or in the lattices of one, where its speed is not known."""
    rescored = folder / "rescore.json"
    if rescored.is_file():
        return _read_record(rescored, *SCALES)
    return _read_record(folder / "decode.json", *SCALES, "rtf", "seconds_of_speech")


def _read_record(path: Path, *keys: str) -> dict[str, Any]:
    record = read_json(path)
    if missing := [key for key in keys if key not in record]:
        raise UserError(f"{path} lacks '{missing[0]}'; make {path.parent} again")
    return record


def _check_scales(decoded: Path, decodes: Mapping[str, dict[str, Any]], tuned: Path | None) -> None:
    """All sets of a model must be decoded with the same scales, those that were tuned for it."""
    wanted = _read_record(tuned, *SCALES) if tuned else next(iter(decodes.values()), {})
    for part, decode in decodes.items():
        for key in SCALES:
            if decode[key] != wanted[key]:
                raise UserError(
                    f"{decoded / part} was decoded with {key} {decode[key]:g}, not {wanted[key]:g} like "
                    f"{tuned or 'the other sets'}; decode it again"
                )


def _nearly_equal(a: int | None, b: int | None) -> tuple[int | None, int | None]:
    """Both numbers, made one within a thousandth: random pools divide into batches a little unevenly."""
    return (a, a) if a and b and abs(a - b) <= a / 1000 else (a, b)


def _check_system(name: str, models: Sequence[Model], decoded: str) -> None:
    """The models of a system must differ in nothing but their seed, and be measured alike."""
    first = models[0]
    if decoded != SEARCHED and not first.scores:
        raise UserError(
            f"the system '{name}' has no hypotheses of {first.folder} in the folder '{decoded}'; make them there"
        )
    if not first.frames and not first.scores:
        raise UserError(
            f"the system '{name}' has neither hypotheses nor frame accuracies for {first.folder}; decode or evaluate it"
        )
    for model in models[1:]:
        for what, a, b in (
            ("parameters", first.meta["parameters"], model.meta["parameters"]),
            ("updates", *_nearly_equal(first.meta.get("updates"), model.meta.get("updates"))),
            ("senones", first.senones, model.senones),
        ):
            if a != b:
                raise UserError(
                    f"{first.folder} and {model.folder} of the system '{name}' differ in their {what} ({a} and {b}); "
                    "models of one system differ in nothing but their seed"
                )
        for what, measured, other in (
            ("hypotheses", first.scores, model.scores),
            ("frame accuracies", first.frames, model.frames),
        ):
            if missing := sorted(measured.keys() ^ other.keys()):
                lacking = model if missing[0] in measured else first
                raise UserError(f"{lacking.folder} has no {what} for {shorten(missing)}, but others of '{name}' have")


def _describe_sets(texts: Mapping[str, Transcripts], lexicon: set[str], models: Sequence[Model]) -> dict[str, Any]:
    described = {}
    for name, text in texts.items():
        words = [word for words in text.values() for word in words]
        counts = {model.frames[name]["frames"]: model.folder for model in models if name in model.frames}
        if len(counts) > 1:
            raise UserError(
                f"{shorten(counts.values())} were evaluated on different alignments of {name} "
                f"({shorten(counts)} frames); evaluate them again"
            )
        described[name] = {
            "utterances": len(text),
            "words": len(words),
            "frames": next(iter(counts), None),
            "oov": sum(word not in lexicon for word in words),
        }
    return described


def _describe_system(system: System, models: Sequence[Model], measure: str) -> dict[str, Any]:
    first = models[0]
    searches = [decode for model in models for decode in model.decodes.values() if "rtf" in decode]
    speech = sum(decode["seconds_of_speech"] for decode in searches)
    spent = sum(decode["rtf"] * decode["seconds_of_speech"] for decode in searches)
    return {
        "kind": system.kind,
        "parameters": first.meta["parameters"],
        "senones": first.senones,
        "seeds": [model.meta["seed"] for model in models if "seed" in model.meta],
        "members": _members(models),
        "updates": first.meta.get("updates"),
        "frame_accuracy": {
            name: over_seeds("percent", [model.accuracy([name]) for model in models]) for name in first.frames
        },
        "cross_entropy": {
            name: over_seeds("nats", [model.frames[name]["cross_entropy"] for model in models]) for name in first.frames
        },
        measure: {name: rounded(wer_entry([model.scores[name] for model in models])) for name in first.scores},
        "oov_errors": {
            name: {key: sum(model.oov[name][key] for model in models) for key in ("words", "wrong")}
            for name, found in first.oov.items()
            if found["words"]
        },
        **{key: _scale(key, models) for key in SCALES},
        "rtf": rounded(spent / speech) if speech else None,
    }


def _members(models: Sequence[Model]) -> list[str]:
    """The folders' names; of an ensemble, its members', and that of a GMM beside them."""
    if len(models) == 1 and "members" in models[0].meta:
        meta = models[0].meta
        return [Path(member).name for member in (*meta["members"], *([meta["gmm"]] if "gmm" in meta else []))]
    return [model.folder.name for model in models]


def _scale(key: str, models: Sequence[Model]) -> float | None:
    """A decoding scale, the mean over the seeds: each is tuned for itself."""
    values = [next(iter(model.decodes.values()))[key] for model in models if model.decodes]
    return rounded(statistics.mean(values)) if values else None


def over_seeds(unit: str, values: Sequence[float]) -> dict[str, Any]:
    return rounded({unit: list(values), "mean": statistics.mean(values), "sd": _deviation(values)})


def _deviation(values: Sequence[float]) -> float | None:
    """Sample standard deviation; one value has none."""
    return statistics.stdev(values) if len(values) > 1 else None


def _compare(a: str, b: str, systems: Systems, plan: Plan) -> dict[str, Any]:
    sets = plan.pooled
    for name in (a, b):
        if missing := [part for part in sets if part not in systems[name][0].scores]:
            raise UserError(f"'{a}' cannot be compared with '{b}': '{name}' has no hypotheses for {shorten(missing)}")
    first, second = ([concatenate([model.scores[part] for part in sets]) for model in systems[name]] for name in (a, b))
    found = compare(first, second)
    figures = {"difference": found.difference, "ci95": list(found.ci95), "p": found.p}
    return {"a": a, "b": b, "measure": plan.measure, "sets": list(sets), **rounded(figures)}


def _transfer(systems: Systems, sets: Sequence[str]) -> dict[str, Any]:
    """The share of the ensemble's gain in frame accuracy that the student keeps, where all four systems are there."""
    roles = ("student", "baseline", "ensemble", "single")
    if any(role not in systems or any(part not in systems[role][0].frames for part in sets) for role in roles):
        return {}
    accuracy = {role: [model.accuracy(sets) for model in systems[role]] for role in roles}
    mean = {role: statistics.mean(values) for role, values in accuracy.items()}
    alike = systems["single"][0].meta["parameters"] == systems["student"][0].meta["parameters"]
    reference = mean["single"] if alike else mean["baseline"]
    if mean["ensemble"] <= reference:  # no gain, so no share of it
        return {"frame_accuracy": {"percent": None, "sd": None}}
    shares = share_of_gain(accuracy["student"], mean["baseline"], mean["ensemble"], reference)
    return {"frame_accuracy": rounded({"percent": statistics.mean(shares), "sd": _deviation(shares)})}


def _read_text(path: Path, folding: Map | None) -> Transcripts:
    said = {utterance: words.split() for utterance, words in read_table(path).items()}
    return fold(said, folding, str(path)) if folding else said


def rounded(value: Any) -> Any:
    """The value with all its floats rounded."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return round(value, DIGITS) if isinstance(value, float) else value
