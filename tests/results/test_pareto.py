"""The students' table and picture, from a planted experiment."""

import numpy as np
import pytest
import torch

from asrdistill.cli import main
from asrdistill.files import read_json, write_json
from asrdistill.hmm.senones import Senones
from asrdistill.models.io import load_model, save_model
from asrdistill.models.options import DnnOptions
from asrdistill.models.registry import build_network
from asrdistill.results.pareto import frames_per_second

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
                options = DnnOptions(layers=1, width=width, left=1, right=3)
                meta = {"features": {"type": "fbank"}, "frame_shift": 0.01, "updates": 7}
                torch.manual_seed(0)
                network = build_network(options, 4, 8)
                save_model(model, network, options, SENONES, np.full(8, -2, np.float32), **meta)
                for name in ("a", "b"):
                    frames = exp / "frames" / model.name / name
                    frames.mkdir(parents=True)
                    write_json(frames / "frames.json", {"frames": 100, "correct": correct + gain + 2 * seed})
                    if size == "big":
                        heard = exp / "decode" / model.name / name
                        heard.mkdir(parents=True)
                        wrong = "five six seven nine" if kind == "soft" else "five nine nine nine"
                        (heard / "hyp.txt").write_text(f"u1 {WORDS['u1']}\nu2 {wrong}\n")
    return exp, data


def test_planted_figures_come_out(world, tmp_path, capsys):
    exp, data = world
    assert main(["pareto", str(exp), str(data), str(tmp_path / "out"), "--sets", "a", "b"]) == 0
    assert "big" in capsys.readouterr().out
    students = read_json(tmp_path / "out/students.json")["students"]
    assert list(students) == ["small", "big"]  # by size
    assert students["small"]["soft"]["frame_accuracy"] == [50, 52]
    assert students["small"]["hard"]["frame_accuracy"] == [40, 42]
    assert "wer" not in students["small"]["soft"]
    assert students["big"]["soft"]["wer"] == [12.5, 12.5]
    assert students["big"]["hard"]["wer"] == [37.5, 37.5]
    assert students["big"]["look_ahead_ms"] == pytest.approx(30)
    assert students["big"]["parameters"] == 5 * 4 * 32 + 32 + 32 * 8 + 8
    text = (tmp_path / "out/STUDENTS.md").read_text()
    assert "51.00 ± 1.41" in text
    assert "12.50 ± 0.00" in text
    assert (tmp_path / "out/students.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_missing_is_named(world, tmp_path, capsys):
    exp, data = world
    assert main(["pareto", str(data), str(data), str(tmp_path / "out")]) == 2
    assert "no student named SIZE.soft.SEED" in capsys.readouterr().err
    assert main(["pareto", str(exp), str(data), str(tmp_path / "out"), "--sets", "c"]) == 2
    assert "c has no frames.json; run asrdistill evaluate" in capsys.readouterr().err


def test_speed_is_of_every_model_and_leaves_the_threads_alone(world):
    exp, _ = world
    before = torch.get_num_threads()
    assert all(
        s > 0 for s in frames_per_second([load_model(exp / "big.soft.0"), load_model(exp / "small.soft.0")], 50, 2)
    )
    assert torch.get_num_threads() == before
