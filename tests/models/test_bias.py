"""Phones left out of training, and the bias that recovers them."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from asrdistill.cli import main
from asrdistill.data.archive import FrameArchive
from asrdistill.distill.options import StoreOptions
from asrdistill.distill.store import SoftTargets, StoredLogits, make_store
from asrdistill.distill.train import train_model
from asrdistill.models.adjust import best_offset
from asrdistill.models.io import load_model, replace_tensor
from asrdistill.reader import read_json
from asrdistill.training.loop import constrain
from asrdistill.training.options import TrainOptions
from tests.refusals import assert_refused, refused

OPTIONS = TrainOptions(
    layers=1, width=32, left=1, right=1, epochs=12, batch=64, learning_rate=5e-3, precision="float32"
)


def trained(corpus, out: Path, store: Path | None = None, **options: object) -> Path:
    out.mkdir()
    train_model(corpus.features, corpus.alignment, store, None, dataclasses.replace(OPTIONS, **options), out)
    return out


def measured(corpus, model: Path, out: Path) -> dict:
    assert (
        main(["nnet", "evaluate", str(model), str(corpus.features), str(corpus.alignment), str(out), "--jobs", "1"])
        == 0
    )
    return read_json(out / "frames.json")


def right_frames(inside: np.ndarray, outside: np.ndarray, offset: float) -> int:
    return int((inside < offset).sum() + (outside > offset).sum())


@pytest.mark.parametrize("seed", range(20))
def test_the_offset_is_the_best_of_all(seed):
    rng = np.random.default_rng(seed)
    inside, outside = rng.integers(-5, 6, rng.integers(1, 9)), rng.integers(-3, 8, rng.integers(1, 9))  # with ties
    offset, right = best_offset(inside.astype(float), outside.astype(float))
    assert right == right_frames(inside, outside, offset)
    assert right == max(right_frames(inside, outside, at) for at in np.arange(-8, 9, 0.25))


def test_offset_lies_in_the_middle_of_the_widest_optimum():
    assert best_offset(np.array([0.0, 1.0]), np.array([5.0, 0.2])) == (3.0, 3)
    assert best_offset(np.array([]), np.array([])) == (0.0, 0)


@pytest.mark.slow
def test_a_planted_offset_is_recovered(corpus, tmp_path):
    """A good model whose logits of P1 were lowered by 6 gets them back, and its accuracy with them."""
    good = trained(corpus, tmp_path / "good")
    spoilt = tmp_path / "spoilt"
    tensors_before = load_model(good).module.output.bias.detach().clone()
    spoilt.mkdir()
    chosen = corpus.senones.of_phones(["P1"])
    offsets = torch.from_numpy(np.where(chosen, -6.0, 0.0).astype(np.float32))
    replace_tensor(good, "output.bias", load_model(good).module.output.bias.detach() + offsets, spoilt)
    for name in ("meta.json", "senones.json"):
        (spoilt / name).write_bytes((good / name).read_bytes())
    out = tmp_path / "out"
    argv = ["nnet", "adjust", spoilt, out, "--bias", corpus.features, corpus.alignment, "--phones", "P1", "--jobs", "1"]
    assert main([str(word) for word in argv]) == 0
    found = read_json(out / "meta.json")["bias"]
    assert found["offset"] == pytest.approx(6, abs=1.5)
    accuracy = [measured(corpus, model, tmp_path / f"frames.{model.name}") for model in (good, spoilt, out)]
    assert accuracy[2]["correct"] >= accuracy[0]["correct"] > accuracy[1]["correct"]
    assert (found["right"], found["right_without"]) == (accuracy[2]["correct"], accuracy[1]["correct"])
    moved = load_model(out).module.output.bias - tensors_before
    torch.testing.assert_close(moved, torch.where(torch.from_numpy(chosen), found["offset"] - 6, 0.0).float())


def test_frames_are_counted_by_phone(corpus, tmp_path):
    model = trained(corpus, tmp_path / "model")
    found = measured(corpus, model, tmp_path / "frames")
    features, phone = FrameArchive(corpus.features), corpus.senones.phone
    network, slow = load_model(model), {name: [0, 0] for name in corpus.senones.states}
    for utterance, labels in corpus.labels.items():
        best = network.log_posteriors(features[utterance]).argmax(1)
        for label, guess in zip(labels, best, strict=True):
            entry = slow[list(slow)[phone[label]]]
            entry[0] += 1
            entry[1] += int(guess == label)
    assert found["phones"] == {name: {"frames": n, "correct": k} for name, (n, k) in slow.items()}
    assert sum(n for n, _ in slow.values()) == found["frames"]


def test_bias_recovers_a_phone_absent_from_the_transfer_set(corpus, tmp_path):
    teacher = trained(corpus, tmp_path / "teacher")
    (tmp_path / "store").mkdir()
    make_store(teacher, corpus.features, tmp_path / "store", StoreOptions(0, [4.0]), 1)
    student = {"temperature": 4.0, "hard_weight": 0.0, "omit": ["P1"], "epochs": 30}
    soft = trained(corpus, tmp_path / "soft", tmp_path / "store", **student)
    hard = trained(corpus, tmp_path / "hard", omit=["P1"], epochs=30)
    assert read_json(soft / "meta.json")["omitted"] == ["P1"]
    for model in (soft, hard):
        held_out = [corpus.features, corpus.alignment]
        argv = ["nnet", "adjust", model, f"{model}_bias", "--bias", *held_out, "--phones", "P1", "--jobs", "1"]
        assert main([str(word) for word in argv]) == 0
    names = ("soft", "soft_bias", "hard", "hard_bias")
    found = {name: measured(corpus, tmp_path / name, tmp_path / f"frames.{name}") for name in names}
    right = {
        name: record["phones"]["P1"]["correct"] / record["phones"]["P1"]["frames"] for name, record in found.items()
    }
    assert right["soft_bias"] > max(right["soft"], right["hard_bias"] + 0.1)
    assert right["hard"] == 0


def test_omitted_frames_are_not_trained_on(corpus, tmp_path):
    """Other labels and targets on them change nothing."""
    one = trained(corpus, tmp_path / "one", omit=["P2"], epochs=2)
    changed = corpus.senones.of_phones(["P2"])
    other = {u: np.where(changed[row], changed.argmax(), row).astype(np.int32) for u, row in corpus.labels.items()}
    corpus.alignment = tmp_path / "other"
    corpus.write_alignment(corpus.alignment, other)
    two = trained(corpus, tmp_path / "two", omit=["P2"], epochs=2)
    for a, b in zip(load_model(one).module.parameters(), load_model(two).module.parameters(), strict=True):
        assert torch.equal(a, b)
    assert (
        read_json(one / "meta.json")["updates"]
        < read_json(trained(corpus, tmp_path / "x", epochs=2) / "meta.json")["updates"]
    )


@pytest.mark.parametrize(
    ("argv", "names"),
    [
        (["--phones", "ZZ"], ["ZZ", "SIL", "P1", "P2"]),
        (["--phones", "SIL", "P1", "P2"], ["senones"]),
    ],
)
def test_unknown_and_all_phones_are_refused(corpus, tmp_path, argv, names):
    model = trained(corpus, tmp_path / "model", epochs=1)
    common = [model, tmp_path / "out", "--bias", corpus.features, corpus.alignment]
    assert_refused(["nnet", "adjust", *common, *argv], *names)


def test_omitting_every_phone_is_refused(corpus, tmp_path):
    with refused("omit"):
        trained(corpus, tmp_path / "model", omit=["SIL", "P1", "P2"])
    with refused("max_norm", -1):
        trained(corpus, tmp_path / "model2", max_norm=-1.0)


def test_weights_are_held_to_their_norm(corpus, tmp_path):
    model = load_model(trained(corpus, tmp_path / "model", max_norm=0.7)).module
    norms = torch.cat([layer.weight.norm(dim=1) for layer in (*model.hidden, model.output)]).detach()
    assert norms.max().item() == pytest.approx(0.7, rel=1e-4)  # reached, and never passed
    assert norms.max() <= 0.7001
    linear = torch.nn.Linear(3, 2)
    linear.weight.data = torch.tensor([[3.0, 0.0, 4.0], [0.3, 0.0, 0.4]])
    constrain(linear, 1.0)
    torch.testing.assert_close(linear.weight.data, torch.tensor([[0.6, 0.0, 0.8], [0.3, 0.0, 0.4]]), rtol=1e-5, atol=0)


def test_student_trained_on_logits_matches_its_teachers(corpus, tmp_path):
    teacher = trained(corpus, tmp_path / "teacher")
    for keep, name in ((0, "all"), (4, "some")):
        (tmp_path / name).mkdir()
        make_store(teacher, corpus.features, tmp_path / name, StoreOptions(keep, [2.0]), 1)
    student = {"hard_weight": 0.0, "epochs": 60, "loss": "logits"}
    found = load_model(trained(corpus, tmp_path / "student", tmp_path / "all", **student))
    features = FrameArchive(corpus.features)
    z, v = (np.concatenate([m.logits(features[u]).numpy() for u in features]) for m in (found, load_model(teacher)))
    z, v = z - z.mean(1, keepdims=True), v - v.mean(1, keepdims=True)
    assert np.square(z - v).mean() < 0.05 * np.square(v).mean()
    with refused(tmp_path / "some", "4 of 11 senones", "--keep"):
        trained(corpus, tmp_path / "other", tmp_path / "some", **student)
    store = FrameArchive(tmp_path / "all")
    assert StoredLogits(store, 11).loss(torch.from_numpy(v), StoredLogits(store, 11).gather(features.utterances)) < 1e-3
    assert SoftTargets(store, 2.0).column == 0


def test_hard_targets_are_a_named_loss(corpus, tmp_path):
    teacher = trained(corpus, tmp_path / "teacher", epochs=1)
    (tmp_path / "store").mkdir()
    make_store(teacher, corpus.features, tmp_path / "store", StoreOptions(0, [2.0]), 1)
    named = load_model(trained(corpus, tmp_path / "named", tmp_path / "store", loss="hard", epochs=2)).module
    plain = load_model(trained(corpus, tmp_path / "plain", epochs=2)).module
    assert all(torch.equal(a, b) for a, b in zip(named.parameters(), plain.parameters(), strict=True))
