"""Networks that the compiled library runs: feed-forward and time-delay ones, in float32 or in 8-bit integers.

A layer NAME of model.safetensors is NAME.weight (units, inputs) and NAME.bias (units,), float32. In a folder of kind
int8 the weights are int8, and NAME.scale, NAME.factor and NAME.zero stand beside them: see
:class:`asrdistill.core.layers.Layer`. Everything is checked on loading, since a folder may come from anywhere.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

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


class NativeModel:
    """A network with the methods of :class:`asrdistill.models.acoustic.AcousticModel`.

    Raises UserError for weights that do not fit the folder's settings.
    """

    def __init__(self, folder: Path, senones: Senones, meta: dict[str, Any]):
        self.senones, self.meta, self._path = senones, meta, Path(folder) / "model.safetensors"
        self._arrays, self._is_int8 = read_arrays(self._path), meta["kind"] == "int8"
        config = build(NetworkConfig, meta["options"], str(Path(folder) / "meta.json"))
        self.context = (config.left, config.right)
        if min(self.context) < 0 or sum(self.context) > MOST_FRAMES:
            raise UserError(f"{folder} has a context of {self.context} frames, which is impossible; export it again")
        self.dimension = len(self._arrays.get("mean", ()))
        self._mean, self._std = (self._take(name, self.dimension) for name in ("mean", "std"))
        self.priors = np.exp(self._take("log_priors", senones.count))
        self.layers: dict[str, Layer] = {}
        self._run = NETWORKS[config.architecture](self, config)
        if self._arrays:
            raise self._unfit(f"{min(self._arrays)} belongs to no layer")

    def _unfit(self, reason: str) -> UserError:
        return UserError(f"{self._path} does not fit meta.json: {reason}; export or train it again")

    def _take(self, name: str, *shape: int, dtype: Any = np.float32) -> np.ndarray:
        array = self._arrays.pop(name, None)
        if array is None or array.shape != shape or array.dtype != dtype:
            found = "is missing" if array is None else f"is {array.dtype} {array.shape}, not {np.dtype(dtype)} {shape}"
            raise self._unfit(f"{name} {found}")
        return array

    def _layer(self, name: str, inputs: int, units: int, relu: bool = False, bias: bool = True, taps: int = 1) -> Layer:
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
        return self.layers[name]

    def _dnn(self, config: NetworkConfig) -> Callable[[np.ndarray], np.ndarray]:
        layers, inputs, taps = [], self.dimension, sum(self.context) + 1
        for number in range(config.layers):
            layers.append(self._layer(f"hidden.{number}", inputs, config.width, relu=True, taps=taps))
            inputs, taps = config.width, 1
        output = self._layer("output", inputs, self.senones.count)

        def run(x: np.ndarray) -> np.ndarray:
            step = self.senones.subsampling
            for layer in layers:
                x, step = layer(x, step), 1
            return output(x)

        return run

    def _tdnn(self, config: NetworkConfig) -> Callable[[np.ndarray], np.ndarray]:
        width, (span, places) = config.width, lay_out(config)
        apart, steps = rates(self.senones.subsampling, places)
        first = self._layer("first", self.dimension, width, relu=True, taps=span)
        blocks = []
        for number, (place, (rate, step)) in enumerate(zip(places, steps, strict=True)):
            name = f"blocks.{number}"
            expanded = self._take(f"{name}.delay", config.taps, width), place.dilation // rate, step
            expand = self._layer(f"{name}.expand", width, EXPANSION * width, relu=True)
            project = self._layer(f"{name}.project", EXPANSION * width, width)
            blocks.append((place.centre // rate, expanded, expand, project))
        output = self._layer("output", width, self.senones.count)

        def run(x: np.ndarray) -> np.ndarray:
            x = first(x, apart)
            for centre, (weight, dilation, step), expand, project in blocks:
                hidden = expand(delayed(x, weight, dilation, step))
                x = project(hidden, add=x[centre::step][: len(hidden)])
            return output(np.maximum(x, 0))

        return run

    def _tdnnf(self, config: NetworkConfig) -> Callable[[np.ndarray], np.ndarray]:
        width, (span, places) = config.width, lay_out(config)
        size, squeezed = max(1, width // NARROW), max(1, 2 * width // NARROW)
        apart, steps = rates(self.senones.subsampling, places)
        first = self._layer("first", self.dimension, width, taps=span)
        blocks = []
        for number, (place, (rate, step)) in enumerate(zip(places, steps, strict=True)):
            narrow = self._layer(f"blocks.{number}.narrow", width, 2 * size, bias=False)
            wide = self._layer(f"blocks.{number}.wide", 2 * size, width)
            blocks.append((place.centre // rate, place.dilation // rate, step, narrow, wide))
        squeeze = self._layer("squeeze", width, squeezed, bias=False)
        output = self._layer("output", squeezed, self.senones.count)

        def run(x: np.ndarray) -> np.ndarray:
            x = first(x, apart)
            for centre, delay, step, narrow, wide in blocks:
                y = narrow(np.maximum(x, 0))
                z = y[:-delay, :size] + y[delay:, size:]
                paired = np.concatenate([z[:-delay:step], z[delay::step]], 1)
                x = wide(paired, add=x[centre::step][: len(paired)])
            return output(squeeze(np.maximum(x, 0)))

        return run

    def log_posteriors(self, features: np.ndarray) -> np.ndarray:
        """(T, F) float32 -> (T, S) float32 natural-log posteriors."""
        return self.forward_chunk(pad(features, self.context))[0]

    def forward_chunk(self, features: np.ndarray, memory: Any = None) -> tuple[np.ndarray, Any]:
        """As :meth:`asrdistill.models.acoustic.AcousticModel.forward_chunk`."""
        logits = self._run((features - self._mean) / self._std)
        for begin in range(0, len(logits), ROWS):
            rows = logits[begin : begin + ROWS]
            rows -= rows.max(1, keepdims=True)
            rows -= np.log(np.exp(rows).sum(1, keepdims=True))
        return logits, None


NETWORKS: dict[str, Any] = {"dnn": NativeModel._dnn, "tdnn": NativeModel._tdnn, "tdnnf": NativeModel._tdnnf}
