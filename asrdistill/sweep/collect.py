"""What was measured in a sweep, in one dictionary: EXP/sweeps/<sweep>.json.

{"title": …, "x": "temperature", "vary": {…}, "rows": ["student", …], "seeds": [0, 1, 2], "sets": […], "pooled": […],
 "measure": "wer",
 "cells": {"student, temperature 2": {
    "row": "student", "point": {"temperature": 2}, "system": "student", "models": ["student.0", …],
    "parameters": 0, "updates": 0,
    "frame_accuracy": {"<set>": {"percent": […], "mean": 0.0, "sd": 0.0}, "pooled": {…}, "learnt": {…}},
    "wer": {"<set>": {…}, "pooled": {…}},                  as in results.json, over all seeds
    "store": {"kept": 96, "mass": 0.0, "bytes": 392}}},     mass at the student's temperature, bytes a frame
 "comparisons": [{"a": …, "b": …, "point": {…}, "difference": 0.0, "ci95": […], "p": 0.0}]}
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from asrdistill.data.directory import read_table
from asrdistill.files import read_json
from asrdistill.results.results import over_seeds, rounded
from asrdistill.scoring.mapping import fold, read_map
from asrdistill.scoring.significance import compare
from asrdistill.scoring.summary import wer_entry
from asrdistill.scoring.wer import Scores, Transcripts, concatenate, read_transcripts, score
from asrdistill.sweep.plan import Model, Plan
from asrdistill.sweep.spec import Cell, Sweep, cells

Results = dict[str, Any]


def collect(sweep: Sweep, plan: Plan) -> Results:
    """The sweep's results; all of its runs must have been made."""
    measure = "per" if plan.recipe.layout.map else "wer"
    texts = _texts(sweep, plan) if "wer" in sweep.measure else {}
    systems = [(cell, plan.models(cell.settings, sweep.seeds)) for cell in cells(sweep)]
    scores = {cell.key: [_scores(model, texts, plan) for model in models] for cell, models in systems} if texts else {}
    found = {cell.key: _describe(cell, models, sweep, plan) for cell, models in systems}
    for key, seeds in scores.items():
        found[key][measure] = rounded(_words(seeds, sweep.pooled))
    results = {
        "title": sweep.title,
        "x": sweep.x,
        "vary": sweep.vary,
        "rows": list(sweep.rows),
        **{key: getattr(sweep, key) for key in ("seeds", "sets", "pooled")},
        "measure": measure,
        "cells": found,
        "comparisons": [found for a, b in sweep.compare for found in _compare(a, b, scores, sweep)],
    }
    return results


def _describe(cell: Cell, models: Sequence[Model], sweep: Sweep, plan: Plan) -> dict[str, Any]:
    meta = read_json(models[0].folder / "meta.json")
    measured = {
        name: [read_json(model.beside("frames", name) / "frames.json") for model in models] for name in sweep.sets
    }
    measured["pooled"] = [_sum([measured[name][index] for name in sweep.pooled]) for index in range(len(models))]
    if "train" in sweep.measure:
        train = plan.recipe.layout.train
        measured["learnt"] = [read_json(model.beside("frames", train) / "frames.json") for model in models]
    described: dict[str, Any] = {
        "row": cell.row,
        "point": cell.point,
        "system": cell.settings.system,
        "models": [model.folder.name for model in models],
        "parameters": meta["parameters"],
        "updates": meta.get("updates"),
        "frame_accuracy": {
            name: over_seeds("percent", [100 * record["correct"] / record["frames"] for record in records])
            for name, records in measured.items()
        },
    }
    if cell.settings.system == "student":
        described["store"] = rounded(_store(plan.store(cell.settings)[0], cell, plan))
    return described


def _sum(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {key: sum(record[key] for record in records) for key in ("frames", "correct")}


def _store(folder: Path, cell: Cell, plan: Plan) -> dict[str, Any]:
    meta = read_json(folder / "meta.json")
    temperature = cell.settings.temperature or plan.recipe.student.temperature
    sizes = [np.dtype(part["dtype"]).itemsize * int(np.prod(part["shape"])) for part in meta["parts"].values()]
    mass = meta["kept_mass"][meta["temperatures"].index(temperature)]
    return {"kept": meta["kept"], "mass": mass, "bytes": sum(sizes)}


def _texts(sweep: Sweep, plan: Plan) -> dict[str, Transcripts]:
    corpus = plan.recipe.data / "corpus"
    folder = corpus if corpus.is_dir() else plan.recipe.data
    said = {name: read_table(folder / name / "text") for name in sweep.sets}
    return {
        name: _folded({utterance: words.split() for utterance, words in table.items()}, plan, name)
        for name, table in said.items()
    }


def _folded(transcripts: Transcripts, plan: Plan, name: str) -> Transcripts:
    folding = plan.recipe.layout.map
    return fold(transcripts, read_map(Path(folding)), name) if folding else transcripts


def _scores(model: Model, texts: dict[str, Transcripts], plan: Plan) -> dict[str, Scores]:
    found = {}
    for name, text in texts.items():
        path = model.beside("decode", name) / "hyp.txt"
        found[name] = score(text, _folded(read_transcripts(path), plan, str(path)), str(path))
    return found


def _words(seeds: Sequence[dict[str, Scores]], pooled: Sequence[str]) -> dict[str, Any]:
    """Error rates of each set and of the pooled ones, over the seeds."""
    entries = {name: wer_entry([scores[name] for scores in seeds]) for name in seeds[0]}
    return {**entries, "pooled": wer_entry(_pool(seeds, pooled))}


def _pool(seeds: Sequence[dict[str, Scores]], pooled: Sequence[str]) -> list[Scores]:
    return [concatenate([scores[name] for name in pooled]) for scores in seeds]


def _compare(a: str, b: str, scores: dict[str, list[dict[str, Scores]]], sweep: Sweep) -> Iterator[dict[str, Any]]:
    """Words of row a less those of row b on the pooled sets, at each point where both were decoded."""
    for point in sweep.points:
        keys = {cell.row: cell.key for cell in cells(sweep) if cell.point == point and cell.key in scores}
        if a in keys and b in keys:
            found = compare(_pool(scores[keys[a]], sweep.pooled), _pool(scores[keys[b]], sweep.pooled))
            figures = {"difference": found.difference, "ci95": list(found.ci95), "p": found.p}
            yield {"a": a, "b": b, "point": point, **rounded(figures)}
