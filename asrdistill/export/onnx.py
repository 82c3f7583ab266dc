"""Write a network as ONNX, in float32 or in 8-bit integers; see docs/internals.md."""

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from asrdistill import __version__
from asrdistill.core.layers import LARGEST
from asrdistill.errors import UserError
from asrdistill.models.dnn import Dnn
from asrdistill.models.gru import Gru
from asrdistill.models.network import Network
from asrdistill.models.tdnn import Block, Tdnn
from asrdistill.models.tdnnf import FactoredBlock, Tdnnf

OPSET, IR = 17, 8  # of ONNX 1.12 (2022): what older runtimes read as well
RARE = 0.01  # a unit's largest activation counts as at least this share of its layer's

Layer = tuple[np.ndarray, np.ndarray]  # weight (in, out), bias (out,)


def write_onnx(module: Network, path: Path) -> None:
    """Write the network in float32; raises UserError where the package onnx is not installed."""
    graph = _Graph(module)
    logits, memory = GRAPHS[type(module)][0](module, graph)
    graph.write(logits, memory, path)


def write_onnx_int8(module: Network, frames: Iterable[np.ndarray], path: Path) -> None:
    """Write the network in 8-bit integers, their scales set by the features `frames`, each (T, F)."""
    graph = _Graph(module)
    graph.write(GRAPHS[type(module)][1](module, graph, frames), [], path)


def _dnn(module: Dnn, graph: "_Graph") -> tuple[str, list[Any]]:
    x = graph.windows(graph.normalised(), module.window, module.step)
    *hidden, last = _layers(module)
    for layer in hidden:
        x = graph.add("Relu", graph.gemm(x, layer))
    return graph.gemm(x, last), []


def _dnn_int8(module: Dnn, graph: "_Graph", frames: Iterable[np.ndarray]) -> str:
    input_peak, *peaks = (ends.max(0) for ends in ends_of(module, frames).values())
    layers, tops = _smoothed(_layers(module), peaks)
    step, point = float(input_peak.max()) / 127, 128
    x = graph.windows(graph.quantised(graph.normalised(), step, point), module.window, module.step)
    for number, layer in enumerate(layers):
        y = graph.small_gemm(x, step, point, layer)
        if number < len(tops):
            step, point = tops[number] / 255, 0
            x = graph.quantised(graph.add("Relu", y), step, point)
    return y


def _tdnn(module: Tdnn, graph: "_Graph") -> tuple[str, list[Any]]:
    first, rates = module.rates()
    x = graph.add("Relu", graph.gemm(graph.windows(graph.normalised(), module.span, first), _layer(module.first)))
    for block, rate in zip(module.blocks, rates, strict=True):
        delayed = graph.delayed(x, block, block.delay.detach().numpy(), *rate)
        hidden = graph.add("Relu", graph.gemm(delayed, _layer(block.expand)))
        x = graph.add("Add", graph.cut(x, block.centre, block.reach, *rate), graph.gemm(hidden, _layer(block.project)))
    return graph.gemm(graph.add("Relu", x), _layer(module.output)), []


def _tdnn_int8(module: Tdnn, graph: "_Graph", frames: Iterable[np.ndarray]) -> str:
    """The products are of small integers; what runs along the sums, and the delays' few weights, stay float32."""
    input_peak, *peaks = (ends.max(0) for ends in ends_of(module, frames).values())
    step = float(input_peak.max()) / 127
    first, rates = module.rates()
    x = graph.windows(graph.quantised(graph.normalised(), step, 128), module.span, first)
    x = graph.add("Relu", graph.small_gemm(x, step, 128, _layer(module.first)))
    for block, rate, delayed, hidden in zip(module.blocks, rates, peaks[:-1:2], peaks[1::2], strict=True):
        expand, project = _layer(block.expand), _layer(block.project)
        c, expand, top = evened(delayed, expand)
        step = top / 127
        y = graph.quantised(graph.delayed(x, block, block.delay.detach().numpy() / c, *rate), step, 128)
        c, project, top = evened(hidden, project)
        y = graph.small_gemm(y, step, 128, (expand[0] / c, expand[1] / c))
        y = graph.small_gemm(graph.quantised(graph.add("Relu", y), top / 255, 0), top / 255, 0, project)
        x = graph.add("Add", graph.cut(x, block.centre, block.reach, *rate), y)
    c, output, top = evened(peaks[-1], _layer(module.output))
    x = graph.add("Mul", graph.add("Relu", x), graph.constant(1 / c))
    return graph.small_gemm(graph.quantised(x, top / 255, 0), top / 255, 0, output)


def _tdnnf(module: Tdnnf, graph: "_Graph") -> tuple[str, list[Any]]:
    first, rates = module.rates()
    x = graph.gemm(graph.windows(graph.normalised(), module.span, first), _layer(module.first))
    for block, rate in zip(module.blocks, rates, strict=True):
        z = graph.paired(graph.gemm(graph.add("Relu", x), _layer(block.narrow)), block, *rate)
        x = graph.add("Add", graph.cut(x, block.centre, block.reach, *rate), graph.gemm(z, _layer(block.wide)))
    return graph.gemm(graph.gemm(graph.add("Relu", x), _layer(module.squeeze)), _layer(module.output)), []


def _tdnnf_int8(module: Tdnnf, graph: "_Graph", frames: Iterable[np.ndarray]) -> str:
    """As :func:`_tdnn_int8`; a layer's inputs are evened out by the layer before it, or the sum's by a product."""
    input_peak, *peaks = (ends.max(0) for ends in ends_of(module, frames).values())
    step = float(input_peak.max()) / 127
    first, rates = module.rates()
    x = graph.windows(graph.quantised(graph.normalised(), step, 128), module.span, first)
    x = graph.small_gemm(x, step, 128, _layer(module.first))
    *pairs, squeezed, last = peaks

    def narrowed(x: str, peak: np.ndarray, layer: Layer) -> str:
        c, layer, top = evened(peak, layer)
        x = graph.add("Mul", graph.add("Relu", x), graph.constant((1 / c).astype(np.float32)))
        return graph.small_gemm(graph.quantised(x, top / 255, 0), top / 255, 0, layer)

    for block, rate, peak, inner in zip(module.blocks, rates, pairs[::2], pairs[1::2], strict=True):
        z = graph.paired(narrowed(x, peak, _layer(block.narrow)), block, *rate)
        step = float(inner.max()) / 127
        y = graph.small_gemm(graph.quantised(z, step, 128), step, 128, _layer(block.wide))
        x = graph.add("Add", graph.cut(x, block.centre, block.reach, *rate), y)
    step = float(last.max()) / 127
    x = graph.quantised(narrowed(x, squeezed, _layer(module.squeeze)), step, 128)
    return graph.small_gemm(x, step, 128, _layer(module.output))


def _gru(module: Gru, graph: "_Graph") -> tuple[str, list[Any]]:
    """Layers over (N, 1, F); memory (layers, 1, W) in and out."""
    one, after = graph.constant(np.array([1], np.int64)), []
    x = graph.add("Unsqueeze", graph.normalised(), one)
    width = module.output.in_features
    for number, layer in enumerate(module.recurrent):
        gates = [value.detach().numpy().reshape(3, width, -1) for value in layer.parameters()]
        # torch has reset, update, new one after the other; ONNX has update first
        w, r, *biases = (np.concatenate([update, reset, new])[None] for reset, update, new in gates)
        bias = np.concatenate([b[..., 0] for b in biases], 1)
        before = graph.add("Gather", "memory", graph.constant(np.array([number], np.int64)))
        given = (x, *map(graph.constant, (w, r, bias)), "", before)
        y, last = f"hidden.{number}", f"remembered.{number}"
        graph.add("GRU", *given, outputs=[y, last], hidden_size=width, linear_before_reset=1)
        x = graph.add("Squeeze", y, one)  # (N, directions, 1, W)
        after.append(last)
    graph.add("Concat", *after, outputs=["remembered"], axis=0)
    x = graph.cut(graph.add("Squeeze", x, one), 0, 0, 1, module.step)
    return graph.gemm(x, _layer(module.output)), [len(after), 1, width]


def _layer(linear: nn.Linear) -> Layer:
    weight = linear.weight.detach().numpy().T.copy()
    return weight, np.zeros(weight.shape[1], np.float32) if linear.bias is None else linear.bias.detach().numpy().copy()


def _layers(module: Dnn) -> list[Layer]:
    return [_layer(linear) for linear in [*module.hidden, module.output]]  # type: ignore[arg-type]


@torch.inference_mode()
def ends_of(module: Network, frames: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
    """How far each input (D,) of the linear layers reaches above 0 and below, (2, D), by name in order of their use."""
    found: dict[str, Tensor] = {}

    def measure(name: str, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0].flatten(0, -2)
        ends = torch.stack([x.amax(0), -x.amin(0)])
        found[name] = torch.maximum(found.get(name, ends), ends)

    linear = [(name, layer) for name, layer in module.named_modules() if isinstance(layer, nn.Linear)]
    hooks = [layer.register_forward_pre_hook(functools.partial(measure, name)) for name, layer in linear]
    for features in frames:
        module(module.padded(features))
    for hook in hooks:
        hook.remove()
    if not found:
        raise UserError("int8 needs frames to set its scales; give audio with --check")
    return {name: ends.numpy() for name, ends in found.items()}


def evened(peak: np.ndarray, layer: Layer) -> tuple[np.ndarray, Layer, float]:
    """What to divide a layer's inputs by so that their sizes are evened out, the layer for those, and their largest."""
    peak, reach = np.maximum(peak, max(RARE * peak.max(), 1e-6)), np.abs(layer[0]).max(1)
    c = np.sqrt(peak / np.maximum(reach, max(RARE * reach.max(), 1e-6))).astype(np.float32)
    return c, (layer[0] * c[:, None], layer[1]), float((peak / c).max())


def _smoothed(layers: list[Layer], peaks: list[np.ndarray]) -> tuple[list[Layer], list[float]]:
    """The same network with its units' sizes evened out, and each hidden layer's largest activation then."""
    tops = []
    for number, peak in enumerate(peaks):
        c, after, top = evened(peak, layers[number + 1])
        weight, bias = layers[number]
        layers[number : number + 2] = [(weight / c, bias / c), after]
        tops.append(top)
    return layers, tops


class _Graph:
    """An ONNX graph that grows: constants and operators get names by their number."""

    def __init__(self, module: Network):
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

    def add(self, operator: str, *inputs: str, outputs: Sequence[str] = (), **attributes: Any) -> str:
        outputs = outputs or [f"{operator.lower()}.{len(self.nodes)}"]
        self.nodes.append(self.onnx.helper.make_node(operator, inputs, outputs, **attributes))
        return outputs[0]

    def dequantised(self, whole: np.ndarray, steps: np.ndarray) -> str:
        """The floats that integers (…, out) with a scale for each unit (out,) stand for."""
        zeros = np.zeros(steps.shape, whole.dtype)
        return self.add("DequantizeLinear", *map(self.constant, (whole, steps, zeros)), axis=whole.ndim - 1)

    def gemm(self, x: str, layer: Layer) -> str:
        return self.add("Gemm", x, *map(self.constant, layer))

    def quantised(self, x: str, step: float, point: int) -> str:
        return self.add("QuantizeLinear", x, *self.scale(step, point))

    def small_gemm(self, x: str, step: float, point: int, layer: Layer) -> str:
        """The product of bytes x, which stand for step · (x - point), and the layer in 8-bit integers."""
        weight, bias = layer
        steps = np.abs(weight).max(0) / LARGEST
        steps = np.maximum(steps, np.abs(bias) / (step * 2**30)).clip(np.float32(1e-30)).astype(np.float32)
        return self.add(
            "Gemm",
            self.add("DequantizeLinear", x, *self.scale(step, point)),
            self.dequantised(np.round(weight / steps).astype(np.int8), steps),
            self.dequantised(np.round(bias / (step * steps)).astype(np.int32), np.float32(step) * steps),
        )

    def normalised(self) -> str:
        mean, std = self.constant(self.module.mean.numpy()), self.constant(self.module.std.numpy())
        return self.add("Div", self.add("Sub", "features", mean), std)

    def windows(self, frames: str, window: int, step: int) -> str:
        """(T + window - 1, F) -> (ceil(T / step), window · F)"""
        length = self.add("Squeeze", self.add("Shape", frames, start=0, end=1))
        ends = self.constant(np.int64(0)), self.add("Sub", length, self.constant(np.int64(window - 1)))
        first = self.add("Unsqueeze", self.add("Range", *ends, self.constant(np.int64(step))), self.constant([1]))
        index = self.add("Add", first, self.constant(np.arange(window)[None]))
        shape = self.constant([-1, window * len(self.module.mean)])
        return self.add("Reshape", self.add("Gather", frames, index), shape)

    def cut(self, x: str, first: int, reach: int, rate: int, step: int) -> str:
        """(T + reach, C) -> (ceil(T / step), C), from `first` on; x has every `rate`-th frame, `reach` counts all."""
        if not reach and step == 1:
            return x
        end = (first - reach) // rate or np.iinfo(np.int64).max
        return self.add("Slice", x, *(self.constant(np.array([n], np.int64)) for n in (first // rate, end, 0, step)))

    def delayed(self, x: str, block: Block, weights: np.ndarray, rate: int, step: int) -> str:
        """The weighted sum of frames that a block looks at; weights (taps, C)"""
        parts = [
            self.add("Mul", self.cut(x, k * block.dilation, block.reach, rate, step), self.constant(tap))
            for k, tap in enumerate(weights.astype(np.float32))
        ]
        return functools.reduce(lambda a, b: self.add("Add", a, b), parts)

    def paired(self, x: str, block: FactoredBlock, rate: int, step: int) -> str:
        """A block's narrow maps of each frame -> those of the two that its wide map takes, side by side."""
        size, delay = block.wide.in_features // 2, block.dilation
        this, later = (
            self.add("Slice", x, *(self.constant(np.array([n], np.int64)) for n in (at, at + size, 1)))
            for at in (0, size)
        )
        z = self.add("Add", self.cut(this, 0, delay, rate, 1), self.cut(later, delay, delay, rate, 1))
        return self.add("Concat", *(self.cut(z, at, delay, rate, step) for at in (0, delay)), axis=1)

    def write(self, logits: str, memory: Sequence[int], path: Path) -> None:
        """`memory`: the shape of what a recurrent network remembers, in and out."""
        helper, floats = self.onnx.helper, self.onnx.TensorProto.FLOAT
        self.add("LogSoftmax", logits, outputs=["log_posteriors"], axis=-1)
        senones, (left, right) = self.module.output.out_features, self.module.context
        frames = ["N" if memory else "left+T+right", "outputs"]
        inputs = {"features": [frames[0], len(self.module.mean)], **({"memory": memory} if memory else {})}
        outputs = {"log_posteriors": [frames[1], senones], **({"remembered": memory} if memory else {})}
        ends = [
            [helper.make_tensor_value_info(name, floats, shape) for name, shape in named.items()]
            for named in (inputs, outputs)
        ]
        graph = helper.make_graph(self.nodes, "acoustic model", *ends, self.constants)
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opset, producer_name="asrdistill", producer_version=__version__)
        model.ir_version = IR
        helper.set_model_props(model, {"left": str(left), "right": str(right), "subsampling": str(self.module.step)})
        self.onnx.checker.check_model(model, full_check=True)
        path.write_bytes(model.SerializeToString())


# a network's graph in float32 with the shape of its memory, and its graph in 8-bit integers
GRAPHS: dict[type[Network], tuple[Any, Any]] = {
    Dnn: (_dnn, _dnn_int8),
    Tdnn: (_tdnn, _tdnn_int8),
    Tdnnf: (_tdnnf, _tdnnf_int8),
    Gru: (_gru, None),
}
