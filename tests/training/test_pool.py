import numpy as np
import pytest
import torch

from asrdistill.data.archive import FrameArchive
from asrdistill.models.network import pad
from asrdistill.training.pool import FramePool, read_ahead
from asrdistill.training.targets import HardTargets

CONTEXT = (4, 2)


def make_pool(corpus, pool_frames=10**6, batch=50, seed=3):
    features, labels = FrameArchive(corpus.features), FrameArchive(corpus.alignment)
    return FramePool(features, HardTargets(labels), labels.utterances, CONTEXT, pool_frames, batch, seed)


def batches(pool, epoch, number=0):
    return pool.read(epoch, number, epoch + 1, torch.device("cpu"))


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
    seen = [torch.cat([b.windows.flatten(1), b.rows[0][:, None].float()], 1).numpy() for b in batches(pool, 0)]
    np.testing.assert_array_equal(in_order(np.concatenate(seen)), in_order(expected_windows(corpus)))


def test_order_depends_on_seed_and_epoch_alone(corpus):
    first = [b.windows for b in batches(make_pool(corpus), 0)]
    again = [b.windows for b in batches(make_pool(corpus), 0)]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], next(batches(make_pool(corpus), 1)).windows)
    assert not torch.equal(first[0], next(batches(make_pool(corpus, seed=4), 0)).windows)


def test_updates_count_the_batches(corpus, monkeypatch):
    monkeypatch.setattr("asrdistill.training.pool.BLOCK_FRAMES", 200)
    pool = make_pool(corpus, pool_frames=500)
    assert pool.updates(2) == sum(1 for epoch in (0, 1) for _ in batches(pool, epoch))


def test_reading_resumes_from_any_pool(corpus, monkeypatch):
    monkeypatch.setattr("asrdistill.training.pool.BLOCK_FRAMES", 200)
    pool = make_pool(corpus, pool_frames=500)
    everything = list(pool.read(0, 0, 2, torch.device("cpu")))
    ends = [i for i, batch in enumerate(everything) if batch.ends_pool]
    assert len(ends) == len(pool.plan(0)) + len(pool.plan(1))
    assert [i for i, batch in enumerate(everything) if batch.ends_epoch] == [ends[len(pool.plan(0)) - 1], ends[-1]]
    rest = list(pool.read(0, 2, 2, torch.device("cpu")))
    assert len(rest) == len(everything) - ends[1] - 1
    assert all(torch.equal(a.windows, b.windows) for a, b in zip(rest, everything[ends[1] + 1 :], strict=True))


def test_processes_divide_every_batch(corpus, monkeypatch):
    whole = list(batches(make_pool(corpus), 0))
    parts = []
    for rank in range(3):
        monkeypatch.setattr("asrdistill.training.distributed.size", lambda: 3)
        monkeypatch.setattr("asrdistill.training.distributed.rank", lambda rank=rank: rank)
        parts.append(list(batches(make_pool(corpus), 0)))
    for batch, *shares in zip(whole, *parts, strict=True):
        assert all(part.size == batch.size == len(batch.windows) for part in shares)
        assert [part.first for part in shares] == np.cumsum([0, *(len(part.windows) for part in shares)])[:-1].tolist()
        assert torch.equal(torch.cat([part.windows for part in shares]), batch.windows)
        assert torch.equal(torch.cat([part.rows[0] for part in shares]), batch.rows[0])


def test_reading_ahead_keeps_the_order_and_hands_on_errors():
    def items():
        yield from range(3)
        raise OSError("the disk is gone")

    ahead = read_ahead(items())
    assert [next(ahead) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="the disk is gone"):
        next(ahead)
