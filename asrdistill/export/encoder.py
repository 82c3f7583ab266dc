"""Copy the encoder that a network's features come from into the recogniser folder."""

from pathlib import Path
from typing import Any

from asrdistill.encoders.factory import parse
from asrdistill.encoders.whisper import model_folder
from asrdistill.encoders.whisper_encoder import read_encoder, write_encoder
from asrdistill.errors import UserError
from asrdistill.files import sha256
from asrdistill.runtime.frontend import ENCODER


def copy_encoder(name: str | None, features: dict[str, Any], model: Path, out: Path) -> list[str]:
    """Write into a recogniser folder the encoder that the network in the folder `model` takes the frames of.

    Returns the names of its files; none for filterbanks. Raises UserError where `name` is another encoder.
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
        raise UserError(f"name the Whisper encoder of {model}, as --encoder whisper:tiny.en@{layer}{ahead}")
    family, named, named_layer, named_ahead = parse(name)
    if family != "whisper":
        raise UserError(f"{name} is not the Whisper encoder of {model}; name that one")
    path = model_folder(named) / "model.bin"
    variables, found = read_encoder(path, named_layer)
    if (found, named_ahead, sha256(path)) != (layer, features.get("ahead"), features["weights"]):
        raise UserError(f"{model} takes layer {layer}{ahead} of another encoder than {name}; name that one")
    write_encoder(variables, out / ENCODER)
    return [ENCODER]
