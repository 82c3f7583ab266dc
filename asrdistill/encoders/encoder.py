"""The door for encoders that others trained, and what comes through it.

An encoder is named FAMILY:MODEL, with @N behind it for the output of its Nth layer instead of the last:

    whisper:tiny.en          whisper:large-v3@20          whisper:/path/to/a/model      see encoders/whisper.py
    torchaudio:HUBERT_BASE@6                                                            see encoders/torchaudio.py

A family more is a class with the attributes of :class:`Encoder` and a line in :func:`open_encoder`.
"""

import re
from typing import Any, Protocol

import numpy as np

from asrdistill.errors import UserError

_WINDOW, _OVERLAP = 1500, 500  # frames


class Encoder(Protocol):
    """A network whose frames say more of speech than a filterbank's."""

    rate: int  # Hz of the waveforms that it hears
    shift: float  # seconds from the middle of a frame to that of the next
    centre: float  # seconds from the waveform's beginning to the middle of frame 0
    dimension: int  # D
    settings: dict[str, Any]  # for meta.json: its type, the weights' hash, the layer

    def frames(self, waveform: np.ndarray) -> np.ndarray:
        """Samples (N,) float32 in [-1, 1) of any length -> frames (T, D) float32; UserError for hardly any samples."""


def open_encoder(name: str, device: str = "cpu") -> Encoder:
    """The encoder of that name; raises UserError for a name that is none, and for a model that is not to be had."""
    family, _, rest = name.partition(":")
    found = re.fullmatch(r"(.+?)(?:@(\d+))?", rest)
    layer = int(found[2]) if found and found[2] else None
    if found and family == "whisper":
        from asrdistill.encoders.whisper import model_folder
        from asrdistill.encoders.whisper_encoder import WhisperEncoder

        return WhisperEncoder.load(model_folder(found[1]), layer, device)
    if found and family == "torchaudio":
        from asrdistill.encoders.torchaudio import PipelineEncoder

        return PipelineEncoder.load(found[1], layer, device)
    raise UserError(
        f"'{name}' is no encoder; give one as whisper:tiny.en, whisper:/path/to/model, torchaudio:HUBERT_BASE, "
        "with @N behind it for layer N"
    )


def checked_layer(layer: int | None, first: int, last: int, model: str) -> int:
    """The layer that was asked for, the last by default; raises UserError for one that there is not."""
    if layer is not None and not first <= layer <= last:
        raise UserError(f"{model} has layers {first} to {last}, but not {layer}")
    return last if layer is None else layer


def windows(count: int) -> list[tuple[int, int, int, int]]:
    """How `count` frames of 20 ms are heard: in windows of 30 seconds that overlap by ten.

    (first, last, begin, end): of the frames first … last - 1 that are heard together, begin … end - 1 are taken, so
    that each is taken where it is farther from an inner edge.
    """
    step = _WINDOW - _OVERLAP
    firsts = list(range(0, max(1, count - _OVERLAP), step))
    return [
        (
            first,
            min(first + _WINDOW, count),
            first + (_OVERLAP // 2 if first else 0),
            count if first == firsts[-1] else first + _WINDOW - _OVERLAP // 2,
        )
        for first in firsts
    ]
