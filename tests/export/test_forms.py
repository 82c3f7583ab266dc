"""Each export format, compared with the network itself."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from asrdistill.core.layers import LARGEST
from asrdistill.export import int8 as export_int8
from asrdistill.export import kaldi as export_kaldi
from asrdistill.export import onnx as export_onnx
from asrdistill.export.onnx import _layers, _smoothed, ends_of
from asrdistill.export.options import INT8
from asrdistill.files import sha256, write_json
from asrdistill.hmm.formats.kaldi import read_symbols, read_transitions, senones_of
from asrdistill.hmm.senones import Senones
from asrdistill.models.dnn import Dnn
from asrdistill.models.io import load_model, save_model
from asrdistill.models.network import pad
from asrdistill.models.options import NetworkConfig
from asrdistill.reader import read_json
from tests.export.exported import exported
from tests.refusals import refused
from tests.trees import between

FBANK = {"type": "fbank", "rate": 8000, "bins": 6, "low": 60.0, "high": 3800.0, "frame_length": 25.0}
FBANK |= {"frame_shift": 10.0, "preemphasis": 0.97, "snip_edges": True}
QUESTION = {"left": "SIL B", "yes": {"right": "A_B A_E", "yes": 5, "no": 6}, "no": 7}
STATES = {"SIL": [0, 1, 2, 3, 4], "A": [QUESTION, 8, 9], "B": [10, {"right": "B SIL", "yes": 11, "no": 12}, 13]}
PHONES = ["SIL", "A_B", "A_E", "B"]  # two share the trees of A, one of which asks which it is
STATES["A"][1] = {"centre": "A_E", "yes": 8, "no": 14}


@pytest.fixture
def folder(tmp_path):
    """A model folder with a random network, some of whose units are a hundred times as large as others."""
    torch.manual_seed(0)
    senones = Senones(PHONES, STATES, np.log(np.linspace(0.3, 0.8, 15)))
    options = NetworkConfig(layers=3, width=48, left=3, right=2)
    module = Dnn(options, 6, senones.count)
    with torch.no_grad():
        module.mean.copy_(torch.randn(6) * 5)
        module.std.copy_(torch.rand(6) + 0.5)
        for layer in [*module.hidden, module.output]:
            layer.weight.copy_(torch.randn_like(layer.weight) * (2 / layer.in_features) ** 0.5)
            layer.bias.copy_(torch.randn_like(layer.bias) * 0.3)
        module.hidden[1].weight[::7] *= 30
        module.hidden[2].weight[:, ::7] /= 30
        module.hidden[0].bias[5] = -100  # never active
    folder = tmp_path / "model"
    folder.mkdir()
    priors = np.log(np.random.default_rng(0).dirichlet(np.ones(15))).astype(np.float32)
    save_model(folder, module, options, senones, priors, features=FBANK, frame_shift=0.01, updates=0)
    return folder


def frames(count: int, seed: int = 1) -> np.ndarray:
    return (4 * np.random.default_rng(seed).normal(size=(count, 6))).astype(np.float32)


@pytest.mark.parametrize("form", ["safetensors", "onnx", "torchscript", "kaldi"])
def test_float_forms_give_the_original_scores(form, folder, tmp_path):
    original, other = load_model(folder), exported(form, folder, tmp_path / "out")
    for count in (1, 2, 77):
        wanted, found = original.log_posteriors(frames(count)), other.log_posteriors(frames(count))
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, wanted, atol=2e-4)


def unevened(peak, layer):
    return np.ones_like(peak), layer, float(peak.max())


@pytest.mark.parametrize("form", INT8)
def test_int8_differs_by_rounding_alone(form, folder, tmp_path, monkeypatch):
    original, calibration = load_model(folder), [frames(500), frames(500, 2)]
    wanted, features = original.log_posteriors(frames(400, 3)), frames(400, 3)

    def error(found: np.ndarray) -> float:
        return float(np.sqrt(np.square(found - wanted)[wanted > -7].mean()))

    found = exported(form, folder, tmp_path / "out", calibration).log_posteriors(features)
    assert 0 < error(found) < 0.25
    assert (found.argmax(1) == wanted.argmax(1)).mean() > 0.95
    np.testing.assert_allclose(np.exp(found).sum(1), 1, atol=1e-5)
    for module in (export_int8, export_onnx):
        monkeypatch.setattr(module, "evened", unevened)
    rough = exported(form, folder, tmp_path / "rough", calibration).log_posteriors(features)
    assert error(rough) > 2 * error(found)


@pytest.mark.parametrize("form", INT8)
def test_int8_output_depends_on_the_context_alone(form, folder, tmp_path):
    other = exported(form, folder, tmp_path / "out", [frames(500)])
    features = frames(60, 4)
    features[40:] *= 5  # whole utterances reach farther than pieces of them
    whole, padded = other.log_posteriors(features), pad(features, (3, 2))
    for begin in range(0, 60, 16):
        piece = other.forward_chunk(padded[begin : begin + 16 + 5])[0]
        np.testing.assert_allclose(piece, whole[begin : begin + 16], atol=1e-5)


def test_int8_holds_small_integers(folder, tmp_path):
    exported("onnx-int8", folder, tmp_path / "out", [frames(500)])
    graph = onnx.load(tmp_path / "out/model.onnx").graph
    weights = [onnx.numpy_helper.to_array(constant) for constant in graph.initializer if constant.data_type == 3]
    weights = [weight for weight in weights if weight.ndim == 2]
    assert [weight.shape for weight in weights] == [(36, 48), (48, 48), (48, 48), (48, 15)]
    for weight in weights:  # two products with a byte fit into 16 bits, and each unit uses the whole range
        assert np.abs(weight).max(0).tolist() == [LARGEST] * weight.shape[1]


def test_smoothing_keeps_the_function(folder):
    module = load_model(folder).module
    first, *peaks = (ends.max(0) for ends in ends_of(module, [frames(500)]).values())
    layers, tops = _smoothed(_layers(module), [peak.copy() for peak in peaks])
    x = (frames(300, 5)[:, None] + np.zeros((1, 6, 1), np.float32)).reshape(300, 36)
    for (weight, bias), (other, other_bias) in zip(_layers(module)[:1], layers[:1], strict=True):
        assert not np.allclose(weight, other)
        assert not np.allclose(bias, other_bias)
    outputs = []
    for version in (_layers(module), layers):
        y = x
        for weight, bias in version[:-1]:
            y = np.maximum(y @ weight + bias, 0)
        outputs.append(y @ version[-1][0] + version[-1][1])
    np.testing.assert_allclose(*outputs, rtol=1e-3, atol=1e-3)
    spread = [peak.max() / np.median(peak) for peak in peaks]
    assert tops[1] / np.median(peaks[1]) < spread[1]  # the large units of the second layer are smaller now
    assert first.max() > 3


class Tokens:
    """A model in text form, read as Kaldi's ExpectToken, ReadBasicType and Matrix::Read do."""

    def __init__(self, text: str):
        self.words = text.split()[::-1]

    def expect(self, *wanted: str) -> None:
        for token in wanted:
            assert self.words.pop() == token

    def value(self, token: str) -> float:
        self.expect(token)
        return float(self.words.pop())

    def vector(self, token: str) -> np.ndarray:
        self.expect(token, "[")
        return np.array(list(iter(self.words.pop, "]")), np.float32)


def kaldi_log_posteriors(text: str, features: np.ndarray, context: tuple[int, int]) -> tuple[np.ndarray, Tokens]:
    """The output of an nnet3 network in text form; the rest of the file."""
    config, text = text.split("\n\n", 1)
    lines = config.split("\n")
    assert lines[0] == "<Nnet3> "  # Kaldi takes one space with the token, and then wants the rest of the line empty
    offsets = [f"Offset(normalise, {t})" if t else "normalise" for t in range(-context[0], context[1] + 1)]
    names = ["normalise", *(f"hidden.{i}.{part}" for i in (0, 1, 2) for part in ("affine", "relu"))]
    names += ["output.affine", "log-softmax"]
    sources = ["input", f"Append({', '.join(offsets)})", *names[1:-1]]
    nodes = [f"component-node name={n} component={n} input={s}" for n, s in zip(names, sources, strict=True)]
    ends = ["input-node name=input dim=6"], ["output-node name=output input=log-softmax objective=linear"]
    assert lines[1:] == ends[0] + nodes + ends[1]
    tokens, x = Tokens(text), pad(features, context)
    assert tokens.value("<NumComponents>") == len(names)
    for name in names:
        tokens.expect("<ComponentName>", name)
        if name == "hidden.0.affine":
            x = np.concatenate([x[t : t + len(features)] for t in range(sum(context) + 1)], axis=1)
        kind = tokens.words.pop().strip("<>")
        if kind in ("FixedAffineComponent", "NaturalGradientAffineComponent"):
            if kind[0] == "N":
                assert tokens.value("<MaxChange>") > 0
                assert tokens.value("<LearningRate>") > 0
            weight, bias = tokens.vector("<LinearParams>").reshape(-1, x.shape[1]), tokens.vector("<BiasParams>")
            x = x @ weight.T + bias
            if kind[0] == "N":
                assert tokens.value("<RankIn>") < weight.shape[1]
                assert tokens.value("<RankOut>") < weight.shape[0]
                assert [tokens.value(t) for t in ("<UpdatePeriod>", "<NumSamplesHistory>", "<Alpha>")] == [4, 2000, 4]
        else:
            assert tokens.value("<Dim>") == x.shape[1]
            assert len(tokens.vector("<ValueAvg>")) == len(tokens.vector("<DerivAvg>")) == 0
            assert tokens.value("<Count>") == 0
            assert tokens.value("<NumDimsSelfRepaired>") == tokens.value("<NumDimsProcessed>") == 0
            x = np.maximum(x, 0) if kind == "RectifiedLinearComponent" else x - np.logaddexp.reduce(x, 1)[:, None]
        tokens.expect(f"</{kind}>")
    tokens.expect("</Nnet3>")
    return x, tokens


def test_kaldi_reads_the_network(folder, tmp_path):
    exported("kaldi", folder, tmp_path / "out")
    _, text = (tmp_path / "out/final.mdl").read_text().split("</TransitionModel> \n")
    found, tokens = kaldi_log_posteriors(text, frames(50), (3, 2))
    np.testing.assert_allclose(found, load_model(folder).log_posteriors(frames(50)), atol=2e-4)
    assert [tokens.value("<LeftContext>"), tokens.value("<RightContext>")] == [3, 2]
    np.testing.assert_array_equal(tokens.vector("<Priors>"), load_model(folder).priors)
    assert tokens.words == []


def test_kaldi_reads_the_hmms(folder, tmp_path):
    exported("kaldi", folder, tmp_path / "out")
    ours, model = Senones.read(folder), tmp_path / "out/final.mdl"
    transitions, symbols = read_transitions(model), read_symbols(tmp_path / "out/phones.txt")
    theirs = senones_of(transitions, symbols, "SIL", tmp_path / "out/tree")
    assert theirs.phones == ours.phones
    for left in PHONES:
        for phone in PHONES:
            for right in PHONES:
                assert between(theirs, left, phone, right) == between(ours, left, phone, right)
    assert "[ 0 1 4 ]" in (tmp_path / "out/tree").read_text()  # SIL and B, and beyond the ends
    logs = np.array(model.read_text().split("<LogProbs>")[1].split("]")[0].split()[1:], np.float64)
    for number in range(1, len(logs)):
        pdf = transitions.pdf[number]
        wanted = ours.self_loop[pdf] if transitions.loop[number] else ours.forward[pdf]
        assert logs[number] == pytest.approx(wanted, rel=1e-6)
    assert len(logs) == len(transitions.pdf)


def test_hmms_are_read_by_kaldi_hmm_gmm(tmp_path):
    """Kaldi's transition model and tree, as the package kaldi-hmm-gmm has them."""
    if not find_spec("kaldi_hmm_gmm"):
        pytest.skip("kaldi-hmm-gmm is not installed")
    states = {"SIL": [0, 1, 2, 3, 4], "A": [5, 6, 7], "B": [8, 9, 10]}
    senones = Senones(["SIL", "A", "B"], states, np.full(11, -0.5))
    with open(tmp_path / "final.mdl", "wb") as file:
        export_kaldi._write_hmms(export_kaldi.Writer(file), senones)
    text = (tmp_path / "final.mdl").read_text()
    oracle = [sys.executable, Path(__file__).with_name("kaldi_hmm.py"), tmp_path / "final.mdl", tmp_path / "tree"]
    theirs = json.loads(subprocess.run(oracle, capture_output=True, check=True, timeout=300).stdout)
    ours = np.array(text.split("<Triples>")[1].split("</Triples>")[0].split()[1:], int).reshape(-1, 3)
    assert theirs["tuples"] == ours.tolist()
    assert theirs["log_probs"] == len(text.split("<LogProbs>")[1].split("]")[0].split()) - 1
    assert all(loop == number % 2 for number, loop in enumerate(theirs["self_loops"], 1))
    ours = "".join(export_kaldi._event_map(senones, {"SIL": 1, "A": 2, "B": 3})).replace("TE 1", "TE 0", 1)
    assert (tmp_path / "tree").read_text() == f"ContextDependency 1 0 ToPdf {ours}EndContextDependency "


def test_missing_package_is_refused_with_its_extra(folder, tmp_path, monkeypatch):
    exported("onnx", folder, tmp_path / "out")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with refused(tmp_path / "out" / "model.onnx", "'asrdistill[onnx]'"):
        load_model(tmp_path / "out")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with refused("onnx", "'asrdistill[onnx]'"):
        exported("onnx", folder, tmp_path / "other")


@pytest.mark.parametrize("form", ["safetensors", "onnx", "int8", "torchscript", "kaldi"])
def test_a_changed_file_is_refused(form, folder, tmp_path):
    out = tmp_path / "out"
    exported(form, folder, out, [frames(500)])
    for name in read_json(out / "meta.json")["export"]["sha256"]:
        content = (out / name).read_bytes()
        (out / name).write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
        with refused(out / name, "SHA-256"):
            load_model(out)
        (out / name).unlink()
        with refused(out / name):
            load_model(out)
        (out / name).write_bytes(content)
    load_model(out)


def test_foreign_and_newer_folders_are_refused(folder, tmp_path):
    out = tmp_path / "out"
    exported("onnx", folder, out)
    meta = read_json(out / "meta.json")
    write_json(out / "meta.json", {**meta, "kind": "whisper", "export": {"format": 2, "parts": []}})
    with refused(out, "format 2", 1):
        load_model(out)
    write_json(out / "meta.json", {key: value for key, value in meta.items() if key != "export"})
    with refused(out / "meta.json", "model.onnx"):
        load_model(out)
    (out / "model.onnx").write_bytes(b"no network")
    meta["export"]["sha256"]["model.onnx"] = sha256(out / "model.onnx")
    write_json(out / "meta.json", meta)
    with refused(out / "model.onnx"):
        load_model(out)
    exported("onnx", folder, tmp_path / "whole")
    (out / "model.onnx").write_bytes((tmp_path / "whole/model.onnx").read_bytes())
    (out / "priors.txt").write_text("[ 0.5 0.5 ]\n")
    meta["export"]["sha256"] = {name: sha256(out / name) for name in ("model.onnx", "priors.txt")}
    write_json(out / "meta.json", meta)
    with refused(out, "15 senones"):
        load_model(out)
