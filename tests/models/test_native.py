"""Networks that the native library runs, against torch and plain NumPy, on every set of instructions."""

import contextlib

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from asrdistill.core import layers
from asrdistill.core.layers import LARGEST, Layer, delayed
from asrdistill.decode.acoustic import open_network
from asrdistill.errors import UserError
from asrdistill.export.forms import write_form
from asrdistill.files import write_json
from asrdistill.hmm.senones import Senones
from asrdistill.models.io import load_model, load_network, save_model
from asrdistill.models.layout import pad
from asrdistill.models.options import NetworkConfig
from asrdistill.models.registry import build_network
from asrdistill.reader import read_json
from tests.refusals import refused

NETWORKS = {
    "dnn": {"layers": 2, "width": 40},
    "dnn without hidden layers' multiples of 16": {"layers": 1, "width": 19},
    "tdnn": {"architecture": "tdnn", "width": 36, "dilations": [1, 3, 3]},
    "tdnn of two taps": {"architecture": "tdnn", "width": 16, "dilations": [2, 3], "taps": 2},
    "tdnnf": {"architecture": "tdnnf", "width": 40, "dilations": [1, 3, 3]},
}
SETS = pytest.mark.parametrize("instructions", [0, 1, 2])


def frames(count: int, seed: int = 1) -> np.ndarray:
    return (4 * np.random.default_rng(seed).normal(size=(count, 7))).astype(np.float32)


def planted(tmp_path, name: str, every: int = 1, left: int = 16, right: int = 4):
    """A model folder with random weights."""
    torch.manual_seed(0)
    count = 21
    states = {"SIL": list(range(count))} if every == 1 else {"SIL": [0], **{f"P{n}": [n] for n in range(1, count)}}
    senones = Senones(list(states), states, np.full(count, -0.5), subsampling=every)
    config = NetworkConfig(left=left, right=right, **NETWORKS[name])
    module = build_network(config, 7, count)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
        module.mean.copy_(torch.randn(7) * 5)
        module.std.copy_(torch.rand(7) + 0.5)
    (tmp_path / "model").mkdir()
    priors = np.log(np.random.default_rng(0).dirichlet(np.ones(count))).astype(np.float32)
    save_model(tmp_path / "model", module, config, senones, priors, features={"type": "fbank"})
    return tmp_path / "model"


@SETS
@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("name", NETWORKS)
def test_scores_are_those_of_torch(name, every, instructions, tmp_path, monkeypatch):
    monkeypatch.setattr(layers, "INSTRUCTIONS", instructions)
    folder = planted(tmp_path, name, every)
    original, ours = load_model(folder), open_network(folder)
    assert (ours.context, ours.dimension) == (original.context, original.dimension)
    np.testing.assert_array_equal(ours.priors, original.priors)
    for count in (1, 2, 5, 133):
        np.testing.assert_allclose(
            ours.log_posteriors(frames(count)), original.log_posteriors(frames(count)), atol=1e-4, rtol=1e-5
        )


@SETS
@pytest.mark.parametrize("kind", ["float32", "int8"])
@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("name", NETWORKS)
def test_scores_of_pieces_are_those_of_the_whole(name, every, kind, instructions, tmp_path, monkeypatch):
    monkeypatch.setattr(layers, "INSTRUCTIONS", instructions)
    folder = planted(tmp_path, name, every)
    if kind == "int8":
        write_form("int8", folder, load_network(folder), [frames(200)], folder)
        write_json(folder / "meta.json", {**read_json(folder / "meta.json"), "kind": "int8"})
    model, features = open_network(folder), frames(60)
    whole, padded = model.log_posteriors(features), pad(features, model.context)
    for size in (3, 24):
        pieces = [model.forward_chunk(padded[at : at + size + 20])[0] for at in range(0, 60, size)]
        np.testing.assert_array_equal(np.concatenate(pieces)[: len(whole)], whole)


@SETS
def test_layers_of_bytes_add_up_exactly(instructions, monkeypatch):
    """The largest bytes and weights too: sums of two products would not fit into 16 bits if weights were larger."""
    monkeypatch.setattr(layers, "INSTRUCTIONS", instructions)
    rng = np.random.default_rng(0)
    for inputs, units, zero in ((1, 1, 0), (7, 5, 128), (64, 33, 0), (803, 40, 128)):
        weight = rng.integers(-LARGEST, LARGEST + 1, (units, inputs)).astype(np.int8)
        weight[0] = LARGEST
        x = rng.integers(0, 256, (30, inputs)).astype(np.float32) - zero
        x[0], x[1] = 1e9, -1e9  # beyond the bytes
        byte = (x + zero).clip(0, 255).astype(np.int64) - zero
        layer = Layer(weight, None, scale=np.ones(units, np.float32), factor=np.ones(inputs, np.float32), zero=zero)
        np.testing.assert_allclose(layer(x), byte @ weight.T.astype(np.int64), atol=1.5)  # of up to 13 million


@SETS
def test_windows_sums_and_delays_are_those_of_numpy(instructions, monkeypatch):
    monkeypatch.setattr(layers, "INSTRUCTIONS", instructions)
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(18, 15)).astype(np.float32), rng.normal(size=18).astype(np.float32)
    x, add = frames(40)[:, :5], rng.normal(size=(60, 20)).astype(np.float32)
    windows = np.array([x[t : t + 3].reshape(15) for t in range(0, 38, 2)])
    wanted = np.maximum(windows @ weight.T + bias, 0) + add[::2][:19, :18]
    np.testing.assert_allclose(Layer(weight, bias, relu=True)(x, 2, add[::2][:19, :18]), wanted, atol=1e-4)
    taps = rng.normal(size=(3, 5)).astype(np.float32)
    wanted = sum(x[4 * k :][:32] * taps[k] for k in range(3))[::3]
    np.testing.assert_allclose(delayed(x, taps, 4, 3), wanted, atol=1e-5)


def test_sizes_that_do_not_fit_are_refused():
    layer = Layer(np.zeros((4, 6), np.float32), None)
    assert layer(np.zeros((1, 3), np.float32)).shape == (0, 4)
    for wrong in (
        lambda: layer(np.zeros((5, 4), np.float32)),
        lambda: layer(np.zeros((5, 6), np.float32), add=np.zeros((4, 4), np.float32)),
        lambda: layer(np.zeros((5, 6), np.float32), add=np.zeros((5, 4))),
        lambda: delayed(np.zeros((9, 3), np.float32), np.zeros((3, 2), np.float32), 1, 1),
        lambda: Layer(np.zeros((4, 6), np.float32), np.zeros(3)),
        lambda: Layer(np.full((4, 6), LARGEST + 1, np.int8), None, scale=np.ones(4), factor=np.ones(6)),
        lambda: Layer(np.full((4, 6), -128, np.int8), None, scale=np.ones(4), factor=np.ones(6)),
    ):
        with pytest.raises(ValueError, match=r"."):
            wrong()


@pytest.mark.parametrize("kind", ["dnn", "int8"])
@pytest.mark.parametrize("name", ["dnn", "tdnn", "tdnnf"])
def test_folders_with_any_weights_and_settings_are_run_or_refused(name, kind, tmp_path):
    """Every tensor left out, of another shape or type; settings of other sizes: nothing is read beyond an array."""
    folder = planted(tmp_path, name)
    if kind == "int8":
        write_form("int8", folder, load_network(folder), [frames(200)], folder)
    meta, path = {**read_json(folder / "meta.json"), "kind": kind}, folder / "model.safetensors"
    write_json(folder / "meta.json", meta)
    arrays, wanted = load_file(path), open_network(folder).log_posteriors(frames(30))
    for tensor, array in arrays.items():
        for changed in (
            {**arrays, tensor: array[:-1]},
            {**arrays, tensor: array[None]},
            {**arrays, tensor: array.astype(np.float64)},
            {**arrays, f"{tensor}.other": array},
            {other: value for other, value in arrays.items() if other != tensor},
        ):
            save_file({key: np.ascontiguousarray(value) for key, value in changed.items()}, path)
            with refused(path):
                open_network(folder)
    save_file(arrays, path)
    for settings in (
        *({"width": width} for width in (1, 39, 41, 10**9)),
        *({"layers": number} for number in (1, 3)),
        *({"left": left} for left in (-1, 0, 15, 17, 10**12)),
        *({"right": right} for right in (-4, 3, 5)),
        *({"dilations": dilations} for dilations in ([], [1], [1, 3, 4], [3, 3, 1], [1, 3, 10**9])),
        *({"taps": taps} for taps in (1, 4)),
        *({"architecture": architecture} for architecture in ("dnn", "tdnn", "tdnnf")),
    ):
        write_json(folder / "meta.json", {**meta, "options": {**meta["options"], **settings}})
        with contextlib.suppress(UserError):
            assert open_network(folder).log_posteriors(frames(30)).shape == wanted.shape
