"""Utterances in batches, long recordings in chunks, and bfloat16 against one utterance at a time in float32."""

import multiprocessing

import numpy as np
import pytest
import torch

from asrdistill.models import acoustic, inference
from asrdistill.models.acoustic import AcousticModel
from asrdistill.models.device import choose_device
from asrdistill.models.ensemble import Ensemble
from asrdistill.models.inference import Compute, posteriors
from tests.models.test_subsampling import CONFIGS, EVERY_CONFIG, FULL, SENONES, frames, model_of
from tests.refusals import refused

LENGTHS = (40, 3, 17, 1, 90, 41, 40, 2)


def one_by_one(model) -> list[np.ndarray]:
    return [model.log_posteriors(frames(count)) for count in LENGTHS]


@EVERY_CONFIG
@pytest.mark.parametrize("senones", [SENONES, FULL], ids=["low", "full"])
def test_batches_give_the_posteriors_of_each_utterance(config, senones, monkeypatch):
    model, sizes = model_of(config, senones), []
    wanted = one_by_one(model)
    run = AcousticModel._run
    monkeypatch.setattr(AcousticModel, "batches", True)
    monkeypatch.setattr(AcousticModel, "_run", lambda self, batch: sizes.append(len(batch)) or run(self, batch))
    monkeypatch.setattr(inference, "BATCH", 130)
    monkeypatch.setattr(inference, "WINDOW", 150)
    found = list(posteriors(model, map(frames, LENGTHS)))
    assert max(sizes) > 2
    assert sum(sizes) == len(LENGTHS)
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_batches_stay_within_their_size(monkeypatch):
    monkeypatch.setattr(inference, "BATCH", 100)
    window = [frames(count) for count in LENGTHS]
    order = sorted(range(len(window)), key=lambda i: len(window[i]))
    batches = list(inference._batches(order, window))
    assert sorted(i for batch in batches for i in batch) == list(range(len(window)))
    assert all(len(batch) * max(len(window[i]) for i in batch) <= 100 for batch in batches)


def test_an_ensemble_takes_batches_too(monkeypatch):
    ensemble = Ensemble([model_of(CONFIGS["dnn"]), model_of(CONFIGS["tdnnf"])], "geometric", {"features": {}})
    wanted = one_by_one(ensemble)
    monkeypatch.setattr(AcousticModel, "batches", True)
    for ours, theirs in zip(posteriors(ensemble, map(frames, LENGTHS)), wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


@EVERY_CONFIG
def test_long_recordings_go_chunk_by_chunk(config, monkeypatch):
    model = model_of(config)
    wanted = model.log_posteriors(frames(92))
    monkeypatch.setattr(acoustic, "LONGEST", 20)
    np.testing.assert_allclose(model.log_posteriors(frames(92)), wanted, atol=1e-4)


def test_half_a_batch_is_tried_where_memory_ends(monkeypatch):
    model = model_of(CONFIGS["dnn"])
    wanted, run = one_by_one(model), AcousticModel._run

    def limited(self, batch):
        if len(batch) > most:
            raise torch.OutOfMemoryError
        return run(self, batch)

    monkeypatch.setattr(AcousticModel, "_run", limited)
    most = 4
    found = model.log_posteriors_of([frames(count) for count in LENGTHS])
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    most = 3
    with refused("cpu", "--jobs"):
        model.log_posteriors_of([frames(count) for count in LENGTHS])


def test_bfloat16_is_near():
    model = model_of(CONFIGS["tdnn"])
    coarse = AcousticModel(model.module, SENONES, model.priors, {}, Compute("cpu", "bfloat16"))
    wanted, found = model.logits(frames(50)), coarse.logits(frames(50))
    assert found.dtype == torch.float32
    assert 0 < (found - wanted).abs().max() < 0.03 * wanted.abs().max()


def test_worker_processes_take_turns_among_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda number: None)
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    with refused("number 2"):
        choose_device("cuda:2")
    with refused("tpu"):
        choose_device("tpu")
    for number, device in ((1, 0), (2, 1), (3, 0)):
        monkeypatch.setattr(multiprocessing.current_process(), "_identity", (number,))
        assert choose_device("auto") == torch.device("cuda", device)
