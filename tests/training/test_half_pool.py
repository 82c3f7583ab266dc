"""Batches half of which are a specialist's own senones."""

from collections import Counter

import numpy as np
import pytest
import torch

from asrdistill.data.archive import FrameArchive
from asrdistill.training.pool import FramePool, HalfPool
from asrdistill.training.targets import HardTargets
from tests.refusals import refused

OWN = (1, 6)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr("asrdistill.training.pool.BLOCK_FRAMES", 200)


def make_pool(corpus, own=OWN, pool_frames=500, batch=20, cls=HalfPool):
    features, labels = FrameArchive(corpus.features), FrameArchive(corpus.alignment)
    mine = np.isin(np.arange(corpus.senones.count), own)
    more = {"labels": labels, "own": mine} if cls is HalfPool else {}
    return cls(features, HardTargets(labels), labels.utterances, (0, 0), pool_frames, batch, 3, **more)


def read(pool, epoch=0, first=0, epochs=1):
    return list(pool.read(epoch, first, epochs, torch.device("cpu")))


def frames_of(corpus, own):
    features, labels = FrameArchive(corpus.features), FrameArchive(corpus.alignment)
    return Counter(features[u][t].tobytes() for u in features for t in np.flatnonzero(np.isin(labels[u], own)))


def test_half_of_every_batch_are_own_frames(corpus):
    for batch in read(make_pool(corpus), epochs=2):
        assert abs(2 * np.isin(batch.rows[0], OWN).sum() - batch.size) <= 1
        assert 15 <= batch.size <= 20


def test_own_frames_are_drawn_once_an_epoch_and_others_at_most_once(corpus):
    for epoch in range(2):
        batches = read(make_pool(corpus), epoch, epochs=epoch + 1)
        seen = [
            (frame.numpy().tobytes(), int(label))
            for b in batches
            for frame, label in zip(b.windows, b.rows[0], strict=True)
        ]
        assert Counter(frame for frame, label in seen if label in OWN) == frames_of(corpus, OWN)
        others = Counter(frame for frame, label in seen if label not in OWN)
        assert max(others.values()) == 1
        assert sum(others.values()) == sum(frames_of(corpus, OWN).values())


def test_others_differ_from_epoch_to_epoch(corpus):
    first, second = (
        {f.numpy().tobytes() for b in read(make_pool(corpus), e, epochs=e + 1) for f in b.windows} for e in (0, 1)
    )
    assert first != second


def test_counts_are_those_of_the_batches(corpus):
    pool = make_pool(corpus)
    batches = read(pool, epochs=3)
    assert len(batches) == pool.updates(3)
    assert sum(batch.size for batch in batches) == 3 * pool.frames
    assert sum(batch.ends_pool for batch in batches) == sum(len(pool.plan(epoch)) for epoch in range(3))


def test_training_resumes_from_any_pool(corpus):
    everything = read(make_pool(corpus), epochs=2)
    second = next(i for i, batch in enumerate(everything) if batch.ends_pool) + 1
    rest = read(make_pool(corpus), first=1, epochs=2)
    assert all(torch.equal(a.windows, b.windows) for a, b in zip(rest, everything[second:], strict=True))


def test_every_pool_holds_own_frames(corpus):
    """Own frames in one utterance alone: blocks without them go with others."""
    labels = {name: np.zeros_like(row) for name, row in corpus.labels.items()}
    labels["utt007"][3:9] = 1
    corpus.write_alignment(corpus.folder / "rare", labels)
    corpus.alignment = corpus.folder / "rare"
    pool = make_pool(corpus, own=(1,))
    for epoch in range(3):
        assert all(any(pool.draws[block] for block in blocks) for blocks in pool.plan(epoch))
        assert sorted(block for blocks in pool.plan(epoch) for block in blocks) == list(range(len(pool.blocks)))
    assert sum(batch.size for batch in read(pool, epochs=3)) == 36


def test_specialist_without_frames_is_refused(corpus):
    with refused(corpus.alignment, "0 senones"):
        make_pool(corpus, own=())


def test_common_pools_are_as_they_were(corpus):
    pool = make_pool(corpus, cls=FramePool)
    assert pool.frames == FrameArchive(corpus.features).total_rows
    order = np.random.default_rng((3, 0)).permutation(len(pool.blocks))
    assert [block for blocks in pool.plan(0) for block in blocks] == order.tolist()
