"""Distributed training on the CPU (gloo), compared with a single process."""

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from asrdistill.cli import main
from asrdistill.models.dnn import Dnn
from asrdistill.models.options import NetworkConfig
from asrdistill.reader import read_json
from asrdistill.training import distributed, loop
from asrdistill.training.pool import Batch
from asrdistill.training.targets import HardTargets
from tests.refusals import assert_names

from ..conftest import Corpus

# 101 frames a batch: two processes never have the same number of them. Dropout is drawn for the whole batch.

pytestmark = pytest.mark.slow

OPTIONS = ["--layers", "2", "--width", "24", "--left", "2", "--right", "2", "--epochs", "2", "--batch", "101"]
OPTIONS += ["--dropout", "0.2", "--pool-frames", "2500", "--precision", "float32"]
ROOT = Path(__file__).resolve().parents[2]


def train(corpus, out: Path) -> list[str]:
    held_out = ["--held-out", str(corpus.features), str(corpus.alignment)]
    return ["nnet", "train", str(corpus.features), str(corpus.alignment), str(out), *held_out, *OPTIONS]


def torchrun(processes: int, *program: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run([*command, *program], env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A corpus with the model that two processes made of it, and after that one of another seed."""
    folder = tmp_path_factory.mktemp("world")
    corpus = Corpus(folder / "corpus", utterances=80)
    done = torchrun(2, "-m", "asrdistill", *train(corpus, folder / "two"), "--seeds", "0", "1")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("held_out_accuracy") == 4  # two epochs: the first process reports, the other does not
    assert (folder / "two.1/model.safetensors").is_file()
    return corpus, folder / "two.0"


def test_two_processes_make_the_model_of_one(world, tmp_path):
    corpus, two = world
    assert main(train(corpus, tmp_path / "one")) == 0
    assert main([*train(corpus, tmp_path / "start"), "--learning-rate", "0"]) == 0
    one, start, both = (load_file(f / "model.safetensors") for f in (tmp_path / "one", tmp_path / "start", two))
    # AdamW makes a whole step of a gradient that is 0 but for rounding, so a single bias may differ by more.
    moved = torch.cat([(one[name] - start[name]).flatten() for name in one])
    differ = torch.cat([(one[name] - both[name]).flatten() for name in one])
    assert differ.norm() <= 5e-4 * moved.norm()
    histories = [read_json(folder / "meta.json")["history"] for folder in (two, tmp_path / "one")]
    for found, expected in zip(*histories, strict=True):
        assert found == pytest.approx(expected, rel=5e-3)  # one or two frames of 4,700 may fall elsewhere


def test_killed_run_is_resumed_to_the_same_bytes(world, tmp_path):
    corpus, whole = world
    killer = tmp_path / "killer.py"
    killer.write_text(
        """
import os, signal, sys
from asrdistill.cli import main
from asrdistill.training import distributed, loop
loop.CHECKPOINT_SECONDS = -1  # after every pool
finish = loop._State.finish_pool
def finish_pool(self):
    finish(self)
    if distributed.rank() == 1 and (self.epoch, self.pool) == (1, 2):
        os.kill(os.getpid(), signal.SIGKILL)
loop._State.finish_pool = finish_pool
sys.exit(main(sys.argv[1:]))
"""
    )
    cut = tmp_path / "cut"
    assert torchrun(2, str(killer), *train(corpus, cut)).returncode != 0
    assert (tmp_path / ".cut.partial/checkpoint.safetensors").is_file()
    assert not cut.exists()
    done = torchrun(2, "-m", "asrdistill", *train(corpus, cut))
    assert re.search(r"after \d+ updates", done.stderr)
    for file in ("model.safetensors", "meta.json"):
        assert (cut / file).read_bytes() == (whole / file).read_bytes()


def test_refusal_of_the_first_process_ends_all(corpus, tmp_path):
    done = torchrun(2, "-m", "asrdistill", *train(corpus, corpus.features))  # a folder that training did not make
    assert done.returncode != 0
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("asrdistill nnet train: ")]
    assert_names(line, corpus.features)


@pytest.mark.parametrize("there", [False, True])
def test_other_processes_learn_the_folder_or_that_it_is_finished(there, tmp_path, monkeypatch):
    told, worked = [], []
    monkeypatch.setattr(distributed, "agree", lambda decide: told.append(decide()) or told[-1])
    for _ in range(1 + there):
        told.clear()
        worked.clear()
        distributed._lead(tmp_path / "out", worked.append, "train", {}, [])
    assert told == ([None] if there else worked)
    assert len(worked) == 1 - there


def test_shares_are_a_partition(monkeypatch):
    monkeypatch.setattr(distributed, "size", lambda: 4)
    for count in (0, 1, 3, 4, 10, 101):
        parts = []
        for rank in range(4):
            monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
            parts.append(list(range(count))[distributed.rank_slice(count)])
        assert list(itertools.chain(*parts)) == list(range(count))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_gradients_of_uneven_parts_have_the_whole_batch_as_their_mean(monkeypatch):
    windows, labels = torch.randn(7, 3, 3), torch.randint(0, 5, (7,))

    def gradients(rank: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss, and gradient of all weights, of one of `size` processes."""
        monkeypatch.setattr(distributed, "size", lambda: size)
        monkeypatch.setattr(distributed, "rank", lambda: rank)
        torch.manual_seed(0)
        model = Dnn(NetworkConfig(layers=1, width=16, left=1, right=1), features=3, senones=5).train()
        torch.nn.init.normal_(model.output.weight)
        share = distributed.rank_slice(7)
        batch = Batch(windows[share], [labels[share]], share.start, 7, False, False)
        loss = loop._update(model, torch.optim.SGD(model.parameters()), HardTargets(None), batch, 0.0, torch.float32)
        return loss, torch.cat([parameter.grad.flatten() for parameter in model.parameters()])

    loss, gradient = gradients(0, 1)
    for size in (2, 3, 9):  # of nine, two have no frame
        losses, parts = zip(*(gradients(rank, size) for rank in range(size)), strict=True)
        torch.testing.assert_close(sum(losses), loss, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(sum(parts) / size, gradient, rtol=1e-5, atol=1e-6)


def test_dropout_of_parts_is_that_of_the_whole():
    model = Dnn(NetworkConfig(layers=2, width=16, left=1, right=1, dropout=0.5), features=3, senones=5).train()
    torch.nn.init.normal_(model.output.weight)
    windows = torch.randn(7, 3, 3)
    torch.manual_seed(0)
    whole = model(windows)
    for first, last in ((0, 4), (4, 7), (2, 2)):
        torch.manual_seed(0)
        torch.testing.assert_close(model(windows[first:last], (first, 7)), whole[first:last])
