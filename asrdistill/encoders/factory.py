"""Pretrained encoders by name: FAMILY:MODEL[@LAYER][+SECONDS of look-ahead], such as whisper:tiny.en@2+0.5.

A new family is a class with the attributes of :class:`asrdistill.encoders.base.Encoder`, its name in :func:`parse` and
its line in :func:`open_encoder`.
"""

import re

from asrdistill.encoders.base import Encoder
from asrdistill.errors import UserError


def parse(name: str) -> tuple[str, str, int | None, float | None]:
    """(family, model, layer, look-ahead in seconds) of an encoder's name; raises UserError if it is malformed."""
    if not (found := re.fullmatch(r"(whisper|torchaudio):(.+?)(?:@(\d+))?(?:\+(\d+(?:\.\d+)?))?", name)):
        raise UserError(
            f"'{name}' is not an encoder like whisper:tiny.en, whisper:FOLDER@LAYER or torchaudio:HUBERT_BASE+0.5"
        )
    family, model, layer, ahead = found.groups()
    return family, model, int(layer) if layer else None, float(ahead) if ahead else None


def open_encoder(name: str, device: str = "cpu") -> Encoder:
    """The encoder of a name; raises UserError for a malformed name and an unavailable model."""
    family, model, layer, ahead = parse(name)
    encoder: Encoder
    if family == "whisper":
        from asrdistill.encoders.whisper import model_folder
        from asrdistill.encoders.whisper_encoder import WhisperEncoder

        encoder = WhisperEncoder.load(model_folder(model), layer, device)
    else:
        from asrdistill.encoders.torchaudio import PipelineEncoder

        encoder = PipelineEncoder.load(model, layer, device)
    if ahead is not None:
        encoder.look_ahead(ahead)
    return encoder
