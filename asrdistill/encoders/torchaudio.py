"""wav2vec 2.0 (Baevski et al. 2020) and HuBERT (Hsu et al. 2021) from torchaudio's pipelines and torch hub's folder."""

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
import torchaudio

from asrdistill.encoders.base import Encoder, checked_layer
from asrdistill.errors import UserError, shorten
from asrdistill.files import sha256

_RECEPTIVE, _STRIDE = 400, 320  # samples: receptive field of a frame, and shift


class PipelineEncoder(Encoder):
    """Frame k is made of the samples from 320 k to 320 k + 400; layer n ≥ 1 is what leaves Transformer block n."""

    rate, shift, centre = 16000, _STRIDE / 16000, _RECEPTIVE / 2 / 16000
    stride, beyond = _STRIDE, _RECEPTIVE - _STRIDE

    def __init__(self, model: Any, layer: int, dimension: int, settings: dict[str, Any], device: str = "cpu"):
        self.model, self.layer, self.dimension, self.settings = model.eval().to(device), layer, dimension, settings
        self.device = device

    @classmethod
    def load(cls, name: str, layer: int | None = None, device: str = "cpu") -> "PipelineEncoder":
        """By pipeline name; raises UserError if it is unknown, or its weights are not on disk."""
        bundle = bundles().get(name)
        if bundle is None:
            raise UserError(f"torchaudio has no encoder {name}; it has {', '.join(bundles())}")
        path = Path(torch.hub.get_dir(), "checkpoints", Path(bundle._path).name)
        if not path.is_file():
            raise UserError(f"the weights of {name} are not on this machine; put torchaudio's file at {path}")
        parameters = bundle._params
        layer = checked_layer(layer, 1, parameters["encoder_num_layers"], name)
        try:
            model = bundle.get_model(dl_kwargs={"weights_only": True})
        except (UnpicklingError, RuntimeError, EOFError) as error:
            raise UserError(f"{path} holds no weights of {name} ({shorten(str(error).splitlines(), 1)})") from None
        settings = {"type": "torchaudio", "pipeline": name, "weights": sha256(path), "layer": layer}
        return cls(model, layer, parameters["encoder_embed_dim"], settings, device)

    def count(self, samples: int) -> int:
        return max(0, 1 + (samples - _RECEPTIVE) // _STRIDE)

    @torch.inference_mode()
    def encode(self, samples: np.ndarray) -> np.ndarray:
        if len(samples) < _RECEPTIVE:
            raise UserError(f"{len(samples)} samples at {self.rate} Hz are too few for a frame of {_RECEPTIVE}")
        layers, _ = self.model.extract_features(torch.from_numpy(samples)[None].to(self.device), num_layers=self.layer)
        return layers[-1][0].cpu().numpy()


def bundles() -> dict[str, Any]:
    """torchaudio's self-supervised encoders and those made of them, by name."""
    found = {name: getattr(torchaudio.pipelines, name) for name in dir(torchaudio.pipelines)}
    return {name: value for name, value in found.items() if isinstance(value, torchaudio.pipelines.Wav2Vec2Bundle)}
