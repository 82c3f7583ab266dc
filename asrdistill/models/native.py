"""Networks that the compiled library runs: feed-forward and time-delay ones, in float32 or in 8-bit integers.

A layer NAME of model.safetensors is NAME.weight (units, inputs) and NAME.bias (units,), float32. In a folder of kind
int8 the weights are int8, and NAME.scale, NAME.factor and NAME.zero stand beside them: see
:class:`asrdistill.core.layers.Layer`. Everything is checked on loading, since a folder may come from anywhere.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from asrdistill.config import build
from asrdistill.core.layers import Layer, delayed
from asrdistill.errors import UserError
from asrdistill.hmm.senones import Senones
from asrdistill.models.folder import read_arrays
from asrdistill.models.layout import EXPANSION, NARROW, lay_out, pad, rates
from asrdistill.models.options import NetworkConfig

ROWS = 64  # frames whose outputs stay in the cache while they become log posteriors
MOST_FRAMES = 10_000  # of context


class Step(NamedTuple):
    """What the network does with its frames x (T, C) next; :mod:`asrdistill.export.web` gives these to the page.

    layer    the layer of all windows that are `step` frames apart
    delayed  sums of frames that are `place` apart, one each `step`
    pair     with z = the first half of x + its second half `place` frames later: z beside z, `place` apart, each `step`
    relu     negative numbers become 0
    keep     x is remembered; add: a layer, plus what was remembered from frame `place` on, each `step`
    """

    kind: str
    name: str = ""
    step: int = 1
    place: int = 0


class NativeModel:
    """A network with the methods of :class:`asrdistill.models.acoustic.AcousticModel`.

    Raises UserError for weights that do not fit the folder's settings.
    """

    def __init__(self, folder: Path, senones: Senones, meta: dict[str, Any]):
        self.senones, self.meta, self.path = senones, meta, Path(folder) / "model.safetensors"
        self._arrays, self._is_int8 = read_arrays(self.path), meta["kind"] == "int8"
        config = build(NetworkConfig, meta["options"], str(Path(folder) / "meta.json"))
        self.context = (config.left, config.right)
        if min(self.context) < 0 or sum(self.context) > MOST_FRAMES:
            raise UserError(f"{folder} has a context of {self.context} frames, which is impossible; export it again")
        self.dimension = len(self._arrays.get("mean", ()))
        self.mean, self.std = (self._take(name, self.dimension) for name in ("mean", "std"))
        self.priors = np.exp(self._take("log_priors", senones.count))
        self.layers: dict[str, Layer] = {}
        self.delays: dict[str, np.ndarray] = {}
        self.steps: list[Step] = NETWORKS[config.architecture](self, config)
        if self._arrays:
            raise self._unfit(f"{min(self._arrays)} belongs to no layer")

    def _unfit(self, reason: str) -> UserError:
        return UserError(f"{self.path} does not fit meta.json: {reason}; export or train it again")

    def _take(self, name: str, *shape: int, dtype: Any = np.float32) -> np.ndarray:
        array = self._arrays.pop(name, None)
        if array is None or array.shape != shape or array.dtype != dtype:
            found = "is missing" if array is None else f"is {array.dtype} {array.shape}, not {np.dtype(dtype)} {shape}"
            raise self._unfit(f"{name} {found}")
        return array

    def _layer(self, name: str, inputs: int, units: int, relu: bool = False, bias: bool = True, taps: int = 1) -> None:
        """The layer `name`, whose inputs are those of `taps` frames."""
        kind = np.int8 if self._is_int8 else np.float32
        weight = self._take(f"{name}.weight", units, inputs * taps, dtype=kind)
        given = self._take(f"{name}.bias", units) if bias else None
        if self._is_int8:
            scale, factor = self._take(f"{name}.scale", units), self._take(f"{name}.factor", inputs)
            zero = int(self._take(f"{name}.zero", 1, dtype=np.uint8)[0])
            parts: tuple[Any, ...] = (scale, factor, zero)
        else:
            parts = ()
        try:
            self.layers[name] = Layer(weight, given, relu, *parts)
        except ValueError as error:
            raise self._unfit(f"{name}: {error}") from None

    def _dnn(self, config: NetworkConfig) -> list[Step]:
        inputs, taps, names = self.dimension, sum(self.context) + 1, [f"hidden.{n}" for n in range(config.layers)]
        for name in names:
            self._layer(name, inputs, config.width, relu=True, taps=taps)
            inputs, taps = config.width, 1
        self._layer("output", inputs, self.senones.count)
        first, *others = [*names, "output"]
        return [Step("layer", first, self.senones.subsampling), *(Step("layer", name) for name in others)]

    def _tdnn(self, config: NetworkConfig) -> list[Step]:
        width, (span, places) = config.width, lay_out(config)
        apart, each = rates(self.senones.subsampling, places)
        self._layer("first", self.dimension, width, relu=True, taps=span)
        steps = [Step("layer", "first", apart)]
        for number, (place, (rate, step)) in enumerate(zip(places, each, strict=True)):
            name = f"blocks.{number}"
            self.delays[f"{name}.delay"] = self._take(f"{name}.delay", config.taps, width)
            self._layer(f"{name}.expand", width, EXPANSION * width, relu=True)
            self._layer(f"{name}.project", EXPANSION * width, width)
            steps += [Step("keep"), Step("delayed", f"{name}.delay", step, place.dilation // rate)]
            steps += [Step("layer", f"{name}.expand"), Step("add", f"{name}.project", step, place.centre // rate)]
        self._layer("output", width, self.senones.count)
        return [*steps, Step("relu"), Step("layer", "output")]

    def _tdnnf(self, config: NetworkConfig) -> list[Step]:
        width, (span, places) = config.width, lay_out(config)
        size, squeezed = max(1, width // NARROW), max(1, 2 * width // NARROW)
        apart, each = rates(self.senones.subsampling, places)
        self._layer("first", self.dimension, width, taps=span)
        steps = [Step("layer", "first", apart)]
        for number, (place, (rate, step)) in enumerate(zip(places, each, strict=True)):
            name = f"blocks.{number}"
            self._layer(f"{name}.narrow", width, 2 * size, bias=False)
            self._layer(f"{name}.wide", 2 * size, width)
            steps += [Step("keep"), Step("relu"), Step("layer", f"{name}.narrow")]
            steps += [Step("pair", "", step, place.dilation // rate)]
            steps += [Step("add", f"{name}.wide", step, place.centre // rate)]
        self._layer("squeeze", width, squeezed, bias=False)
        self._layer("output", squeezed, self.senones.count)
        return [*steps, Step("relu"), Step("layer", "squeeze"), Step("layer", "output")]

    def _run(self, x: np.ndarray) -> np.ndarray:
        """Logits (T', S) of normalised features with their context."""
        for kind, name, step, place in self.steps:
            if kind == "keep":
                kept = x
            elif kind == "relu":
                x = np.maximum(x, 0)
            elif kind == "layer":
                x = self.layers[name](x, step)
            elif kind == "delayed":
                x = delayed(x, self.delays[name], place, step)
            elif kind == "pair":
                size = x.shape[1] // 2
                z = x[:-place, :size] + x[place:, size:]
                x = np.concatenate([z[:-place:step], z[place::step]], 1)
            else:
                x = self.layers[name](x, add=kept[place::step][: len(x)])
        return x

    def log_posteriors(self, features: np.ndarray) -> np.ndarray:
        """(T, F) float32 -> (T, S) float32 natural-log posteriors."""
        return self.forward_chunk(pad(features, self.context))[0]

    def forward_chunk(self, features: np.ndarray, memory: Any = None) -> tuple[np.ndarray, Any]:
        """As :meth:`asrdistill.models.acoustic.AcousticModel.forward_chunk`."""
        logits = self._run((features - self.mean) / self.std)
        for begin in range(0, len(logits), ROWS):
            rows = logits[begin : begin + ROWS]
            rows -= rows.max(1, keepdims=True)
            rows -= np.log(np.exp(rows).sum(1, keepdims=True))
        return logits, None


NETWORKS: dict[str, Any] = {"dnn": NativeModel._dnn, "tdnn": NativeModel._tdnn, "tdnnf": NativeModel._tdnnf}
