"""Audio to the frames that a network takes."""

import ctypes
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from asrdistill.config import build
from asrdistill.core import FLAG, FLOATS, HANDLE, REAL, SIZE, Kernel, copied, pack
from asrdistill.errors import UserError, training_packages
from asrdistill.features.cepstra import PRIOR_FRAMES, WINDOW, CepstraOptions, dct_matrix
from asrdistill.features.fbank import povey
from asrdistill.features.options import FbankOptions, mel_filters, options_of

ENCODER = "encoder.safetensors"  # in a recogniser folder whose network takes an encoder's frames


class NativeFeatures(ctypes.Structure):
    """core_features of ``core/core.h``."""

    ELEMENTS = {  # noqa: RUF012
        **dict.fromkeys(("taper", "filter", "dct"), np.float32),
        **dict.fromkeys(("mean", "deviation"), np.float64),
    }
    _fields_ = (
        *((name, SIZE) for name in ("window", "shift", "fft", "bins", "cepstra")),
        *(("snip_edges", FLAG), ("preemphasis", ctypes.c_float), ("floor", ctypes.c_float)),
        *((name, HANDLE) for name in ELEMENTS),
        *(("recent", SIZE), ("prior", REAL)),
    )


_new = Kernel("core_frontend_new", HANDLE, HANDLE)
_free = Kernel("core_frontend_free", None, HANDLE)
_accept = Kernel("core_frontend_accept", SIZE, HANDLE, FLOATS, SIZE, FLAG, HANDLE)


class FeatureStream:
    """Filterbanks or cepstra of one stream, in pieces of any sizes with the same result."""

    def __init__(self, features: NativeFeatures):
        self._features = features  # whose arrays it reads
        self._handle = _new(ctypes.byref(features))
        if not self._handle:
            raise MemoryError("there is not enough memory for a stream")
        weakref.finalize(self, _free, self._handle)

    def accept(self, samples: np.ndarray, last: bool = False) -> np.ndarray:
        """Frames (T, F) float32 that more samples (N,) in [-1, 1) complete; T may be 0."""
        found = HANDLE()
        count = _accept(self._handle, samples, len(samples), last, ctypes.byref(found))
        if count < 0:
            raise MemoryError("there is not enough memory for these samples; give fewer at a time")
        size = self._features.cepstra or self._features.bins
        return copied(found.value, count * size, np.float32).reshape(count, size)

    def finish(self) -> np.ndarray:
        """The last frames."""
        return self.accept(np.empty(0, np.float32), last=True)


class Frontend(NamedTuple):
    """How audio becomes frames."""

    rate: int  # Hz
    shift: int  # samples from one frame to the next
    window: int  # samples that a frame is at least made of
    tolerance: int  # frames more or fewer that the same audio has at another rate, by rounding
    stream: Callable[[], Any]  # its accept(samples) and finish() return frames (T, F) float32

    def frames(self, samples: np.ndarray) -> np.ndarray:
        """Frames (T, F) float32 of a whole utterance (N,) in [-1, 1)."""
        stream = self.stream()
        return np.concatenate([stream.accept(samples), stream.finish()])


def frontend_of(meta: dict[str, Any], folder: Path) -> Frontend:
    """What makes the frames of a model with this meta.json, with the encoder in a recogniser's `folder`.

    Raises UserError for features that a recogniser cannot make, and for a missing or damaged encoder.
    """
    features = meta["features"]
    if features["type"] != "whisper":
        options, native = native_features(meta, folder)
        return Frontend(options.rate, options.shift, options.window, 0, lambda: FeatureStream(native))
    with training_packages(str(folder)):
        from asrdistill.encoders.archive import InterpolatedStream
        from asrdistill.encoders.whisper_encoder import WhisperEncoder

    encoder, shift = WhisperEncoder.open(folder / ENCODER, features), features["shift"] / 1000
    step, window = (round(seconds * encoder.rate) for seconds in (shift, 2 * features["first"]))
    return Frontend(encoder.rate, step, window, 1, lambda: InterpolatedStream(encoder, features["first"], shift))


def native_features(meta: dict[str, Any], folder: Path) -> tuple[FbankOptions, NativeFeatures]:
    """Filterbanks or cepstra as the library makes them.

    Cepstra that training normalised per speaker are normalised by a running mean, as in Kaldi's online CMVN: that of
    the last WINDOW frames, where the training mean counts for PRIOR_FRAMES more. Raises UserError if the folder has no
    training mean.
    """
    features, level = meta["features"], meta.get("level")
    more: dict[str, Any] = {"cepstra": 0}
    options = options_of(features["fbank"] if features["type"] == "cepstra" else features)
    if features["type"] == "cepstra":
        settings = {key: value for key, value in features.items() if key not in ("type", "fbank")}
        of = build(CepstraOptions, settings, "the feature settings")
        more = {"dct": dct_matrix(options.bins, of.coefficients, of.lifter)}
        more |= {"cepstra": of.coefficients, "floor": of.floor, "recent": WINDOW, "prior": PRIOR_FRAMES}
        if of.normalise != "none":
            if level is None:
                raise UserError(
                    f"{folder} does not say by what its features were normalised; make them and train again"
                )
            more["mean"], more["deviation"] = np.array(level["mean"]), np.array(level["std"])
            if not len(more["mean"]) == len(more["deviation"]) == of.coefficients > 0:
                raise UserError(f"{folder} has a level of other than {of.coefficients} cepstra; train it again")
    sizes = {name: getattr(options, name) for name in ("window", "shift", "fft", "bins", "snip_edges", "preemphasis")}
    return options, pack(NativeFeatures, **sizes, taper=povey(options), filter=mel_filters(options), **more)
