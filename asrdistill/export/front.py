"""What comes before a recogniser's network: audio in, the frames that the network takes out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from asrdistill.errors import UserError
from asrdistill.features.fbank import FbankStream, fbank
from asrdistill.features.options import options_of

ENCODER = "encoder.safetensors"  # in a recogniser folder whose network takes an encoder's frames


class FrameStream(Protocol):
    """The frames of one recording whose samples come piece by piece."""

    def accept(self, samples: np.ndarray) -> np.ndarray:
        """The frames (T, F) float32 that more samples (N,) complete; T may be 0."""

    def finish(self) -> np.ndarray:
        """The frames (T, F) float32 that are left when there are no more samples."""


class Front(NamedTuple):
    """How audio becomes frames."""

    rate: int  # Hz
    shift: int  # samples from one frame to the next
    window: int  # samples that a frame is at least made of
    tolerance: int  # frames more or fewer that the same audio has at another rate, by rounding
    frames: Callable[[np.ndarray], np.ndarray]  # samples (N,) in [-1, 1) -> (T, F) float32
    stream: Callable[[], FrameStream]


def front_of(features: dict[str, Any], folder: Path) -> Front:
    """What makes the frames that a model's meta.json calls its `features`.

    `folder` is the recogniser's, with the encoder in it where they are an encoder's. Raises UserError for features
    that a recogniser cannot make, and for an encoder that is missing or damaged.
    """
    if features["type"] != "whisper":
        options = options_of(features)
        return Front(
            options.rate,
            options.shift,
            options.window,
            0,
            lambda samples: fbank([samples], options)[0],
            lambda: FbankStream(options),
        )
    from asrdistill.encoders.archive import OurFrames
    from asrdistill.encoders.whisper_encoder import WhisperEncoder

    encoder, shift = WhisperEncoder.open(folder / ENCODER, features), features["shift"] / 1000

    def begun() -> OurFrames:
        return OurFrames(encoder, features["first"], shift)

    def frames(samples: np.ndarray) -> np.ndarray:
        stream = begun()
        return np.concatenate([stream.accept(samples), stream.finish()])

    def samples(seconds: float) -> int:
        return round(seconds * encoder.rate)

    return Front(
        encoder.rate,
        samples(shift),
        samples(2 * features["first"]),
        1,
        frames,
        begun,
    )


def copy_encoder(name: str | None, features: dict[str, Any], model: Path, out: Path) -> list[str]:
    """Write into a recogniser folder the encoder that the network in the folder `model` takes the frames of.

    Returns the names of its files; none where the network takes filterbanks. Raises UserError where `name` is not
    the encoder that these features are of.
    """
    kind = features["type"]
    if kind == "torchaudio":
        raise UserError(f"{model} takes the frames of a torchaudio encoder; only Whisper's can be exported")
    if kind != "whisper":
        if name:
            raise UserError(f"{model} takes {kind} features, not an encoder's frames; leave out --encoder")
        return []
    layer, ahead = features["layer"], f"+{features['ahead']:g}" if "ahead" in features else ""
    if not name:
        raise UserError(
            f"{model} takes the frames of a Whisper encoder; name it, as --encoder whisper:tiny.en@{layer}{ahead}"
        )
    from asrdistill.encoders.encoder import parse
    from asrdistill.encoders.whisper import model_folder
    from asrdistill.encoders.whisper_encoder import read_encoder, write_encoder
    from asrdistill.files import sha256

    named = parse(name)
    if named.family != "whisper":
        raise UserError(f"{name} is not the Whisper encoder that {model} takes the frames of")
    path = model_folder(named.model) / "model.bin"
    variables, found = read_encoder(path, named.layer)
    if (found, named.ahead, sha256(path)) != (layer, features.get("ahead"), features["weights"]):
        raise UserError(f"{model} takes the frames of another encoder, its layer {layer}{ahead}, than {name}")
    write_encoder(variables, out / ENCODER)
    return [ENCODER]
