"""Training on chunks of frames: each frame once, with its own context."""

import dataclasses

import numpy as np
import pytest
import torch

from asrdistill.data.archive import FrameArchive
from asrdistill.distill.train import train_model
from asrdistill.models.dnn import Dnn
from asrdistill.models.network import pad
from asrdistill.models.options import NetworkConfig
from asrdistill.reader import read_json
from asrdistill.training import distributed, loop
from asrdistill.training.options import TrainOptions
from asrdistill.training.pool import Batch, FramePool
from asrdistill.training.targets import HardTargets
from tests.refusals import refused

CONTEXT = (4, 2)
OPTIONS = TrainOptions(architecture="tdnn", width=24, left=6, right=2, dilations=[1, 2], epochs=6, batch=64, chunk=16)
OPTIONS = dataclasses.replace(OPTIONS, learning_rate=3e-3, time_masks=1, time_mask=3, frequency_masks=1)
OPTIONS = dataclasses.replace(OPTIONS, frequency_mask=1)
STRIDE = dataclasses.replace(OPTIONS, stride=2, chunk=8, batch=32)
GRU = dataclasses.replace(OPTIONS, architecture="gru", layers=1, dropout=0.1)


def make_pool(corpus, chunk: int, **options) -> FramePool:
    features, labels = FrameArchive(corpus.features), FrameArchive(corpus.alignment)
    options = {"pool_frames": 500, "batch": 60, **options}
    return FramePool(features, HardTargets(labels), labels.utterances, CONTEXT, seed=3, chunk=chunk, **options)


@pytest.mark.parametrize("chunk", [2, 7, 1000])
def test_an_epoch_holds_every_frame_once_with_its_context(corpus, chunk, monkeypatch):
    monkeypatch.setattr("asrdistill.training.pool.BLOCK_FRAMES", 200)
    pool = make_pool(corpus, chunk)
    batches = list(pool.read(0, 0, 2, torch.device("cpu")))
    assert len(batches) == pool.updates(2)
    assert [b.ends_epoch for b in batches].count(True) == 2
    seen = []
    for batch in batches[: next(i for i, b in enumerate(batches, 1) if b.ends_epoch)]:
        assert batch.windows.shape[1] == sum(CONTEXT) + chunk
        assert batch.frames == len(batch.rows[0]) == int(batch.inside.sum())
        own = batch.windows.unfold(1, 7, 1).transpose(2, 3)[batch.inside]  # what each frame sees
        seen.append(torch.cat([own.flatten(1), batch.rows[0][:, None].float()], 1).numpy())
    features, labels, expected = FrameArchive(corpus.features), FrameArchive(corpus.alignment), []
    for name in features:
        padded = pad(features[name], CONTEXT)
        expected += [np.append(padded[t : t + 7].ravel(), s) for t, s in enumerate(labels[name])]
    found, expected = np.concatenate(seen), np.array(expected, np.float32)
    np.testing.assert_array_equal(found[np.lexsort(found.T)], expected[np.lexsort(expected.T)])


def test_chunks_of_one_frame_equal_frames(corpus):
    plain, chunks = (list(make_pool(corpus, 1).read(0, 0, 1, torch.device("cpu"))) for _ in range(2))
    frames = sum(FrameArchive(corpus.features).rows(u) for u in FrameArchive(corpus.features))
    assert sum(b.size for b in plain) == frames
    assert all(torch.equal(a.windows, b.windows) for a, b in zip(plain, chunks, strict=True))


@pytest.mark.parametrize("stride", [2, 3])
def test_stride_trains_on_every_nth_frame_of_a_chunk(corpus, stride):
    pool = make_pool(corpus, 5, stride=stride)
    batches = list(pool.read(0, 0, 1, torch.device("cpu")))
    features = np.concatenate([FrameArchive(corpus.features)[name] for name in FrameArchive(corpus.features)])
    number = {frame.tobytes(): t for t, frame in enumerate(features.astype(np.float32))}
    assert len(batches) == pool.updates(1)
    seen = []
    for batch in batches:
        assert batch.windows.shape[1] == sum(CONTEXT) + 4 * stride + 1
        for window, inside in zip(batch.windows[:, CONTEXT[0] :: stride], batch.inside, strict=True):
            frames = [number[frame.numpy().tobytes()] for frame in window[: len(inside)][inside]]
            assert frames == list(range(frames[0], frames[0] + len(frames) * stride, stride))
            seen += frames
    assert len(set(seen)) == len(seen)
    assert abs(len(seen) - pool.frames) <= stride * sum(b.size for b in batches)
    assert {t % stride for t in seen} == set(range(stride))


def fit(corpus, out, options=OPTIONS):
    out.mkdir(exist_ok=True)
    train_model(corpus.features, corpus.alignment, None, (corpus.features, corpus.alignment), options, out)
    return (out / "model.safetensors").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("options", [OPTIONS, STRIDE, GRU], ids=["tdnn", "stride", "gru"])
def test_planted_senones_are_learnt(corpus, tmp_path, options):
    fit(corpus, tmp_path / "model", dataclasses.replace(options, epochs=12, time_masks=0, frequency_masks=0))
    history = read_json(tmp_path / "model/meta.json")["history"]
    assert history[-1]["held_out_accuracy"] > 75  # the best possible is about 85; chance is 9


@pytest.mark.slow
@pytest.mark.parametrize("options", [OPTIONS, STRIDE, GRU], ids=["tdnn", "stride", "gru"])
def test_interrupted_and_resumed_gives_the_same_bytes(corpus, tmp_path, monkeypatch, options):
    whole = fit(corpus, tmp_path / "whole", options)
    assert fit(corpus, tmp_path / "again", options) == whole
    saved = loop._State.save

    def save(self):
        saved(self)
        if self.epoch == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop._State, "save", save)
    with pytest.raises(KeyboardInterrupt):
        fit(corpus, tmp_path / "cut", options)
    monkeypatch.setattr(loop._State, "save", saved)
    assert fit(corpus, tmp_path / "cut", options) == whole
    assert fit(corpus, tmp_path / "unmasked", dataclasses.replace(options, time_masks=0)) != whole


@pytest.mark.parametrize("changes", [{"chunk": 1}, {"stride": 0}])
def test_stride_without_chunks_is_refused(corpus, tmp_path, changes):
    with refused("stride"):
        fit(corpus, tmp_path / "model", dataclasses.replace(STRIDE, **changes))


@pytest.mark.slow
def test_a_recurrent_network_learns_in_bfloat16(corpus, tmp_path):
    fit(corpus, tmp_path / "model", dataclasses.replace(GRU, epochs=8, precision="bfloat16", time_masks=0))
    assert read_json(tmp_path / "model/meta.json")["history"][-1]["held_out_accuracy"] > 50


def test_gradients_of_uneven_parts_have_the_whole_batch_as_their_mean(monkeypatch):
    windows, labels = torch.randn(5, 6, 3), torch.randint(0, 5, (5, 4))
    inside = torch.arange(4)[None] < torch.tensor([4, 1, 4, 2, 3])[:, None]

    def gradients(rank: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        monkeypatch.setattr(distributed, "size", lambda: size)
        monkeypatch.setattr(distributed, "rank", lambda: rank)
        torch.manual_seed(0)
        model = Dnn(NetworkConfig(layers=1, width=16, left=1, right=1), features=3, senones=5).train()
        torch.nn.init.normal_(model.output.weight)
        share = distributed.rank_slice(5)
        rows = [labels[share][inside[share]]]
        batch = Batch(windows[share], rows, share.start, 5, False, False, inside[share], int(inside.sum()))
        loss = loop._update(model, torch.optim.SGD(model.parameters()), HardTargets(None), batch, 0.0, torch.float32)
        return loss, torch.cat([parameter.grad.flatten() for parameter in model.parameters()])

    loss, gradient = gradients(0, 1)
    for size in (2, 3):
        losses, parts = zip(*(gradients(rank, size) for rank in range(size)), strict=True)
        torch.testing.assert_close(sum(losses), loss, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(sum(parts) / size, gradient, rtol=1e-5, atol=1e-6)
