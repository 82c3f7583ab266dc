"""report.html: a report as one file that needs no network. The page's script draws what is below as JSON.

html/page.html has the places {{title}}, {{style}}, {{tables}}, {{data}} and {{script}}.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from asrdistill import stage
from asrdistill.errors import UserError
from asrdistill.files import write_text
from asrdistill.reader import read_json, read_text
from asrdistill.results.collect import Folders, corpus_of
from asrdistill.results.explorer import explore
from asrdistill.results.plan import Results, find_models
from asrdistill.results.tables import NAMES, SECTIONS, SIZES, TABLES, Table, costs, legend
from asrdistill.scoring.calibration import judged, reliability

PARTS = Path(__file__).with_name("html")
Models = dict[str, list[Path]]  # system -> its model folders
AXES = {measure: title for title, (measure, _) in SIZES.items()} | {"rtf": "real-time factor"}


def write_page(path: Path, results: Results, folders: Folders) -> None:
    """Write the report's page."""
    plan = results.plan
    models = {name: find_models(folders.exp, name, system, plan.optional) for name, system in plan.systems.items()}
    data = {
        "measure": plan.measure.upper(),
        "rate": NAMES[plan.measure],
        "intervals": list(_intervals(results)),
        "networks": list(_networks(models)),
        "gain": _gain(results, models),
        "confusions": _confusions(folders.exp, models, plan.sets),
        "reliability": _reliability(results, folders, models) if folders.data and not plan.map else {},
        "axes": {key: title for key, title in AXES.items() if results.table.systems(key)},
        "points": list(_points(results)),
        "stages": [
            {"name": name, "seconds": results.table.mean(name, "stage_seconds"), "mb": mb}
            for name in results.table.systems("stage_seconds")
            if (mb := results.table.mean(name, "stage_peak_mb")) is not None
        ],
        **explore(plan, folders, models),
    }
    script = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}  # nothing in it can end the script
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    parts = {
        "title": escape(results.title),
        "style": read_text(PARTS / "style.css"),
        "script": read_text(PARTS / "report.js"),
        "tables": _tables(results),
        "data": re.sub("[<>&]", lambda found: script[found[0]], text),
    }
    write_text(path, re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], read_text(PARTS / "page.html")))


def _tables(results: Results) -> str:
    """The report's tables, those after the systems folded away."""
    lines = "".join(f"<li>{escape(line)}</li>" for line in [*legend(results), costs(results)] if line)
    parts = [f"<p>{escape(results.plan.note)}</p>"] * bool(results.plan.note)
    for key, make in TABLES.items():
        table = make(results)
        if not table.rows or len(table.header) < 2 or key == "stages":
            continue
        if key == "systems":
            parts.append(f"{_table(table)}<ul>{lines}</ul>")
        else:
            title = SECTIONS.get(key, key.capitalize())
            parts.append(f"<details><summary>{title}</summary>{_table(table)}</details>")
    return "\n".join(parts)


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in table.header)
    rows = [
        f'<tr{" class=marked" if name == table.marked else ""}><th scope="row">{escape(name)}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for name, *cells in table.rows
    ]
    body = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f'<div class="wide" tabindex="0" role="region" aria-label="table">{body}</div>'


def _rate(results: Results, name: str, sets: Sequence[str]) -> dict[str, Any] | None:
    """Error rate of a system with its 95 % interval."""
    mean = results.table.mean
    low, high = (mean(name, key, " + ".join(sets)) for key in ("error_low", "error_high"))
    value = mean(name, results.plan.measure, *sets)
    return None if value is None else {"system": name, "value": value, "low": low, "high": high}


def _intervals(results: Results) -> Iterator[dict[str, Any]]:
    plan = results.plan
    for name in plan.shown:
        for sets in [[part] for part in plan.sets] + [plan.pooled] * (len(plan.pooled) > 1):
            if found := _rate(results, name, sets):
                yield {**found, "set": " + ".join(sets)}


def _points(results: Results) -> Iterator[dict[str, Any]]:
    """Systems with an error rate of the pooled sets, their sizes and times."""
    mean, plan = results.table.mean, results.plan
    for name in plan.shown:
        if found := _rate(results, name, plan.pooled):
            sizes = {key: mean(name, key) for key in AXES}
            decoded = [part for part in plan.sets if mean(name, "rtf", part) is not None]
            yield {**found, **sizes, "rtf": mean(name, "rtf", *decoded) if decoded else None}


def _history(folder: Path) -> Iterator[dict[str, Any]]:
    """Epochs of a network's training, each with the updates until its end."""
    meta = read_json(folder / "meta.json")
    history = meta.get("history", [])
    for number, record in enumerate(history, 1):
        yield {"updates": round(meta["updates"] * number / len(history)), **record}


def _networks(models: Models) -> Iterator[dict[str, Any]]:
    """Training curves: loss by pool, or by epoch; what was held out by epoch."""
    for folder in dict.fromkeys(folder for found in models.values() for folder in found):
        epochs = list(_history(folder))
        curves = {
            "loss": [point for r in epochs for point in r.get("losses", [[r["updates"], r["loss"]]])],
            "frames % held out": [[r["updates"], r.get("held_out_accuracy")] for r in epochs],
            "cross-entropy held out": [[r["updates"], r.get("held_out_cross_entropy")] for r in epochs],
        }
        if epochs:
            found = {title: [point for point in points if point[1] is not None] for title, points in curves.items()}
            yield {"name": folder.name, "curves": found}


def _gain(results: Results, models: Models) -> dict[str, list[list[float]]]:
    """Share of the ensemble's gain, in percent, by updates: in words at the end; in held-out frames by epoch."""
    plan, mean = results.plan, results.table.mean
    base = "baseline" if "baseline" in plan.systems else "single"
    lines: dict[str, list[list[float]]] = {}
    for name in [name for name in plan.systems if mean(name, "updates")]:
        single, ensemble, own = (mean(system, plan.measure, *plan.pooled) for system in (base, "ensemble", name))
        if single is not None and ensemble is not None and own is not None and single > ensemble:
            lines[f"{name}, words"] = [[mean(name, "updates") or 0, 100 * (single - own) / (single - ensemble)]]
    for folder in models.get("student", []):
        inputs = [Path(path).name for path in stage.marker(folder).get("inputs", [])]
        for part in [part for part in plan.sets if part in inputs]:
            single, ensemble = (mean(system, "frame_accuracy", part) for system in (base, "ensemble"))
            if mean("student", "frame_accuracy", part) is None or single is None or ensemble is None:
                continue
            points = [[r["updates"], r["held_out_accuracy"]] for r in _history(folder) if "held_out_accuracy" in r]
            if ensemble > single and points:
                shares = [[x, 100 * (y - single) / (ensemble - single)] for x, y in points]
                lines[f"{folder.name}, frames of {part}"] = shares
    return lines


def _confusions(exp: Path, models: Models, sets: Sequence[str]) -> dict[str, list[list[Any]]]:
    """System -> [aligned phone, phone of the best output, frames], of all seeds and sets that were evaluated so."""
    found = {}
    for name, folders in models.items():
        counts: Counter[tuple[str, str]] = Counter()
        for folder in folders:
            for part in sets:
                path = exp / "frames" / folder.relative_to(exp) / part / "frames.json"
                record = read_json(path) if path.is_file() else {}
                for phone, others in record.get("confusions", {}).items():
                    counts.update({(phone, other): n for other, n in others.items()})
        if counts:
            found[name] = [[*pair, n] for pair, n in counts.items()]
    return found


def _reliability(results: Results, folders: Folders, models: Models) -> dict[str, list[tuple[float, ...]]]:
    """System -> bins (words, mean confidence, share of right words), where words.ctm has confidences."""
    found = {}
    for name, system in results.plan.systems.items():
        judgements = []
        for folder in models[name]:
            for part in results.plan.sets:
                ctm = folders.exp / system.decoded / folder.relative_to(folders.exp) / part / "words.ctm"
                if ctm.is_file() and len(read_text(ctm).partition("\n")[0].split()) == 6:
                    judgements.append(_judged(ctm, corpus_of(folders, part) / "text"))
        if judgements and sum(len(sure) for sure, _ in judgements):
            sure, right = (np.concatenate(parts) for parts in zip(*judgements, strict=True))
            found[name] = [tuple(each) for each in reliability(sure, right)]
    return found


def _judged(ctm: Path, text: Path) -> tuple[np.ndarray, np.ndarray]:
    """As :func:`judged`; nothing of a set whose words are all right or all wrong."""
    try:
        return judged(ctm, text)
    except UserError:
        return np.empty(0), np.empty(0, bool)
