"""A small experiment whose figures can be worked out by hand."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asrdistill.hmm.senones import Senones
from asrdistill.lang.lexicon import Lang

SYSTEMS = """
corpus: a small corpus
sets: [dev, test]
systems:
  mono:     {models: [mono]}
  single:   {models: ["teacher.*"]}
  ensemble: {models: [ensemble]}
  student:  {models: ["student.*"]}
comparisons: [[student, single], [single, mono]]
"""
TEXTS = {"dev": "a1 one two three\na2 four\n", "test": "b1 five six\n"}
RIGHT = TEXTS
HYPOTHESES = {
    "mono": {"dev": "a1 one\n", "test": "b1 five five\n"},  # 3 deletions (1 unheard); 1 substitution
    "teacher.0": {"dev": "a1 one two tree\na2 four\n", "test": RIGHT["test"]},  # 1 substitution
    "teacher.1": {"dev": RIGHT["dev"], "test": "b1 five six seven\n"},  # 1 insertion
    "ensemble": RIGHT,
    "student.0": {"dev": "a1 one two tree\na2 four\n", "test": RIGHT["test"]},  # 1 substitution
    "student.1": RIGHT,
}
CORRECT = {  # of 100 frames of dev and 300 of test
    "teacher.0": (30, 120),
    "teacher.1": (34, 118),
    "ensemble": (40, 125),
    "student.0": (38, 127),
    "student.1": (36, 122),
}
FRAMES = {"dev": 100, "test": 300}


class World:
    """The folders of an experiment, and ways to change them."""

    def __init__(self, root: Path):
        self.root, self.exp, self.data, self.config = root, root / "exp", root / "data", root / "systems.yaml"
        self.config.write_text(SYSTEMS)
        for name, text in TEXTS.items():
            self.write(self.data / name / "text", text)
        lang = Lang.build({word: [(1.0, ("AH",))] for word in ("one", "two", "three", "four", "five")}, ["AH"])
        (self.data / "lang").mkdir()
        lang.write(self.data / "lang")
        for number, name in enumerate(HYPOTHESES):
            self.model(name, number)

    def model(self, name: str, number: int) -> None:
        kind, _, seed = name.partition(".")
        meta: dict[str, Any] = {"kind": {"mono": "gmm", "ensemble": "ensemble"}.get(kind, "dnn")}
        meta["parameters"] = {"mono": 50, "ensemble": 2000}.get(kind, 1000)
        if seed:
            meta |= {"seed": int(seed), "updates": 700, "precision": "float32"}
        if kind == "ensemble":
            meta["members"] = ["../teacher.0", "../teacher.1"]
        self.json(self.exp / name / "meta.json", meta)
        Senones(["SIL"], {"SIL": list(range(5))}, np.full(5, -0.3)).write(self.exp / name)
        self.mark(self.exp / name, kind, start=50 * number, end=50 * number + 100, peak_mb=100 * number)
        for part, text in HYPOTHESES[name].items():
            where = self.exp / "decode" / name / part
            self.write(where / "hyp.txt", text)
            rtf, seconds = (0.1, 10.0) if part == "dev" else (0.2, 30.0)
            scales = {"lm_weight": 8.0, "insertion_penalty": -0.5}
            self.json(where / "decode.json", {"rtf": rtf, "seconds_of_speech": seconds, **scales})
        for part, correct in zip(FRAMES, CORRECT.get(name, ()), strict=False):
            accuracy = {"frames": FRAMES[part], "correct": correct, "cross_entropy": 2.0 + number / 10}
            self.json(self.exp / "frames" / name / part / "frames.json", accuracy)

    def mark(self, folder: Path, stage: str, start: float, end: float, peak_mb: int, **environment: str) -> None:
        made = {"commit": "abc", "torch": "", "cpu": "a cpu", "date": "2025-01-01"} | environment
        record = {"verb": "train", "hash": "h", "inputs": [], "options": {}, "stage": stage}
        self.json(folder / ".done", {**record, "start": start, "end": end, "peak_mb": peak_mb, "environment": made})

    def edit(self, path: Path, **values: Any) -> None:
        self.json(path, json.loads(path.read_text()) | values)

    def json(self, path: Path, value: Mapping[str, Any]) -> None:
        self.write(path, json.dumps(value))

    def write(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)
