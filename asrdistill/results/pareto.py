"""Size and speed of students against what they recognise: a table and a picture.

Models are named SIZE.KIND.SEED, KIND being `soft` (with a teacher) or `hard` (without): folders in EXP, with
EXP/frames/MODEL/SET and, where they were decoded, EXP/decode/MODEL/SET beside them, and EXP/int8/SIZE where the
network was exported in 8-bit integers.
"""

import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

from asrdistill.errors import UserError
from asrdistill.files import atomic, read_json, write_json, write_text
from asrdistill.models.io import load_model
from asrdistill.results.figure import COLOURS, plain_axes, png
from asrdistill.results.table import NOTHING, Table
from asrdistill.scoring.wer import read_transcripts, score

KINDS = {"soft": "with a teacher", "hard": "without"}
_FRAMES, _TRIALS = 1000, 20  # of the timing: utterances of ten seconds


def report(exp: Path, data: Path, sets: Sequence[str], out: Path) -> Table:
    """Write students.json, STUDENTS.md and students.png into the folder; `data` holds the sets' data directories.

    Raises UserError where there is no student, or a student's frames were not measured.
    """
    found: dict[str, dict[str, list[Path]]] = {}
    for folder in sorted(exp.glob("*.*.*")):
        size, kind, _ = folder.name.rsplit(".", 2)
        if kind in KINDS and (folder / "meta.json").is_file():
            found.setdefault(size, {}).setdefault(kind, []).append(folder)
    if not found:
        raise UserError(f"{exp} has no student named SIZE.soft.SEED or SIZE.hard.SEED; train some first")
    students = {size: _student(size, kinds, exp, data, sets) for size, kinds in found.items()}
    students = dict(sorted(students.items(), key=lambda item: item[1]["parameters"]))
    write_json(out / "students.json", {"sets": list(sets), "students": students})
    table = _table(students)
    text = f"{table.markdown()}\n\n![Pareto picture](students.png)\n"
    write_text(out / "STUDENTS.md", f"# Students by size, {' + '.join(sets)} pooled\n\n{text}")
    with atomic(out / "students.png", "wb") as handle:
        handle.write(_draw(students))
    return table


def _student(size: str, kinds: dict[str, list[Path]], exp: Path, data: Path, sets: Sequence[str]) -> dict[str, Any]:
    first = next(iter(kinds.values()))[0]
    meta, model = read_json(first / "meta.json"), load_model(first)
    record: dict[str, Any] = {
        "parameters": meta["parameters"],
        "mb": (first / "model.safetensors").stat().st_size / 1e6,
        "look_ahead_ms": 1000 * meta["frame_shift"] * meta["options"]["right"],
        "frames_per_second": frames_per_second([model])[0],
    }
    small = exp / "int8" / size
    if small.is_dir():
        record |= {
            "int8_mb": (small / "model.onnx").stat().st_size / 1e6,
            "int8_frames_per_second": frames_per_second([load_model(small)])[0],
        }
    for kind, models in kinds.items():
        record[kind] = {"updates": read_json(models[0] / "meta.json")["updates"]}
        record[kind]["frame_accuracy"] = [_accuracy(exp / "frames" / model.name, sets) for model in models]
        if (exp / "decode" / models[0].name).is_dir():
            record[kind]["wer"] = [_wer(exp / "decode" / model.name, data, sets) for model in models]
    return record


def _accuracy(folder: Path, sets: Sequence[str]) -> float:
    """Percent of the frames of all sets."""
    if missing := [name for name in sets if not (folder / name / "frames.json").is_file()]:
        raise UserError(f"{folder / missing[0]} has no frames.json; run asrdistill evaluate on that set")
    measured = [read_json(folder / name / "frames.json") for name in sets]
    return 100 * sum(part["correct"] for part in measured) / sum(part["frames"] for part in measured)


def _wer(folder: Path, data: Path, sets: Sequence[str]) -> float:
    totals = [
        score(read_transcripts(data / name / "text"), read_transcripts(folder / name / "hyp.txt")).total
        for name in sets
    ]
    return 100 * sum(total.errors for total in totals) / sum(total.words for total in totals)


def frames_per_second(models: Sequence[Any], frames: int = _FRAMES, trials: int = _TRIALS) -> list[float]:
    """How many frames of whole utterances each model classifies in a second of one core.

    The models take turns, and the shortest processor time of each counts. ONNX Runtime takes as many threads as torch
    had when the model was loaded: load it with one.
    """
    rng = np.random.default_rng(0)
    features = [rng.normal(size=(frames, model.dimension)).astype(np.float32) for model in models]
    best = [float("inf")] * len(models)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        for _ in range(trials):
            for number, model in enumerate(models):
                start = time.process_time()
                model.log_posteriors(features[number])
                best[number] = min(best[number], time.process_time() - start)
    torch.set_num_threads(threads)
    return [frames / seconds for seconds in best]


def _table(students: dict[str, dict[str, Any]]) -> Table:
    header = ["student", "parameters", "MB", "int8 MB", "frames/s", "int8 frames/s", "look-ahead ms"]
    header += [f"{what} {kind}" for what in ("frames", "WER") for kind in KINDS]
    rows = []
    for size, record in students.items():
        row = [size, f"{record['parameters']:,}", _number(record.get("mb"), 2), _number(record.get("int8_mb"), 2)]
        row += [_number(record.get(key), 0) for key in ("frames_per_second", "int8_frames_per_second", "look_ahead_ms")]
        row += [_spread(record.get(kind, {}).get(key)) for key in ("frame_accuracy", "wer") for kind in KINDS]
        rows.append(row)
    return Table(header, rows)


def _number(value: float | None, digits: int) -> str:
    return NOTHING if value is None else f"{value:,.{digits}f}"


def _spread(values: list[float] | None) -> str:
    """Mean ± sd over the seeds."""
    if not values:
        return NOTHING
    mean = f"{statistics.mean(values):.2f}"
    return f"{mean} ± {statistics.stdev(values):.2f}" if len(values) > 1 else mean


def _draw(students: dict[str, dict[str, Any]]) -> bytes:
    """Word error rate, or frame accuracy where nothing was decoded, over parameters and over speed."""
    decoded = any("wer" in record.get(kind, {}) for record in students.values() for kind in KINDS)
    key, title = ("wer", "word error rate, %") if decoded else ("frame_accuracy", "frame accuracy, %")
    figure = Figure(figsize=(10, 4.2), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2, sharey=True)
    scales = (("parameters", "parameters"), ("frames_per_second", "frames/s on one core, float32"))
    for axes, (measure, label) in zip(panels, scales, strict=True):
        for (kind, name), colour in zip(KINDS.items(), COLOURS, strict=False):
            points = [
                (record[measure], statistics.mean(record[kind][key]), size)
                for size, record in students.items()
                if key in record.get(kind, {})
            ]
            axes.scatter([x for x, _, _ in points], [y for _, y, _ in points], color=colour, s=22, label=name)
            for x, y, size in points if kind == "soft" else []:
                axes.annotate(size, (x, y), xytext=(4, 4), textcoords="offset points", fontsize=8)
        axes.set_xscale("log")
        axes.set_xlabel(label)
        plain_axes(axes)
    panels[0].set_ylabel(title)
    panels[0].legend(frameon=False, fontsize=9)
    return png(figure)
