"""Audio to the frames that a network takes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from asrdistill.config import build
from asrdistill.errors import UserError, training_packages
from asrdistill.features.cepstra import CepstraOptions, CepstraStream
from asrdistill.features.fbank import FbankStream, fbank
from asrdistill.features.options import options_of

ENCODER = "encoder.safetensors"  # in a recogniser folder whose network takes an encoder's frames


class Frontend(NamedTuple):
    """How audio becomes frames."""

    rate: int  # Hz
    shift: int  # samples from one frame to the next
    window: int  # samples that a frame is at least made of
    tolerance: int  # frames more or fewer that the same audio has at another rate, by rounding
    frames: Callable[[np.ndarray], np.ndarray]  # samples (N,) in [-1, 1) -> (T, F) float32
    stream: Callable[[], Any]  # its accept(samples) and finish() return frames (T, F) float32


def frontend_of(meta: dict[str, Any], folder: Path) -> Frontend:
    """What makes the frames of a model with this meta.json, with the encoder in a recogniser's `folder`.

    Raises UserError for features that a recogniser cannot make, and for a missing or damaged encoder.
    """
    features = meta["features"]
    if features["type"] == "cepstra":
        return _cepstra_frontend(features, meta.get("level"), folder)
    if features["type"] != "whisper":
        options = options_of(features)
        sizes = (options.rate, options.shift, options.window)
        return Frontend(*sizes, 0, lambda samples: fbank([samples], options)[0], lambda: FbankStream(options))
    with training_packages(str(folder)):
        from asrdistill.encoders.archive import InterpolatedStream
        from asrdistill.encoders.whisper_encoder import WhisperEncoder

    encoder, shift = WhisperEncoder.open(folder / ENCODER, features), features["shift"] / 1000

    def begun() -> InterpolatedStream:
        return InterpolatedStream(encoder, features["first"], shift)

    def frames(samples: np.ndarray) -> np.ndarray:
        stream = begun()
        return np.concatenate([stream.accept(samples), stream.finish()])

    step, window = (round(seconds * encoder.rate) for seconds in (shift, 2 * features["first"]))
    return Frontend(encoder.rate, step, window, 1, frames, begun)


def _cepstra_frontend(features: dict[str, Any], level: Any, folder: Path) -> Frontend:
    """Cepstra that training normalised per speaker are normalised by a running mean."""
    filterbank = frontend_of({"features": features["fbank"]}, folder)
    settings = {key: value for key, value in features.items() if key not in ("type", "fbank")}
    options = build(CepstraOptions, settings, "the feature settings")
    if options.normalise == "none":
        level = None
    elif level is None:
        raise UserError(f"{folder} does not say by what its features were normalised; make them and train again")

    def begun() -> CepstraStream:
        return CepstraStream(filterbank.stream(), options, level)

    def frames(samples: np.ndarray) -> np.ndarray:
        stream = begun()
        return np.concatenate([stream.accept(samples), stream.finish()])

    return filterbank._replace(frames=frames, stream=begun)
