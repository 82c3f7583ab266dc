"""DNNs trained in several widths."""

import dataclasses

import numpy as np
import pytest
import torch

from asrdistill.cli import main
from asrdistill.data.archive import FrameArchive
from asrdistill.distill.train import train_model
from asrdistill.models.dnn import Dnn, Widths
from asrdistill.models.io import load_model
from asrdistill.models.options import NetworkConfig
from asrdistill.reader import read_json
from asrdistill.training.options import TrainOptions
from tests.refusals import assert_refused, refused

OPTIONS = TrainOptions(layers=2, width=64, left=2, right=2, epochs=8, batch=64, learning_rate=3e-3)


def test_first_units_are_a_network_of_their_own():
    torch.manual_seed(0)
    options = NetworkConfig(layers=3, width=16, left=1, right=1)
    module = Dnn(options, 4, 7).eval()
    for value in module.parameters():
        torch.nn.init.normal_(value)
    features = torch.randn(2, 9, 4)
    logits = Widths(module, [0.25, 0.5, 1.0])(features)
    for number, units in enumerate((4, 8, 16)):
        slim, weights = Dnn(dataclasses.replace(options, width=units), 4, 7).eval(), module.state_dict()
        slim.load_state_dict(
            {name: weights[name][tuple(map(slice, value.shape))] for name, value in slim.state_dict().items()}
        )
        assert torch.equal(slim(features), logits[number])
    assert torch.equal(logits[2], module(features))


def test_every_width_is_trained_and_can_be_extracted(corpus, tmp_path):
    wide = tmp_path / "wide"
    wide.mkdir()
    train_model(corpus.features, corpus.alignment, None, None, dataclasses.replace(OPTIONS, widths=[0.25, 1.0]), wide)
    assert main(["nnet", "adjust", str(wide), str(tmp_path / "slim"), "--width", "0.25"]) == 0
    slim, whole = load_model(tmp_path / "slim"), load_model(wide)
    assert slim.module.hidden[0].out_features == 16
    assert "widths" not in read_json(tmp_path / "slim/meta.json")["options"]
    features, labels = FrameArchive(corpus.features), FrameArchive(corpus.alignment)
    for model in (slim, whole):
        right = np.concatenate([model.log_posteriors(features[u]).argmax(1) == labels[u] for u in labels])
        assert right.mean() > 0.7  # chance is 9 %
    (frames,) = [features[u] for u in labels.utterances[:1]]
    padded = torch.from_numpy(np.pad(frames, ((2, 2), (0, 0)), mode="edge"))[None]
    with torch.no_grad():
        assert torch.equal(slim.module(padded), whole.module(padded, None, 16))
    assert_refused(["nnet", "adjust", wide, tmp_path / "other", "--width", "0.5"], wide, "0.5", "0.25", 1)


def test_the_loss_is_the_mean_over_the_widths(corpus, tmp_path):
    """With all widths 1 the training is that of the plain network."""
    for name, widths in (("plain", []), ("same", [1.0, 1.0])):
        (tmp_path / name).mkdir()
        options = dataclasses.replace(OPTIONS, epochs=1, widths=widths)
        train_model(corpus.features, corpus.alignment, None, None, options, tmp_path / name)
    plain, same = (load_model(tmp_path / name).module.state_dict() for name in ("plain", "same"))
    for name, value in plain.items():
        torch.testing.assert_close(same[name], value, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("share", [0.0, 1.5, -1.0])
def test_impossible_widths_are_refused(share):
    with refused("widths", f"{share:g}"):
        dataclasses.replace(OPTIONS, widths=[1.0, share])
