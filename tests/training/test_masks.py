"""Time and frequency masks: size, place, seed."""

import dataclasses

import pytest
import torch

from asrdistill.training.loop import covered, masked
from asrdistill.training.options import TrainOptions
from tests.refusals import refused

CPU = torch.device("cpu")


def test_masks_are_uniform_in_size_and_place():
    torch.manual_seed(0)
    hidden = covered(1, 4, 10, (0, 30_000), 30_000, CPU)
    sizes = hidden.sum(1)
    for size in range(5):
        assert (sizes == size).float().mean() == pytest.approx(1 / 5, abs=0.01)
    edges = hidden.int().diff(dim=1, prepend=torch.zeros(len(hidden), 1)).clamp(min=0).sum(1)
    assert edges.max() == 1  # no holes
    begins = hidden[sizes == 4].int().argmax(1)
    assert torch.bincount(begins).tolist() == pytest.approx([len(begins) / 7] * 7, rel=0.1)


def test_masks_do_not_exceed_the_input():
    assert covered(1, 99, 5, (0, 500), 500, CPU).sum(1).max() == 5


def test_masked_places_hold_the_mean_and_others_are_untouched():
    torch.manual_seed(1)
    windows, fill = torch.randn(200, 12, 6), torch.arange(6.0)
    options = TrainOptions(time_masks=2, time_mask=3, frequency_masks=1, frequency_mask=2)
    found = masked(windows, fill, (0, 200), options)
    changed = found != windows
    assert torch.equal(found[changed], fill.expand_as(found)[changed])
    frames, features = changed.all(2).sum(1), changed.all(1).sum(1)
    assert frames.max() == 6
    assert features.max() == 2
    assert (changed == (changed.all(2)[:, :, None] | changed.all(1)[:, None])).all()
    assert masked(windows, fill, (0, 200), TrainOptions()) is windows


def test_masks_depend_on_the_seed_and_not_on_the_process():
    windows, fill = torch.randn(9, 12, 6), torch.zeros(6)
    options = TrainOptions(time_masks=1, time_mask=6, frequency_masks=1, frequency_mask=4)

    def draw(first: int, last: int) -> torch.Tensor:
        torch.manual_seed(5)
        return masked(windows[first:last], fill, (first, 9), options)

    assert torch.equal(draw(0, 9), draw(0, 9))
    assert torch.equal(torch.cat([draw(0, 4), draw(4, 9)]), draw(0, 9))


@pytest.mark.parametrize("name", ["time_masks", "time_mask", "frequency_masks", "frequency_mask"])
def test_negative_masks_are_refused(name):
    with refused(name, -1):
        dataclasses.replace(TrainOptions(), **{name: -1})
