"""What the ``.done`` markers of an experiment say: how long each stage took, and on what."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from asrdistill import stage
from asrdistill.reader import read_text


def read_markers(folders: Iterable[Path]) -> list[dict[str, Any]]:
    """All markers below the folders, by the time at which their work ended; unfinished work has none."""
    found: dict[Path, dict[str, Any]] = {}
    for top in folders:
        for where, names, files in os.walk(top):
            names[:] = [name for name in names if not name.startswith(".")]
            if stage.MARKER in files:
                found[Path(where).resolve()] = stage.marker(Path(where))
    return [found[path] for path in sorted(found, key=lambda path: (found[path]["end"], str(path)))]


def stage_costs(markers: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Seconds and peak memory of each stage, as they began; of work side by side, the seconds in which any ran."""
    intervals: dict[str, list[tuple[float, float]]] = {}
    peaks: dict[str, int] = {}
    for marker in markers:
        name = marker["stage"]
        intervals.setdefault(name, []).append((marker["start"], marker["end"]))
        peaks[name] = max(peaks.get(name, 0), marker["peak_mb"])
    names = sorted(intervals, key=lambda name: (min(intervals[name]), name))
    return {name: {"seconds": round(union(intervals[name]), 1), "peak_mb": peaks[name]} for name in names}


def describe_lms(exp: Path, decoded: Mapping[str, Path]) -> dict[str, str]:
    """LM of FOLDER, where EXP/FOLDER/PATH are hypotheses -> size and origin of their language model, if known."""
    made = {name: stage.marker(exp / name / path).get("inputs", []) for name, path in decoded.items()}
    origins = [(name, Path(path, "origin.txt")) for name, inputs in made.items() for path in inputs]
    return {f"LM of {name}": read_text(path).strip() for name, path in origins if path.is_file()}


def union(intervals: Iterable[tuple[float, float]]) -> float:
    """Length of the union of intervals (start, end)."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(intervals):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def describe_environment(markers: Iterable[dict[str, Any]], precisions: Iterable[str]) -> dict[str, str]:
    """Where the experiment was made; what changed on the way is named in order."""
    records = [marker["environment"] for marker in markers] or [stage.environment()]
    found = {key: [record.get(key, "") for record in records] for key in ("commit", "torch", "cpu")}
    found["precision"] = list(precisions)
    joined = {key: ", ".join(dict.fromkeys(filter(None, values))) for key, values in found.items()}
    return {**joined, "date": records[-1]["date"]}
