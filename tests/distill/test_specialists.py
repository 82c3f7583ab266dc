"""Specialists: training from the generalist, the dustbin, the folder of both, and the tables."""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from asrdistill.cli import main
from asrdistill.data.archive import FrameArchive
from asrdistill.distill.options import StoreOptions
from asrdistill.distill.specialists import Relabelled, read_specialty
from asrdistill.distill.store import make_store
from asrdistill.distill.train import train_model
from asrdistill.files import write_json
from asrdistill.hmm.senones import Senones
from asrdistill.models.acoustic import AcousticModel
from asrdistill.models.io import _load_single, load_model, save_specialists
from asrdistill.models.specialists import Specialists
from asrdistill.reader import read_json
from asrdistill.results.coverage import count, describe, tables
from asrdistill.results.info import describe as facts
from asrdistill.training.options import TrainOptions
from asrdistill.training.targets import HardTargets
from tests.refusals import assert_refused, refused

OPTIONS = TrainOptions(layers=1, width=48, left=0, right=0, epochs=6, batch=64, learning_rate=5e-3)
SETS = ([1, 2, 3], [3, 6, 8, 9])


def specialist(folder) -> AcousticModel:
    return _load_single(folder, read_json(folder / "meta.json"))


@pytest.fixture
def world(corpus, tmp_path):
    """A corpus with a trained generalist and two sets."""
    corpus.generalist, corpus.sets = tmp_path / "generalist", tmp_path / "sets"
    corpus.generalist.mkdir()
    train_model(corpus.features, corpus.alignment, None, None, OPTIONS, corpus.generalist)
    corpus.sets.mkdir()
    record = {"senones": corpus.senones.hash, "sets": [{"senones": own} for own in SETS]}
    write_json(corpus.sets / "sets.json", record)
    return corpus


def fit(world, out: Path, number=0, softmax="dustbin", store=None, options=OPTIONS) -> Path:
    out.mkdir(exist_ok=True)
    held_out = (world.features, world.alignment)
    special = (world.sets, number, softmax)
    train_model(world.features, world.alignment, store, held_out, options, out, world.generalist, special)
    return out


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def posteriors(model, features) -> np.ndarray:
    return np.concatenate([np.exp(model.log_posteriors(features[u])) for u in features])


def test_relabelled_alignment(world):
    labels = FrameArchive(world.alignment)
    specialty = read_specialty(world.sets, 1, "dustbin", labels, world.senones)
    relabelled = Relabelled(world.alignment, specialty.classes)
    expected = [SETS[1].index(s) if s in SETS[1] else 4 for s in labels["utt003"]]
    assert relabelled["utt003"].tolist() == expected
    np.testing.assert_array_equal(relabelled.read(["utt003"]), expected)


def test_share_is_that_of_the_own_frames(world):
    labels = FrameArchive(world.alignment)
    specialty = read_specialty(world.sets, 0, "dustbin", labels, world.senones)
    everything = np.concatenate([labels[u] for u in labels])
    assert specialty.share == np.isin(everything, SETS[0]).mean()
    assert specialty.correction == pytest.approx(np.log((1 - specialty.share) / specialty.share))


def test_starts_with_the_generalists_weights_and_a_dustbin_below_all_others_together(world):
    model = load_model(world.generalist)
    specialty = read_specialty(world.sets, 0, "dustbin", FrameArchive(world.alignment), world.senones)
    start = specialty.weights(model)
    others = [s for s in range(11) if s not in SETS[0]]
    hidden = torch.rand(500, 48)
    logits = hidden @ model.module.output.weight.T + model.module.output.bias
    begun = hidden @ start["output.weight"].T + start["output.bias"]
    torch.testing.assert_close(begun[:, :-1], logits[:, SETS[0]])
    assert (begun[:, -1] <= logits[:, others].logsumexp(-1) + 1e-5).all()
    assert torch.equal(start["hidden.0.weight"], model.module.hidden[0].weight)
    model.priors = np.full(11, 1 / 11)
    torch.testing.assert_close(
        specialty.weights(model)["output.bias"][-1], model.module.output.bias[others].mean() + np.log(len(others))
    )


@pytest.mark.slow
def test_corrected_dustbin_is_the_true_probability(tmp_path_factory, world):
    """Features without noise that say nothing but which of four kinds a frame is: the truth is a table of counts."""
    rng = np.random.default_rng(5)
    truth = rng.dirichlet(np.full(11, 0.5), size=4)
    kinds = {f"utt{i:03d}": rng.integers(4, size=400) for i in range(30)}
    labels = {u: np.array([rng.choice(11, p=truth[k]) for k in kind], np.int32) for u, kind in kinds.items()}
    folder = tmp_path_factory.mktemp("known")
    world.features, world.alignment = folder / "features", folder / "alignment"
    world.settings["bins"] = 4
    world.write_features(world.features, {u: np.eye(4)[kind] for u, kind in kinds.items()})
    world.write_alignment(world.alignment, labels)
    everything, kind = np.concatenate(list(labels.values())), np.concatenate(list(kinds.values()))
    frequency = np.stack([np.bincount(everything[kind == k], minlength=11) / (kind == k).sum() for k in range(4)])
    own = SETS[0]
    expected = np.concatenate([frequency[:, own], 1 - frequency[:, own].sum(1, keepdims=True)], 1)

    options = dataclasses.replace(OPTIONS, epochs=25, weight_decay=0.0)
    world.generalist = folder / "generalist"
    world.generalist.mkdir()
    train_model(world.features, world.alignment, None, None, dataclasses.replace(options, epochs=1), world.generalist)
    found = np.exp(specialist(fit(world, folder / "specialist", options=options)).log_posteriors(np.eye(4, dtype="f4")))
    np.testing.assert_allclose(found, expected, atol=0.03)
    share = np.isin(everything, own).mean()
    assert share < 0.4  # so that without the correction it would be far off
    raw = found * [*[(1 - share) / share] * 3, 1]
    assert np.abs(raw / raw.sum(1, keepdims=True) - expected).max() > 0.1


def test_full_softmax_with_soft_targets_predicts_what_is_true(world, tmp_path):
    store = tmp_path / "store"
    store.mkdir()
    make_store(world.generalist, world.features, store, StoreOptions(0, [2.0]), 1)
    made = fit(world, tmp_path / "full", 1, "full", store)
    assert "specialist" in read_json(made / "meta.json")
    p = posteriors(load_model(made), FrameArchive(world.features))
    labels = FrameArchive(world.alignment)
    everything = np.concatenate([labels[u] for u in labels])
    assert p[:, SETS[1]].sum(-1).mean() == pytest.approx(np.isin(everything, SETS[1]).mean(), abs=0.03)
    assert (p.argmax(-1) == everything).mean() > 0.75


def test_own_softmax_is_trained_on_its_own_frames_alone(world, tmp_path):
    labels = FrameArchive(world.alignment)
    mine = sum(int(np.isin(labels[utterance], SETS[1]).sum()) for utterance in labels)
    options = dataclasses.replace(OPTIONS, epochs=1, batch=10**6)
    model = specialist(fit(world, tmp_path / "short", 1, "own", options=options))
    assert model.module.output.out_features == len(SETS[1])
    assert model.meta["updates"] == 1
    begun = model.meta["history"][0]["loss"]  # in bfloat16 where that is faster
    assert begun == pytest.approx(generalists_loss(world, SETS[1]), rel=1e-2)
    pool = read_specialty(world.sets, 1, "own", labels, world.senones).pool(
        labels,
        features=FrameArchive(world.features),
        targets=HardTargets(labels),
        utterances=labels.utterances,
        context=(0, 0),
        pool_frames=10**6,
        batch=32,
        seed=0,
    )
    met = [int(s) for batch in pool.read(0, 0, 1, torch.device("cpu")) for s in batch.rows[0]]
    assert len(met) == mine
    assert set(met) == set(SETS[1])
    longer = specialist(fit(world, tmp_path / "longer", 1, "own"))
    assert longer.meta["history"][-1]["held_out_accuracy"] > 90  # of the own frames


def generalists_loss(world, own) -> float:
    """Cross-entropy of the generalist on a set's frames if only that set were to choose from."""
    everything = np.concatenate([FrameArchive(world.alignment)[u] for u in FrameArchive(world.features)])
    p = posteriors(load_model(world.generalist), FrameArchive(world.features))[np.isin(everything, own)]
    right = p[np.arange(len(p)), everything[np.isin(everything, own)]]
    return float(-np.log(right / p[:, own].sum(-1)).mean())


def test_own_softmax_leaves_the_rest_to_the_generalist(world, tmp_path):
    """In closed form where one speaks: its senones keep what they had together, the others what each had."""
    folder = tmp_path / "one"
    folder.mkdir()
    save_specialists(folder, world.generalist, [fit(world, tmp_path / "own.0", 0, "own")], 1)
    model, features = load_model(folder), FrameArchive(world.features)
    assert isinstance(model, Specialists)
    p, g = posteriors(model, features), posteriors(model.generalist, features)
    asked = np.isin(g.argmax(-1), SETS[0])
    others = [s for s in range(11) if s not in SETS[0]]
    np.testing.assert_array_equal(p[~asked], g[~asked])
    np.testing.assert_allclose(p[:, others], g[:, others], atol=1e-5)
    said = posteriors(model.members[0], features)[asked] * g[asked][:, SETS[0]].sum(-1, keepdims=True)
    np.testing.assert_allclose(p[asked][:, SETS[0]], (g[asked][:, SETS[0]] + said) / 2, atol=1e-5)


def test_specialist_beats_a_short_trained_generalist_on_its_set(world, tmp_path):
    model = specialist(fit(world, tmp_path / "s"))
    assert model.meta["history"][-1]["held_out_accuracy"] > 90  # of 4 outputs, the dustbin the most frequent
    assert model.module.output.out_features == 4


@pytest.mark.slow
def test_killed_and_resumed_gives_the_same_bytes(world, tmp_path, monkeypatch):
    monkeypatch.setattr("asrdistill.training.pool.BLOCK_FRAMES", 200)
    options = dataclasses.replace(OPTIONS, pool_frames=500, dropout=0.1)
    whole = fit(world, tmp_path / "whole", options=options)
    (tmp_path / "cut").mkdir()
    script = f"""
import os, signal
from pathlib import Path
from asrdistill.distill.train import train_model
from asrdistill.training import loop, pool
from asrdistill.training.options import TrainOptions
pool.BLOCK_FRAMES, loop.CHECKPOINT_SECONDS = 200, 0
saved = loop._State.save
def save(self):
    saved(self)
    if self.epoch == 3 and self.pool == 2:
        os.kill(os.getpid(), signal.SIGKILL)
loop._State.save = save
features, alignment = Path({str(world.features)!r}), Path({str(world.alignment)!r})
train_model(features, alignment, None, (features, alignment), {options!r}, Path({str(tmp_path / "cut")!r}),
            Path({str(world.generalist)!r}), (Path({str(world.sets)!r}), 0, "dustbin"))
"""
    done = subprocess.run([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert done.returncode == -signal.SIGKILL
    assert weights(fit(world, tmp_path / "cut", options=options)) == weights(whole)
    assert read_json(tmp_path / "cut/meta.json") == read_json(whole / "meta.json")


def test_training_starts_from_the_generalist(world, tmp_path):
    (tmp_path / "on").mkdir()
    options = dataclasses.replace(OPTIONS, epochs=1, learning_rate=1e-9, weight_decay=0.0, width=7)
    train_model(world.features, world.alignment, None, None, options, tmp_path / "on", world.generalist)
    features = FrameArchive(world.features)
    a, b = (posteriors(load_model(folder), features) for folder in (world.generalist, tmp_path / "on"))
    np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.fixture
def together(world, tmp_path):
    members = [fit(world, tmp_path / f"specialist.{k}", k) for k in range(2)]
    folder = tmp_path / "specialists"
    folder.mkdir()
    save_specialists(folder, world.generalist, members, 1)
    return folder


def test_folder_is_a_model(world, together, tmp_path):
    model = load_model(together)
    assert isinstance(model, Specialists)
    features = FrameArchive(world.features)
    p = posteriors(model, features)
    g = posteriors(model.generalist, features)
    np.testing.assert_allclose(p.sum(-1), 1, atol=1e-5)
    quiet = ~np.isin(g.argmax(-1), [*SETS[0], *SETS[1]])
    np.testing.assert_array_equal(p[quiet], g[quiet])
    alone = np.isin(g.argmax(-1), [1, 2])  # the first specialist alone, in closed form
    said = posteriors(model.members[0], features)[alone]
    np.testing.assert_allclose(p[alone][:, SETS[0]], (g[alone][:, SETS[0]] + said[:, :3]) / 2, atol=1e-5)
    others = [s for s in range(11) if s not in SETS[0]]
    mass = g[alone][:, others].sum(-1, keepdims=True)
    np.testing.assert_allclose(p[alone][:, others], g[alone][:, others] * (mass + said[:, 3:]) / (2 * mass), atol=1e-5)
    np.testing.assert_array_equal(model.priors, model.generalist.priors)
    assert model.meta["parameters"] == facts_parameters(together)


def facts_parameters(folder: Path) -> int:
    return int(dict(facts(folder))["parameters"].replace(",", ""))


def test_more_active_senones_choose_more_specialists(world, together, tmp_path):
    features = FrameArchive(world.features)["utt000"]
    model = load_model(together)
    log_p = torch.from_numpy(model.generalist.log_posteriors(features))
    few = sum(len(specialist.frames) for specialist in model.specialists(features, log_p))
    model.active = 3
    assert sum(len(specialist.frames) for specialist in model.specialists(features, log_p)) > few


def test_every_command_takes_it_as_a_model(world, together, tmp_path):
    data = [str(world.features), str(world.alignment)]
    assert main(["nnet", "evaluate", str(together), *data, str(tmp_path / "frames"), "--jobs", "1"]) == 0
    measured = read_json(tmp_path / "frames/frames.json")
    store = [str(together), data[0], str(tmp_path / "targets")]
    assert main(["distill", "targets", *store, "--keep", "4", "--jobs", "1"]) == 0
    assert FrameArchive(tmp_path / "targets").meta["combine"] == "kl"
    on = ["--on", *data, "--on", *data]
    shutil.copytree(world.generalist, tmp_path / "twin")
    out = tmp_path / "tables"
    command = ["distill", "coverage", str(together), str(out), *on, "--against", str(tmp_path / "twin")]
    assert main([*command, "--jobs", "1"]) == 0
    record = read_json(out / "specialists.json")
    systems = record["all"]["systems"]
    assert record["all"]["frames"] == 2 * measured["frames"]
    assert systems["specialists"]["correct"] == 2 * measured["correct"]
    assert sum(entry["frames"] for entry in record["by_coverage"]) == record["all"]["frames"]
    text = (out / "specialists.md").read_text()
    assert "| specialists that cover the senone | frames | generalist | specialists | twin |" in text
    assert systems["twin"] == systems["generalist"]
    assert dict(facts(together))["kind"] == "acoustic model: generalist and specialists"


def test_counts_by_coverage_and_within_sets():
    covers = np.array([[True, True, False], [False, True, False]])
    labels = np.array([0, 1, 1, 2])
    right = np.array([True, False, True, True])
    within = np.array([[True, True, False, True], [True, True, True, False]])
    assert count(covers, labels, right, within).tolist() == [1, 1, 1, 2, 2]
    sums = np.stack(
        [count(covers, labels, np.ones(4, bool), np.ones((2, 4), bool)), count(covers, labels, right, within)]
    )
    record = describe(["generalist"], sums, 2)
    assert record["all"]["systems"]["generalist"]["percent"] == 75
    assert record["conditional"] == {
        "frames": 5,
        "systems": {"generalist": {"correct": 4, "percent": 80, "relative": 0}},
    }
    assert [(entry["specialists"], entry["frames"]) for entry in record["by_coverage"]] == [(0, 1), (1, 1), (2, 2)]
    assert "| 2 | 2 | 50.0 |" in tables(record)


def test_arguments_that_do_not_fit_are_refused(world, together, tmp_path):
    data, start = [str(world.features), str(world.alignment)], ["--from", str(world.generalist)]
    out, sets = str(tmp_path / "x"), str(world.sets)
    one = str(tmp_path / "specialist.0")
    for arguments, names in (
        (["nnet", "train", *data, out, *start, "--specialist", sets, "2"], [world.sets, 2]),
        (["nnet", "train", *data, out, *start, "--specialist", sets, "first"], ["'first'"]),
        (["nnet", "train", *data, out, "--specialist", sets, "1"], ["--from"]),
        (["nnet", "train", *data, out, *start, "--softmax", "own"], ["--softmax", "--specialist"]),
        (
            ["nnet", "train", *data, out, *start, "--specialist", sets, "1", "--softmax", "full"],
            ["--softmax", "--soft-targets"],
        ),
        (["nnet", "train", *data, out, "--from", str(together)], [together]),
        (["nnet", "evaluate", one, *data, out], [one]),
        (["nnet", "ensemble", one, str(world.generalist), out], [one, "'specialist'"]),
        (
            ["nnet", "ensemble", str(world.generalist), out, "--generalist", str(world.generalist)],
            [world.generalist, "specialist"],
        ),
        (["nnet", "ensemble", one, out, "--generalist", one], [one]),
        (
            ["nnet", "ensemble", one, out, "--generalist", str(world.generalist), "--active", "0"],
            ["--active", 0],
        ),
        (["distill", "coverage", str(world.generalist), out, "--on", *data], [world.generalist]),
        (
            ["distill", "coverage", str(together), out, "--on", *data, "--against", str(world.generalist)],
            ["two", "generalist"],
        ),
    ):
        assert_refused(arguments, *names)
        assert not (tmp_path / "x").exists()


def test_generalist_of_other_senones_is_refused(world, tmp_path):
    states = {"SIL": [0, 1, 2, 3, 4], "A": [5, 6, 7], "B": [8, 9, 10]}
    world.senones = Senones(["SIL", "A", "B"], states, np.full(11, -0.7))
    world.write_alignment(tmp_path / "other", world.labels)
    with refused(world.generalist):
        train_model(world.features, tmp_path / "other", None, None, OPTIONS, tmp_path, world.generalist)


def test_set_absent_from_the_alignment_is_refused(world, tmp_path):
    world.write_alignment(tmp_path / "silent", {u: np.zeros_like(row) for u, row in world.labels.items()})
    world.alignment = tmp_path / "silent"
    with refused(world.alignment, "set 0", world.sets):
        fit(world, tmp_path / "s")
