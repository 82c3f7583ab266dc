import numpy as np
import torch

from asrdistill.data.archive import FrameArchive
from asrdistill.models.folder import pad
from asrdistill.training.pool import FramePool
from asrdistill.training.targets import HardTargets

CONTEXT = (4, 2)


def make_pool(corpus, pool_frames=10**6, batch=50, seed=3):
    features, labels = FrameArchive(corpus.features), FrameArchive(corpus.alignment)
    return FramePool(features, HardTargets(labels), labels.utterances, CONTEXT, pool_frames, batch, seed)


def batches(pool, epoch):
    for number in range(len(pool.plan(epoch))):
        yield from pool.read(epoch, number)


def expected_windows(corpus):
    """Every window with its senone, the slow way, as sortable rows."""
    features, labels = FrameArchive(corpus.features), FrameArchive(corpus.alignment)
    rows = []
    for name in features:
        padded = pad(features[name], CONTEXT)
        for t, senone in enumerate(labels[name]):
            rows.append(np.append(padded[t : t + 7].ravel(), senone))
    return np.array(rows, dtype=np.float32)


def in_order(rows):
    return rows[np.lexsort(rows.T)]


def test_an_epoch_holds_every_window_once(corpus, monkeypatch):
    monkeypatch.setattr("asrdistill.training.pool.BLOCK_FRAMES", 200)
    pool = make_pool(corpus, pool_frames=500)
    assert len(pool.plan(0)) > 2
    seen = [torch.cat([w.flatten(1), r[0][:, None].float()], 1).numpy() for w, r in batches(pool, 0)]
    np.testing.assert_array_equal(in_order(np.concatenate(seen)), in_order(expected_windows(corpus)))


def test_order_depends_on_seed_and_epoch_alone(corpus):
    first = [w for w, _ in batches(make_pool(corpus), 0)]
    again = [w for w, _ in batches(make_pool(corpus), 0)]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], next(batches(make_pool(corpus), 1))[0])
    assert not torch.equal(first[0], next(batches(make_pool(corpus, seed=4), 0))[0])


def test_updates_count_the_batches(corpus, monkeypatch):
    monkeypatch.setattr("asrdistill.training.pool.BLOCK_FRAMES", 200)
    pool = make_pool(corpus, pool_frames=500)
    assert pool.updates(2) == sum(1 for epoch in (0, 1) for _ in batches(pool, epoch))
