"""The door for encoders that others trained, and what comes through it.

An encoder is named FAMILY:MODEL, with @N behind it for the output of its Nth layer instead of the last:

    whisper:tiny.en          whisper:large-v3@20          whisper:/path/to/a/model      see encoders/whisper.py
    torchaudio:HUBERT_BASE@6                                                            see encoders/torchaudio.py

A family more is a class with the attributes of :class:`Encoder`, its name in :func:`parse` and its line in
:func:`open_encoder`.
"""

import re
from abc import ABC, abstractmethod
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


def parse(name: str) -> tuple[str, str, int | None]:
    """The family, model and layer that an encoder's name says; raises UserError for a name that is none."""
    if not (found := re.fullmatch(r"(whisper|torchaudio):(.+?)(?:@(\d+))?", name)):
        raise UserError(
            f"'{name}' is no encoder; give one as whisper:tiny.en, whisper:/path/to/model, torchaudio:HUBERT_BASE, "
            "with @N behind it for layer N"
        )
    return found[1], found[2], int(found[3]) if found[3] else None


def open_encoder(name: str, device: str = "cpu") -> Encoder:
    """The encoder of that name; raises UserError for a name that is none, and for a model that is not to be had."""
    family, model, layer = parse(name)
    if family == "whisper":
        from asrdistill.encoders.whisper import model_folder
        from asrdistill.encoders.whisper_encoder import WhisperEncoder

        return WhisperEncoder.load(model_folder(model), layer, device)
    from asrdistill.encoders.torchaudio import PipelineEncoder

    return PipelineEncoder.load(model, layer, device)


def checked_layer(layer: int | None, first: int, last: int, model: str) -> int:
    """The layer that was asked for, the last by default; raises UserError for one that there is not."""
    if layer is not None and not first <= layer <= last:
        raise UserError(f"{model} has layers {first} to {last}, but not {layer}")
    return last if layer is None else layer


class Windowed(ABC):
    """What encoders have in common that hear at most 30 seconds at a time: windows that overlap by ten.

    A frame is taken from the window in which it is farther from an inner edge, so that what an encoder says does not
    depend on whether a recording comes whole or piece by piece.
    """

    rate: int
    shift: float
    centre: float
    dimension: int
    settings: dict[str, Any]
    stride: int  # samples from the middle of a frame to that of the next
    beyond: int  # samples after a window's last stride that its last frame sees

    @abstractmethod
    def count(self, samples: int) -> int:
        """How many frames so many samples make, were they a recording."""

    @abstractmethod
    def hear(self, samples: np.ndarray) -> np.ndarray:
        """The frames (T, D) float32 of samples (N,) that are heard together; UserError for hardly any samples."""

    def frames(self, waveform: np.ndarray) -> np.ndarray:
        stream = FrameStream(self)
        return np.concatenate([stream.accept(waveform), stream.finish()])


class FrameStream:
    """The frames of one recording whose samples come piece by piece, up to 30 seconds late."""

    def __init__(self, encoder: Windowed):
        self._encoder = encoder
        self._waiting = np.empty(0, np.float32)  # samples from the next window's first on
        self._taken = 0  # frames of that window that the one before it gave

    def accept(self, samples: np.ndarray) -> np.ndarray:
        """The frames (T, D) float32 that more samples (N,) complete; T may be 0."""
        encoder, found = self._encoder, [np.empty((0, self._encoder.dimension), np.float32)]
        self._waiting = np.append(self._waiting, np.asarray(samples, np.float32))
        while encoder.count(len(self._waiting)) > _WINDOW:
            heard = encoder.hear(self._waiting[: _WINDOW * encoder.stride + encoder.beyond])
            found.append(heard[self._taken : _WINDOW - _OVERLAP // 2])
            self._waiting, self._taken = self._waiting[(_WINDOW - _OVERLAP) * encoder.stride :], _OVERLAP // 2
        return np.concatenate(found)

    def finish(self) -> np.ndarray:
        """The frames (T, D) float32 that are left when there are no more samples."""
        return self._encoder.hear(self._waiting)[self._taken :]
