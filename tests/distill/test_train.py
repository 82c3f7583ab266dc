"""Training on unlabelled utterances and early stopping."""

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional

from asrdistill.cli import main
from asrdistill.data.archive import FrameArchive
from asrdistill.distill.train import train_model
from asrdistill.reader import read_json
from asrdistill.training.options import TrainOptions
from asrdistill.training.targets import UNLABELLED, HardTargets
from tests.refusals import refused

OPTIONS = TrainOptions(layers=1, width=16, left=2, right=1, epochs=4, batch=64, learning_rate=5e-3, precision="float32")


@pytest.fixture
def half(corpus, tmp_path):
    """The alignment of half of the utterances, and a teacher's soft targets of all."""
    assert main(["data", "subset", str(corpus.alignment), str(tmp_path / "half"), "--percent", "50"]) == 0
    (tmp_path / "teacher").mkdir()
    train_model(corpus.features, corpus.alignment, None, None, OPTIONS, tmp_path / "teacher")
    make = [
        "distill",
        "targets",
        str(tmp_path / "teacher"),
        str(corpus.features),
        str(tmp_path / "store"),
        "--keep",
        "4",
    ]
    assert main([*make, "--jobs", "1"]) == 0
    return tmp_path / "half"


def fit(corpus, alignment, store, out, options=OPTIONS, held_out=True):
    out.mkdir()
    train_model(
        corpus.features, alignment, store, (corpus.features, corpus.alignment) if held_out else None, options, out
    )
    return read_json(out / "meta.json")


def test_missing_labels_are_marked(corpus, half):
    labels, features = FrameArchive(half), FrameArchive(corpus.features)
    names = features.utterances[:6]
    [rows] = HardTargets(labels, features).gather(names)
    wanted = [corpus.labels[u] if u in labels else np.full(len(corpus.labels[u]), UNLABELLED) for u in names]
    assert {u in labels for u in names} == {True, False}
    np.testing.assert_array_equal(rows.numpy(), np.concatenate(wanted))


def test_unlabelled_frames_have_no_hard_gradient():
    logits = torch.randn(6, 5, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([3, UNLABELLED, 0, UNLABELLED, UNLABELLED, 4])
    HardTargets(None).loss(logits, [labels]).backward()
    for b, label in enumerate(labels.tolist()):
        if label == UNLABELLED:
            assert not logits.grad[b].any()
        else:
            expected = logits.detach()[b].softmax(-1) - functional.one_hot(torch.tensor(label), 5)
            torch.testing.assert_close(logits.grad[b], expected / 6)


def test_batch_without_labels_has_finite_loss():
    assert HardTargets(None).loss(torch.randn(3, 5), [torch.full((3,), UNLABELLED)]).item() == 0


def test_unlabelled_utterances_are_trained_on(corpus, half, tmp_path):
    store = tmp_path / "store"
    options = dataclasses.replace(OPTIONS, unlabelled=True)
    everything = fit(corpus, half, store, tmp_path / "everything", options)
    labelled = fit(corpus, half, store, tmp_path / "labelled")
    assert everything["updates"] > 1.8 * labelled["updates"]
    assert everything["history"][-1]["held_out_accuracy"] > labelled["history"][-1]["held_out_accuracy"]


def test_unlabelled_option_changes_nothing_if_all_have_labels(corpus, half, tmp_path):
    same = [
        fit(
            corpus,
            corpus.alignment,
            tmp_path / "store",
            tmp_path / str(flag),
            dataclasses.replace(OPTIONS, unlabelled=flag),
        )
        for flag in (False, True)
    ]
    assert same[0]["history"] == same[1]["history"]


def test_unlabelled_without_soft_targets_and_stopping_without_held_out_are_refused(corpus, half, tmp_path):
    with refused("--soft-targets"):
        fit(corpus, half, None, tmp_path / "a", dataclasses.replace(OPTIONS, unlabelled=True))
    with refused("omit", "unlabelled"):
        fit(corpus, half, tmp_path / "store", tmp_path / "c", dataclasses.replace(OPTIONS, unlabelled=True, omit=["A"]))
    with refused("--held-out"):
        fit(corpus, half, None, tmp_path / "b", dataclasses.replace(OPTIONS, early_stopping=True), held_out=False)


def test_the_best_epoch_is_kept(corpus, tmp_path, monkeypatch):
    """Held-out accuracies are planted; the second epoch's weights are those of a run that is looked at there."""
    from safetensors.torch import load_file

    from asrdistill.training import loop

    seen = []

    def measure(self, model, dtype, device):
        seen.append({name: value.clone() for name, value in model.state_dict().items()})
        return {"held_out_accuracy": [50.0, 70.0, 70.0, 60.0][len(seen) - 1], "held_out_cross_entropy": 1.0}

    monkeypatch.setattr(loop.HeldOut, "measure", measure)
    meta = fit(corpus, corpus.alignment, None, tmp_path / "early", dataclasses.replace(OPTIONS, early_stopping=True))
    kept = load_file(tmp_path / "early/model.safetensors")
    assert meta["kept_epoch"] == 2
    assert len(meta["history"]) == OPTIONS.epochs
    for name, value in seen[1].items():
        assert torch.equal(kept[name], value)
    assert not torch.equal(kept["output.weight"], seen[3]["output.weight"])
    files = {"events.out.tfevents.0", "meta.json", "model.safetensors", "senones.json"}
    assert {path.name for path in (tmp_path / "early").iterdir()} == files


def test_killed_early_stopping_is_resumed_to_the_same_bytes(corpus, tmp_path, monkeypatch):
    from asrdistill.training import loop

    options = dataclasses.replace(OPTIONS, early_stopping=True)
    fit(corpus, corpus.alignment, None, tmp_path / "whole", options)
    finish = loop._State.finish_epoch

    def killed(self, held_out):
        if self.epoch == 2:
            raise KeyboardInterrupt  # after the best weights were written, before the checkpoint
        finish(self, held_out)

    monkeypatch.setattr(loop._State, "finish_epoch", killed)
    with pytest.raises(KeyboardInterrupt):
        fit(corpus, corpus.alignment, None, tmp_path / "cut", options)
    monkeypatch.setattr(loop._State, "finish_epoch", finish)
    train_model(corpus.features, corpus.alignment, None, (corpus.features, corpus.alignment), options, tmp_path / "cut")
    for name in ("model.safetensors", "meta.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
