"""Folders for Vosk: its own library finds our words in them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import asrdistill
from asrdistill.cli import main
from asrdistill.features.cepstra import CepstraOptions, cepstra
from asrdistill.features.fbank import fbank
from asrdistill.features.options import FbankOptions
from asrdistill.files import write_json
from asrdistill.hmm.senones import Senones
from asrdistill.lang.lexicon import Lang
from asrdistill.models.io import load_model, save_model
from asrdistill.models.options import NetworkConfig
from asrdistill.models.registry import build_network
from asrdistill.reader import read_json
from asrdistill.scoring.edit_distance import count_errors
from tests.export.random_network import NETS, plant_random
from tests.export.test_low_frame_rate import STATES, low_frame_rate
from tests.export.test_recogniser import LANG, RATE, TEXTS, plant, run, say
from tests.refusals import assert_refused

SCRIPT = Path(__file__).with_name("vosk_words.py")
SENONES = {"10 ms": Senones.monophones(LANG), **{f"30 ms, {n} states": low_frame_rate(STATES[n]) for n in STATES}}


def in_vosk(folder: Path, scratch: Path, *audio: np.ndarray) -> list[dict[str, Any]]:
    files = []
    for number, samples in enumerate(audio):
        files.append(str(scratch / f"{number}.pcm"))
        np.rint(samples * 32768).astype("<i2").tofile(files[-1])
    command = [sys.executable, str(SCRIPT), str(folder), str(RATE), *files]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=300).stdout)


def scales(world: Path) -> None:
    (world / "tuned").mkdir()
    write_json(world / "tuned/tuned.json", {"lm_weight": 6.0, "insertion_penalty": 0.0, "wer": 0.0})


@pytest.mark.slow
@pytest.mark.parametrize("rate", SENONES)
def test_vosk_finds_the_planted_words(rate: str, tmp_path: Path) -> None:
    scales(world := plant(tmp_path, SENONES[rate]))
    assert run(world, "export", "model", "lang", "lm", "tuned", "out", "--to=vosk") == 0
    found = in_vosk(world / "out", world, *map(say, TEXTS.values()))
    assert [each["best"] for each in found] == list(TEXTS.values())
    words = found[0]["words"]
    assert [word["word"] for word in words] == ["low", "high"]
    assert min(word["conf"] for word in words) > 0.9
    if rate != "10 ms":  # Vosk takes all frames as 30 ms long
        assert [word["start"] for word in words] == pytest.approx([0.2, 0.7], abs=0.07)
        assert [word["end"] for word in words] == pytest.approx([0.5, 1.0], abs=0.07)
    assert "vosk.Model" in (text := (world / "out/README.md").read_text())
    assert "## Licence" in text


SPOKEN = {"low": [(0.7, ("L",)), (0.3, ("L", "H"))], "high": [(1.0, ("H",))], "hello": [(1.0, ("H", "L", "L"))]}


@pytest.mark.slow
@pytest.mark.parametrize(("architecture", "subsampling", "kind", "settings"), NETS, ids=lambda value: str(value)[:9])
def test_random_networks_find_our_words(
    architecture: str, subsampling: int, kind: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    lang = Lang.build(SPOKEN, ["L", "H"])  # type: ignore[arg-type]
    texts = ["low high", "hello high low", "high hello"]
    kind, states = kind.replace("cepstra", "plain"), 2 if subsampling > 1 else 3
    samples = plant_random(tmp_path, lang, texts, architecture, subsampling, kind, settings, states)
    write_json(tmp_path / "tuned/tuned.json", {"lm_weight": 2.0, "insertion_penalty": 1.0, "wer": 0.0})
    samples = np.rint(samples[:12000] * 32768).astype(np.float32) / 32768
    for name, form in (("out", "safetensors"), ("vosk", "vosk")):
        beam = ("--lattice-beam=4",) if form == "vosk" else ()  # noise has many other words
        assert run(tmp_path, "export", "model", "lang", "lm", "tuned", name, f"--to={form}", *beam) == 0
    stream = asrdistill.load(tmp_path / "out").stream()
    stream.accept(samples)
    wanted = stream.finish().words
    assert len(wanted) > 3
    found = in_vosk(tmp_path / "vosk", tmp_path, samples)[0]["best"].split()
    assert sum(count_errors(wanted, found)) <= len(wanted) // 10  # its beams are others


@pytest.mark.slow
def test_a_running_mean_follows_the_sound(tmp_path: Path) -> None:
    """A word as long as the sound is louder than the mean so far by more than half of what it is above training's."""
    lang = Lang.build({"low": [(1.0, ("L",))], "high": [(1.0, ("H",))]}, ["L", "H"])
    plant_random(tmp_path, lang, ["low", "low low", "high"], "dnn", 3, "cepstra", {"layers": 1, "left": 0, "right": 0})
    noise = np.rint(3000 * np.random.default_rng(0).normal(size=8 * RATE)).astype(np.float32) / 32768
    meta, network = read_json(tmp_path / "model/meta.json"), load_model(tmp_path / "model").module
    above = cepstra(fbank([noise], FbankOptions(bins=12, snip_edges=False))[0], CepstraOptions(coefficients=12)).mean(0)
    meta["level"] = {"mean": (above - 8 * np.eye(12)[0]).tolist(), "std": [1.0] * 12}
    with torch.no_grad():
        network.mean.zero_()
        network.std.fill_(1.0)
        for parameter in network.parameters():
            parameter.zero_()
        network.hidden[0].weight[0, 0] = 1
        network.output.weight[1, 0] = 3
        network.output.bias.copy_(torch.tensor([0.0, -12.0, -50.0]))
    options = NetworkConfig(**meta["options"])
    kept = {key: meta[key] for key in ("features", "frame_shift", "updates", "level")}
    save_model(tmp_path / "model", network, options, Senones.read(tmp_path / "model"), np.zeros(3, np.float32), **kept)
    for name, form in (("out", "safetensors"), ("vosk", "vosk")):
        assert run(tmp_path, "export", "model", "lang", "lm", "tuned", name, f"--to={form}") == 0
    stream = asrdistill.load(tmp_path / "out").stream()
    stream.accept(noise)
    (ours,), (found,) = stream.finish().times, in_vosk(tmp_path / "vosk", tmp_path, noise)[0]["words"]
    assert found["word"] == ours.word == "high"
    assert found["end"] == pytest.approx(0.03 * ours.end, rel=0.3)


def test_finished_recognisers_become_folders_for_programs(tmp_path: Path) -> None:
    scales(world := plant(tmp_path, SENONES["30 ms, 1 states"]))
    assert run(world, "export", "model", "lang", "lm", "tuned", "out", "--to=safetensors") == 0
    with (world / "out/README.md").open("a") as card:
        card.write("\nCredit: the speakers.\n")
    assert main(["export", str(world / "out"), str(world / "vosk"), "--to", "vosk"]) == 0
    assert "Credit: the speakers." in (world / "vosk/README.md").read_text()
    assert (world / "vosk/graph/HCLG.fst").exists()
    assert_refused(["export", world / "out", world / "page", "--to", "web-int8"], world / "out", "int8", "web")
    assert_refused(["export", world / "out", world / "other", "--to", "int8"], "LANG", "OUT")


def test_networks_that_nnet3_cannot_hold_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scales(world := plant(tmp_path, SENONES["30 ms, 1 states"]))
    folders = [world / name for name in ("gru", "lang", "lm", "tuned", "other")]
    (world / "gru").mkdir()
    config = NetworkConfig(architecture="gru", layers=1, width=8, left=0, right=0)
    network, features = build_network(config, 20, 3), FbankOptions(bins=20).describe()
    save_model(world / "gru", network, config, SENONES["30 ms, 1 states"], np.zeros(3), features=features, updates=0)
    assert_refused(["export", *folders, "--to=vosk"], world / "gru", "nnet3", "tdnnf")
    meta = read_json(world / "model/meta.json")
    cepstra = {"type": "cepstra", "coefficients": 20, "floor": -3.0, "lifter": 0.0, "normalise": "none"}
    write_json(world / "model/meta.json", {**meta, "features": {**cepstra, "fbank": meta["features"]}})
    assert_refused(["export", world / "model", *folders[1:], "--to=vosk"], world / "model", "-3")
    write_json(world / "model/meta.json", meta)
    monkeypatch.setitem(sys.modules, "kaldifst", None)
    assert_refused(["export", world / "model", *folders[1:], "--to=vosk"], "kaldifst")
