"""The network as an ONNX file, in float32 or in 8-bit integers.

Both have one input, `features` (left + T + right, F) float32, unnormalised, of as many frames as the caller likes (its
first and last frames are context), and one output, `log_posteriors` (T, S). They are built of standard operators of
opset 17, so that other runtimes take them too.

The windows of the first layer are gathered by an index (T, window), after quantisation where there is one, so that
what is copied are bytes.

Quantised are weights and activations (W8A8), with scales that are fixed when the file is written: with scales of the
moment, a frame's scores would depend on the frames that happen to come with it, and a stream would hear other words
than a file. Weights have a scale for each unit, and magnitudes up to 64: on x86 processors without VNNI, ONNX Runtime
adds two products of a byte (0 … 255) and a weight in 16 bits, which must hold 2 · 255 · 64. Activations have a scale
for each layer, set by the largest value on real frames. As a few units have far larger values than the rest, each unit
is first divided by c and the weights that it meets multiplied by c, which changes nothing in a ReLU network, with
c = sqrt(largest activation / largest weight) (Xiao et al. 2023, SmoothQuant, at strength 0.5). On amazon_queen's
student that halves the error of the log posteriors.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asrdistill import __version__
from asrdistill.errors import UserError
from asrdistill.models.dnn import Dnn, pad

OPSET, IR = 17, 8  # of ONNX 1.12 (2022): what older runtimes read as well
WEIGHT_MAX = 64
RARE = 0.01  # a unit's largest activation counts as at least this share of its layer's

Layer = tuple[np.ndarray, np.ndarray]  # weight (in, out), bias (out,)


def write_onnx(module: Dnn, path: Path) -> None:
    """Write the network in float32; raises UserError where the package onnx is not installed."""
    graph = _Graph(module)
    x = graph.windows(graph.normalised())
    *hidden, last = _layers(module)
    for weight, bias in hidden:
        x = graph.add("Relu", graph.add("Gemm", x, graph.constant(weight), graph.constant(bias)))
    graph.write(graph.add("Gemm", x, *map(graph.constant, last)), path)


def write_int8(module: Dnn, frames: Iterable[np.ndarray], path: Path) -> None:
    """Write the network in 8-bit integers, their scales set by the features `frames`, each (T, F).

    Raises UserError where the package onnx is not installed.
    """
    graph = _Graph(module)
    input_peak, peaks = _peaks(module, frames)
    layers, tops = _smoothed(_layers(module), peaks)
    step = input_peak / 127
    x, point = graph.add("QuantizeLinear", graph.normalised(), *graph.scale(step, 128)), 128
    x = graph.windows(x)
    for number, (weight, bias) in enumerate(layers):
        steps = np.abs(weight).max(0) / WEIGHT_MAX
        steps = np.maximum(steps, np.abs(bias) / (step * 2**30)).clip(np.float32(1e-30)).astype(np.float32)
        whole = np.round(weight / steps).astype(np.int8)
        y = graph.add(
            "Gemm",
            graph.add("DequantizeLinear", x, *graph.scale(step, point)),
            graph.dequantised(whole, steps),
            graph.dequantised(np.round(bias / (step * steps)).astype(np.int32), np.float32(step) * steps),
        )
        if number < len(tops):
            step, point = tops[number] / 255, 0
            x = graph.add("QuantizeLinear", graph.add("Relu", y), *graph.scale(step, point))
    graph.write(y, path)


def _layers(module: Dnn) -> list[Layer]:
    linear = [*module.hidden, module.output]
    return [(layer.weight.detach().numpy().T.copy(), layer.bias.detach().numpy().copy()) for layer in linear]  # type: ignore[union-attr, operator]


@torch.inference_mode()
def _peaks(module: Dnn, frames: Iterable[np.ndarray]) -> tuple[float, list[np.ndarray]]:
    """The largest magnitude of a normalised feature, and the largest activation of each hidden unit (D,)."""
    largest = 0.0
    peaks = [torch.zeros(len(bias)) for _, bias in _layers(module)[:-1]]
    for features in frames:
        x = (torch.from_numpy(pad(features, module.context)) - module.mean) / module.std
        largest = max(largest, float(x.abs().max()))
        x = x.unfold(0, module.window, 1).transpose(1, 2).flatten(1)
        for peak, layer in zip(peaks, module.hidden, strict=True):
            x = torch.relu(layer(x))
            torch.maximum(peak, x.amax(0), out=peak)
    if not largest:
        raise UserError("there are no frames that could say how large the activations get; give --check audio")
    return largest, [peak.numpy() for peak in peaks]


def _smoothed(layers: list[Layer], peaks: list[np.ndarray]) -> tuple[list[Layer], list[float]]:
    """The same network with its units' sizes evened out, and each hidden layer's largest activation then."""
    tops = []
    for number, peak in enumerate(peaks):
        peak = np.maximum(peak, max(RARE * peak.max(), 1e-6))
        reach = np.abs(layers[number + 1][0]).max(1)
        c = np.sqrt(peak / np.maximum(reach, max(RARE * reach.max(), 1e-6))).astype(np.float32)
        (weight, bias), (after, after_bias) = layers[number : number + 2]
        layers[number : number + 2] = [(weight / c, bias / c), (after * c[:, None], after_bias)]
        tops.append(float((peak / c).max()))
    return layers, tops


class _Graph:
    """An ONNX graph that grows: constants and operators get names by their number."""

    def __init__(self, module: Dnn):
        try:
            import onnx
        except ImportError:
            raise UserError("writing ONNX takes the package onnx; install it: pip install 'asrdistill[onnx]'") from None
        self.onnx, self.module = onnx, module
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, value: Any) -> str:
        name = f"constant.{len(self.constants)}"
        self.constants.append(self.onnx.numpy_helper.from_array(np.asarray(value), name))
        return name

    def scale(self, step: float, point: int) -> tuple[str, str]:
        return self.constant(np.float32(step)), self.constant(np.uint8(point))

    def add(self, operator: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        output = output or f"{operator.lower()}.{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(operator, inputs, [output], **attributes))
        return output

    def dequantised(self, whole: np.ndarray, steps: np.ndarray) -> str:
        """The floats that integers (…, out) with a scale for each unit (out,) stand for."""
        zeros = np.zeros(steps.shape, whole.dtype)
        return self.add("DequantizeLinear", *map(self.constant, (whole, steps, zeros)), axis=whole.ndim - 1)

    def normalised(self) -> str:
        mean, std = self.constant(self.module.mean.numpy()), self.constant(self.module.std.numpy())
        return self.add("Div", self.add("Sub", "features", mean), std)

    def windows(self, frames: str) -> str:
        """(left + T + right, F) -> (T, window · F)"""
        window, one = self.module.window, self.constant(np.int64(1))
        length = self.add("Squeeze", self.add("Shape", frames, start=0, end=1))
        count = self.add("Sub", length, self.constant(np.int64(window - 1)))
        first = self.add("Unsqueeze", self.add("Range", self.constant(np.int64(0)), count, one), self.constant([1]))
        index = self.add("Add", first, self.constant(np.arange(window)[None]))
        shape = self.constant([-1, window * len(self.module.mean)])
        return self.add("Reshape", self.add("Gather", frames, index), shape)

    def write(self, logits: str, path: Path) -> None:
        helper, floats = self.onnx.helper, self.onnx.TensorProto.FLOAT
        self.add("LogSoftmax", logits, output="log_posteriors", axis=-1)
        senones, (left, right) = self.module.output.out_features, self.module.context
        ends = [
            helper.make_tensor_value_info("features", floats, ["left+T+right", len(self.module.mean)]),
            helper.make_tensor_value_info("log_posteriors", floats, ["T", senones]),
        ]
        graph = helper.make_graph(self.nodes, "acoustic model", ends[:1], ends[1:], self.constants)
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opset, producer_name="asrdistill", producer_version=__version__)
        model.ir_version = IR
        helper.set_model_props(model, {"left": str(left), "right": str(right)})
        self.onnx.checker.check_model(model, full_check=True)
        path.write_bytes(model.SerializeToString())
