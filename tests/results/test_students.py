"""The students' table and picture, from a planted experiment."""

import numpy as np
import pytest
import torch

from asrdistill.cli import main
from asrdistill.files import write_json
from asrdistill.hmm.senones import Senones
from asrdistill.lang.lexicon import Lang
from asrdistill.models.io import load_model, save_model
from asrdistill.models.options import NetworkConfig
from asrdistill.models.registry import build_network
from asrdistill.results.plan import read_results
from asrdistill.results.speed import frames_per_second
from asrdistill.results.tables import systems_table

SENONES = Senones(["SIL", "A"], {"SIL": [0, 1, 2, 3, 4], "A": [5, 6, 7]}, np.full(8, -0.5))
WORDS = {"u1": "one two three four", "u2": "five six seven eight"}


@pytest.fixture
def world(tmp_path):
    """Two sizes, two seeds each, of which the larger was decoded; planted frames and words over two sets."""
    exp, data = tmp_path / "exp", tmp_path / "data"
    for name in ("a", "b"):
        (data / name).mkdir(parents=True)
        (data / name / "text").write_text("".join(f"{u} {words}\n" for u, words in WORDS.items()))
    for size, width, correct in (("small", 8, 40), ("big", 32, 60)):
        for kind, gain in (("soft", 10), ("hard", 0)):
            for seed in (0, 1):
                model = exp / f"{size}.{kind}.{seed}"
                model.mkdir(parents=True)
                options = NetworkConfig(layers=1, width=width, left=1, right=3)
                meta = {"features": {"type": "fbank"}, "frame_shift": 0.01, "updates": 7}
                torch.manual_seed(0)
                network = build_network(options, 4, 8)
                save_model(model, network, options, SENONES, np.full(8, -2, np.float32), **meta)
                for name in ("a", "b"):
                    frames = exp / "frames" / model.name / name
                    frames.mkdir(parents=True)
                    write_json(
                        frames / "frames.json",
                        {"frames": 100, "correct": correct + gain + 2 * seed, "cross_entropy": 1.0},
                    )
                    if size == "big":
                        heard = exp / "decode" / model.name / name
                        heard.mkdir(parents=True)
                        wrong = "five six seven nine" if kind == "soft" else "five nine nine nine"
                        scales = {"lm_weight": 1, "insertion_penalty": 0}
                        write_json(heard / "decode.json", {**scales, "rtf": 0.1, "seconds_of_speech": 10})
                        (heard / "hyp.txt").write_text(f"u1 {WORDS['u1']}\nu2 {wrong}\n")
    (data / "lang").mkdir()
    Lang.build({"one": [(1.0, ("A",))]}, ["A"]).write(data / "lang")
    return exp, data


CONFIG = """
corpus: students
sets: [a, b]
speed: true
optional: true
systems:
  small: {models: ["small.soft.*"], without: small_alone}
  small_alone: {models: ["small.hard.*"]}
  big: {models: ["big.soft.*"], without: big_alone}
  big_alone: {models: ["big.hard.*"]}
  huge: {models: ["huge.soft.*"], without: huge_alone}
"""


def test_planted_figures_come_out(world):
    exp, data = world
    (exp / "students.yaml").write_text(CONFIG)
    command = ["report", str(exp), "--config", str(exp / "students.yaml"), "--data", str(data)]
    assert main(command) == 0
    results = read_results(exp / "results.json")
    table, rows = results.table, {row[0]: row for row in systems_table(results).rows}
    assert table.values("small", "frame_accuracy", "a", "b") == [50, 52]
    assert table.values("small_alone", "frame_accuracy", "a", "b") == [40, 42]
    assert table.values("small", "wer", "a") == []
    assert table.values("big", "wer", "a", "b") == [12.5, 12.5]
    assert table.values("big_alone", "wer", "a", "b") == [37.5, 37.5]
    assert table.mean("big", "look_ahead_ms") == pytest.approx(30)
    assert table.mean("big", "parameters") == 5 * 4 * 32 + 32 + 32 * 8 + 8
    assert list(rows) == ["small", "big"]
    assert {"61.0±1.4", "37.5±0.0"} <= set(rows["big"])
    speeds = table.values("big", "frames_per_second")
    assert all(speed > 0 for speed in speeds)
    assert main(command) == 0  # a speed is not measured again
    assert read_results(exp / "results.json").table.values("big", "frames_per_second") == speeds


def test_measuring_speed_leaves_the_threads_alone(world):
    exp, _ = world
    before = torch.get_num_threads()
    assert frames_per_second(load_model(exp / "small.soft.0")) > 0
    assert torch.get_num_threads() == before
