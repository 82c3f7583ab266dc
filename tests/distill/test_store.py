import dataclasses
import weakref

import numpy as np
import pytest
import torch

from asrdistill.data.archive import FrameArchive
from asrdistill.distill import store as module
from asrdistill.distill.losses import soft_cross_entropy
from asrdistill.distill.options import StoreOptions
from asrdistill.distill.store import SoftTargets, check_store, make_store, truncate
from asrdistill.distill.train import train_model
from asrdistill.hmm.senones import log_priors
from asrdistill.models.dnn import Dnn
from asrdistill.models.io import load_model, save_ensemble, save_model
from asrdistill.training.options import TrainOptions
from tests.refusals import refused

OPTIONS = TrainOptions(layers=1, width=16, left=2, right=1, epochs=1, batch=64)


def write_teacher(corpus, folder, seed=0):
    torch.manual_seed(seed)
    model = Dnn(OPTIONS, 6, corpus.senones.count)
    torch.nn.init.normal_(model.output.weight)
    folder.mkdir()
    priors = log_priors(FrameArchive(corpus.alignment), corpus.senones.count)
    save_model(folder, model, OPTIONS, corpus.senones, priors, features=corpus.settings, updates=0, seed=seed)
    return folder


@pytest.fixture
def ensemble(corpus, tmp_path):
    members = [write_teacher(corpus, tmp_path / f"teacher.{seed}", seed) for seed in range(3)]
    folder = tmp_path / "ensemble"
    folder.mkdir()
    save_ensemble(folder, members, "arithmetic")
    return folder


def make(corpus, ensemble, folder, keep=4, temperatures=(1.0, 2.0), jobs=1):
    folder.mkdir()
    make_store(ensemble, corpus.features, folder, StoreOptions(keep, list(temperatures)), jobs)
    return FrameArchive(folder)


def test_truncation_keeps_all_mass_in_sum():
    logp = torch.randn(7, 11, dtype=torch.float64).log_softmax(-1)
    top, rest, outside = truncate(logp, 3, [1.0, 4.0])
    for column, temperature in enumerate((1.0, 4.0)):
        softened = (logp / temperature).exp()
        inside = softened.gather(-1, top.indices).sum(-1)
        torch.testing.assert_close(inside + rest[:, column].exp(), softened.sum(-1))
        others = (softened / softened.sum(-1, keepdim=True)).scatter(-1, top.indices, 0)
        torch.testing.assert_close(outside[column], others)


def test_tails_are_the_states_mean_rest(corpus, ensemble, tmp_path):
    store, features = make(corpus, ensemble, tmp_path / "store"), FrameArchive(corpus.features)
    logp = torch.from_numpy(np.concatenate([load_model(ensemble).log_posteriors(features[u]) for u in features]))
    owner = SoftTargets(store, 2.0).owner
    p = (logp / 2).softmax(-1)
    outside = p.scatter(-1, logp.topk(4).indices, 0)
    state = owner[logp.argmax(-1)]
    for number in state.unique():
        mean = outside[state == number].sum(0) + outside.sum(0) / outside.sum()
        torch.testing.assert_close(SoftTargets(store, 2.0).tails[number], mean / mean.sum(), rtol=1e-3, atol=1e-4)


def test_damaged_tails_are_refused(corpus, ensemble, tmp_path):
    store = make(corpus, ensemble, tmp_path / "store")
    (store.folder / "tails.safetensors").write_bytes(b"cut short")
    with refused(store.folder / "tails.safetensors"):
        SoftTargets(store, 2.0)


def test_dense_store_gives_the_dense_loss(corpus, ensemble, tmp_path):
    store = make(corpus, ensemble, tmp_path / "store", keep=0)
    targets = SoftTargets(store, 2.0)
    names = store.utterances[:3]
    logp = np.concatenate([load_model(ensemble).log_posteriors(FrameArchive(corpus.features)[n]) for n in names])
    logits = torch.randn(len(logp), corpus.senones.count)
    wanted = 4 * soft_cross_entropy(logits, (torch.from_numpy(logp) / 2).softmax(-1), 2.0)
    torch.testing.assert_close(targets.loss(logits, targets.gather(names)), wanted, rtol=2e-3, atol=1e-4)


def test_arithmetic_and_geometric_means(corpus, ensemble, tmp_path):
    frames = FrameArchive(corpus.features)["utt000"]
    loaded = load_model(ensemble)
    members = np.stack([np.exp(m.log_posteriors(frames)) for m in loaded.members])
    np.testing.assert_allclose(np.exp(loaded.log_posteriors(frames)), members.mean(0), rtol=1e-4, atol=1e-7)
    loaded.combine = "geometric"
    product = members.prod(0) ** (1 / 3)
    np.testing.assert_allclose(
        np.exp(loaded.log_posteriors(frames)), product / product.sum(-1, keepdims=True), rtol=1e-3, atol=1e-7
    )


def seen(corpus, folder, *utterances):
    corpus.write_alignment(folder, {name: corpus.labels[name] for name in utterances})
    return folder


def test_unseen_excludes_members_trained_on_the_utterance(corpus, ensemble, tmp_path):
    """By each utterance's own members, one by one: the posteriors of those, averaged by hand."""
    train_alignments = [
        seen(corpus, tmp_path / "a", "utt000", "utt001"),
        seen(corpus, tmp_path / "b", "utt000", "utt002"),
        seen(corpus, tmp_path / "c", "utt000", "utt001", "utt002"),
    ]
    features, members = FrameArchive(corpus.features), load_model(ensemble).members
    (tmp_path / "store").mkdir()
    make_store(
        ensemble, corpus.features, tmp_path / "store", StoreOptions(0, [1.0]), 2, train_alignments=train_alignments
    )
    store = FrameArchive(tmp_path / "store")
    for utterance, asked in (("utt000", (0, 1, 2)), ("utt001", (1,)), ("utt002", (0,)), ("utt003", (0, 1, 2))):
        said = np.mean([np.exp(members[k].log_posteriors(features[utterance])) for k in asked], axis=0)
        ids, logp = (store.read([utterance], part) for part in ("ids", "logp"))
        np.testing.assert_allclose(
            np.exp(logp.astype(np.float32)), np.take_along_axis(said, ids, 1), rtol=5e-3, atol=1e-6
        )


def test_unseen_with_too_few_alignments_is_refused(corpus, ensemble, tmp_path):
    one = seen(corpus, tmp_path / "a", "utt000")
    for model, train_alignments, names in (
        (ensemble, [one], ["3 members", "--unseen", "1 alignments"]),
        (ensemble.parent / "teacher.0", [one], ["ensemble"]),
    ):
        with refused(model, *names):
            make_store(
                model,
                corpus.features,
                tmp_path / "store",
                StoreOptions(0),
                1,
                train_alignments=train_alignments,
            )


def test_store_does_not_depend_on_jobs(corpus, ensemble, tmp_path):
    one, two = (make(corpus, ensemble, tmp_path / f"s{jobs}", jobs=jobs) for jobs in (1, 2))
    assert one.hash == two.hash


def test_tails_are_accumulated_in_order(corpus, ensemble, tmp_path, monkeypatch):
    """However many shards there are, those of one or two are held."""
    whole = make(corpus, ensemble, tmp_path / "whole")
    held, most = [], []
    write_shard = module._write_shard

    def write(*task):
        record, kept, tails = write_shard(*task)
        held.append(weakref.ref(tails))
        most.append(sum(tail() is not None for tail in held))
        return record, kept, tails

    monkeypatch.setattr(module, "_write_shard", write)
    monkeypatch.setattr(module, "SHARD_UTTERANCES", 2)
    parts = make(corpus, ensemble, tmp_path / "parts")
    assert len(most) == len(corpus.labels) // 2
    assert max(most) <= 2
    assert parts.meta["kept_mass"] == pytest.approx(whole.meta["kept_mass"])
    torch.testing.assert_close(SoftTargets(parts, 2.0).tails, SoftTargets(whole, 2.0).tails)


def test_unknown_temperature_is_refused(corpus, ensemble, tmp_path):
    store = make(corpus, ensemble, tmp_path / "store")
    with refused(store.folder, 5, 1, 2):
        SoftTargets(store, 5.0)


@pytest.mark.parametrize(
    ("keep", "temperatures", "names"),
    [(15, [1.0], [15, "11 senones"]), (4, [0.0], ["temperatures", 0]), (4, [-1.0], ["temperatures", -1])],
)
def test_impossible_stores_are_refused(corpus, ensemble, tmp_path, keep, temperatures, names):
    with refused(*names):
        make(corpus, ensemble, tmp_path / "store", keep, temperatures)


def test_store_of_other_features_senones_or_utterances_is_refused(corpus, ensemble, tmp_path):
    store, features = make(corpus, ensemble, tmp_path / "store"), FrameArchive(corpus.features)
    check_store(store, features, corpus.senones.hash, features.utterances)
    with refused(store.folder, "senone"):
        check_store(store, features, "other", features.utterances)
    with refused("utterance utt999", corpus.features, store.folder):
        check_store(store, features, corpus.senones.hash, ["utt999"])
    features.meta["hash"] = "changed"
    with refused(store.folder, corpus.features):
        check_store(store, features, corpus.senones.hash, features.utterances)
    with refused(corpus.features, "soft-targets"):
        FrameArchive(corpus.features, "soft-targets")


@pytest.mark.slow
def test_student_recovers_the_ensemble(corpus, ensemble, tmp_path):
    """Without hard targets a student of the teachers' form comes close to the teachers' distribution."""
    store = make(corpus, ensemble, tmp_path / "store", keep=0)
    options = dataclasses.replace(OPTIONS, width=128, epochs=60, hard_weight=0.0, batch=32, learning_rate=5e-3)
    out = tmp_path / "student"
    out.mkdir()
    train_model(corpus.features, corpus.alignment, store.folder, None, options, out)
    frames = FrameArchive(corpus.features)
    student, teacher = load_model(out), load_model(ensemble)
    p, q = (np.concatenate([m.log_posteriors(frames[u]) for u in frames]) for m in (teacher, student))
    divergence = (np.exp(p) * (p - q)).sum(-1).mean()
    from_uniform = np.log(corpus.senones.count) + (np.exp(p) * p).sum(-1).mean()  # what an untrained student has
    assert divergence < 0.2 * from_uniform  # of what an untrained student has
