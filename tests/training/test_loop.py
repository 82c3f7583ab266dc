import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from asrdistill.data.archive import FrameArchive
from asrdistill.distill.train import train_model
from asrdistill.reader import read_json
from asrdistill.training.options import TrainOptions
from tests.refusals import assert_refused, refused

OPTIONS = TrainOptions(layers=2, width=32, left=2, right=2, epochs=6, batch=64, dropout=0.1, learning_rate=3e-3)


def fit(corpus, out: Path, options=OPTIONS):
    out.mkdir(exist_ok=True)
    train_model(corpus.features, corpus.alignment, None, (corpus.features, corpus.alignment), options, out)
    return out


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_planted_senones_are_learnt(corpus, tmp_path):
    history = read_json(fit(corpus, tmp_path / "model") / "meta.json")["history"]
    assert len(history) == OPTIONS.epochs
    assert history[-1]["held_out_accuracy"] > 75  # the best possible is about 85; chance is 9
    assert history[-1]["loss"] < 0.6 * history[0]["loss"]


def test_same_seed_same_bytes(corpus, tmp_path):
    assert weights(fit(corpus, tmp_path / "a")) == weights(fit(corpus, tmp_path / "b"))
    other = fit(corpus, tmp_path / "c", dataclasses.replace(OPTIONS, seed=1))
    assert weights(other) != weights(tmp_path / "a")


@pytest.mark.slow
@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_killed_and_resumed_gives_the_same_bytes(corpus, tmp_path, optimiser):
    options = dataclasses.replace(OPTIONS, optimiser=optimiser)
    whole = fit(corpus, tmp_path / "whole", options)
    script = """
import os, signal
from pathlib import Path
from asrdistill.training import loop
from tests_helper import fit
saved = loop._State.save
def save(self):
    saved(self)
    if self.epoch == 3:
        os.kill(os.getpid(), signal.SIGKILL)
loop._State.save = save
fit()
"""
    helper = f"""
from pathlib import Path
from asrdistill.distill.train import train_model
from asrdistill.training.options import TrainOptions
def fit():
    features, alignment = Path({str(corpus.features)!r}), Path({str(corpus.alignment)!r})
    train_model(features, alignment, None, (features, alignment), {options!r}, Path({str(tmp_path / "cut")!r}))
"""
    (tmp_path / "tests_helper.py").write_text(helper)
    (tmp_path / "cut").mkdir()
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "cut/checkpoint.safetensors").is_file()
    assert weights(fit(corpus, tmp_path / "cut", options)) == weights(whole)
    assert read_json(tmp_path / "cut/meta.json") == read_json(whole / "meta.json")


def test_damaged_checkpoint_is_refused(corpus, tmp_path):
    (tmp_path / "model").mkdir()
    checkpoint = tmp_path / "model/checkpoint.safetensors"
    save_file({"x": torch.zeros(1000)}, checkpoint)
    checkpoint.write_bytes(checkpoint.read_bytes()[:500])
    with refused(checkpoint):
        fit(corpus, tmp_path / "model")


def test_alignment_of_other_length_is_refused(corpus, tmp_path):
    labels = dict(corpus.labels)
    labels["utt005"] = labels["utt005"][:-1]
    corpus.write_alignment(tmp_path / "short", labels)
    frames = FrameArchive(corpus.features).rows("utt005")
    with refused("utt005", f"{frames} frames", frames - 1, corpus.features, tmp_path / "short"):
        train_model(corpus.features, tmp_path / "short", None, None, OPTIONS, tmp_path)


@pytest.mark.parametrize("bad", [{"temperature": 0.0}, {"temperature": -2.0}, {"epochs": 0}, {"dropout": 1.0}])
def test_impossible_options_are_refused(bad):
    with refused(*bad, *(f"{value:g}" for value in bad.values())):
        dataclasses.replace(OPTIONS, **bad)


def test_unknown_configuration_key_is_refused(corpus, tmp_path):
    (tmp_path / "conf.yaml").write_text("epoch: 3\n")
    command = ["nnet", "train", str(corpus.features), str(corpus.alignment), str(tmp_path / "out")]
    assert_refused([*command, "--config", tmp_path / "conf.yaml"], tmp_path / "conf.yaml", "'epoch'", "'epochs'")
    assert not (tmp_path / "out").exists()
