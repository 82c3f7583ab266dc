"""Whisper's encoder (Radford et al. 2022) in torch, any layer, from CTranslate2's weights, without padding to 30 s."""

from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import Tensor, nn
from torch.nn import functional
from torchaudio.functional import melscale_fbanks

from asrdistill.encoders.base import Encoder, checked_layer
from asrdistill.encoders.model_bin import read_variables
from asrdistill.errors import UserError
from asrdistill.files import sha256
from asrdistill.reader import read_tensors, reading

RATE = 16000
_FFT, _HOP = 400, 160  # samples: 25 ms, 10 ms
_STRIDE = 2 * _HOP  # samples from one frame of the encoder to the next


Variables = dict[str, np.ndarray]  # by CTranslate2's names
L = TypeVar("L", bound=nn.Module)


class WhisperEncoder(Encoder):
    """Frame k has its middle at 20 k ms. Layer 0 enters block 1, layer n leaves block n; the last is normalised."""

    rate, shift, centre = RATE, _STRIDE / RATE, 0.0
    stride, beyond = _STRIDE, 0

    def __init__(self, network: "Network", settings: dict[str, Any], device: str = "cpu"):
        self.network, self.settings = network.eval().to(device), settings
        self.device = torch.device(device)
        self.dimension = network.positions.shape[1]
        self.filters = mel_filters(network.conv1.in_channels).to(device)

    @classmethod
    def load(cls, folder: Path, layer: int | None = None, device: str = "cpu") -> "WhisperEncoder":
        """From a folder with CTranslate2's model.bin; raises UserError for other models and layers that it lacks."""
        path = Path(folder) / "model.bin"
        variables, layer = read_encoder(path, layer)
        network = Network(variables, path)
        parameters = sum(parameter.numel() for parameter in network.parameters())
        settings = {"type": "whisper", "weights": sha256(path), "layer": layer, "parameters": parameters}
        return cls(network, settings, device)

    @classmethod
    def open(cls, path: Path, settings: dict[str, Any]) -> "WhisperEncoder":
        """From a file that :func:`write_encoder` wrote; raises UserError for one that is damaged."""
        encoder = cls(Network(read_tensors(path, "export again"), path), settings)
        if "ahead" in settings:
            encoder.look_ahead(settings["ahead"])
        return encoder

    def count(self, samples: int) -> int:
        return 1 + samples // _STRIDE

    @torch.inference_mode()
    def encode(self, samples: np.ndarray) -> np.ndarray:
        if len(samples) <= _FFT // 2:
            raise UserError(f"{len(samples)} samples at {RATE} Hz are too few for a frame of Whisper's")
        count = min(self.count(len(samples)), len(self.network.positions))
        mel = log_mel(torch.from_numpy(samples).to(self.device), self.filters)
        return self.network(mel[: 2 * count])[:count].cpu().numpy()


def read_encoder(path: Path, layer: int | None) -> tuple[Variables, int]:
    """What leads to a layer of the encoder in CTranslate2's model.bin, and which layer that is: the last by default."""
    stored = read_variables(path, "WhisperSpec", lambda name: name.startswith("encoder/"))
    variables = {name.removeprefix("encoder/"): value for name, value in stored.items()}
    blocks = _blocks(variables)
    layer = checked_layer(layer, 0, blocks, str(path.parent))
    beyond = (*(f"layer_{number}/" for number in range(layer, blocks)), *["layer_norm/"] * (layer < blocks))
    return {name: value for name, value in variables.items() if not name.startswith(beyond)}, layer


def write_encoder(variables: Variables, path: Path) -> None:
    """Write what :func:`read_encoder` read, in half precision where that is all there is to it."""
    save_file({name: _halved(np.array(value, order="C")) for name, value in variables.items()}, path)


def _halved(value: np.ndarray) -> np.ndarray:
    if value.dtype != np.float32:
        return value
    half = value.astype(np.float16)
    return half if np.array_equal(half.astype(np.float32), value) else value


def _blocks(variables: Variables) -> int:
    return sum(name.endswith("self_attention/linear_0/weight") for name in variables)


def mel_filters(bins: int) -> Tensor:
    """Slaney's mel filters as Whisper has them: (201, bins) float32, each of equal area."""
    return melscale_fbanks(1 + _FFT // 2, 0.0, RATE / 2, bins, RATE, norm="slaney", mel_scale="slaney")


def log_mel(waveform: Tensor, filters: Tensor) -> Tensor:
    """Samples (N,) at 16 kHz -> (1 + N // 160, bins): log10 of energies, 8 below their largest at most, scaled.

    Frame m has its middle at sample 160 m. One frame of silence is added at the end, as faster-whisper does.
    """
    padded = functional.pad(waveform, (0, _HOP))
    window = torch.hann_window(_FFT, device=waveform.device)
    power = torch.stft(padded, _FFT, _HOP, window=window, return_complex=True)[:, :-1].abs().square()
    energies = (power.T @ filters).clamp_min(1e-10).log10()
    return (energies.maximum(energies.max() - 8) + 4) / 4


class Network(nn.Module):
    """Log-mel frames (2 T, bins) -> a layer's frames (T, D), from the variables that lead to it."""

    positions: Tensor

    def __init__(self, weights: Variables, source: Path):
        super().__init__()
        with reading(source, "fetch or convert the model again"):
            self.conv1, self.conv2 = _convolution(weights, "conv1", 1), _convolution(weights, "conv2", 2)
            positions = weights["position_encodings/encodings"].astype(np.float32)
            self.register_buffer("positions", torch.from_numpy(positions))
            heads = int(weights["num_heads"])
            self.blocks = nn.ModuleList(_Block(weights, f"layer_{n}/", heads) for n in range(_blocks(weights)))
            self.norm = _norm(weights, "layer_norm") if "layer_norm/gamma" in weights else nn.Identity()

    def forward(self, mel: Tensor) -> Tensor:
        hidden = functional.gelu(self.conv1(mel.T[None]))
        hidden = functional.gelu(self.conv2(hidden))[0].T
        hidden = hidden + self.positions[: len(hidden)]
        for block in self.blocks:
            hidden = block(hidden)
        return self.norm(hidden)


class _Block(nn.Module):
    """Self-attention and two linear layers, each on normalised inputs and added to them: (T, D) -> (T, D)."""

    def __init__(self, weights: Variables, prefix: str, heads: int):
        super().__init__()
        self.heads = heads
        self.attention_norm = _norm(weights, f"{prefix}self_attention/layer_norm")
        self.queries_keys_values = _linear(weights, f"{prefix}self_attention/linear_0")
        self.attended = _linear(weights, f"{prefix}self_attention/linear_1")
        self.norm = _norm(weights, f"{prefix}ffn/layer_norm")
        self.wide = _linear(weights, f"{prefix}ffn/linear_0")
        self.narrow = _linear(weights, f"{prefix}ffn/linear_1")

    def forward(self, hidden: Tensor) -> Tensor:
        three = self.queries_keys_values(self.attention_norm(hidden))
        query, key, value = three.unflatten(1, (3, self.heads, -1)).permute(1, 2, 0, 3)[:, None]  # (1, H, T, D / H)
        context = functional.scaled_dot_product_attention(query, key, value)[0]
        hidden = hidden + self.attended(context.transpose(0, 1).flatten(1))
        return hidden + self.narrow(functional.gelu(self.wide(self.norm(hidden))))


def _filled(layer: L, weight: np.ndarray, bias: np.ndarray) -> L:
    """The layer, made on the device meta, with these parameters."""
    for name, value in (("weight", weight), ("bias", bias)):
        setattr(layer, name, nn.Parameter(torch.from_numpy(np.array(value, np.float32)), requires_grad=False))
    return layer


def _linear(weights: Variables, name: str) -> nn.Linear:
    weight = weights[f"{name}/weight"]
    outputs, inputs = weight.shape
    return _filled(nn.Linear(inputs, outputs, device="meta"), weight, weights[f"{name}/bias"])


def _norm(weights: Variables, name: str) -> nn.LayerNorm:
    gamma = weights[f"{name}/gamma"]
    return _filled(nn.LayerNorm(len(gamma), device="meta"), gamma, weights[f"{name}/beta"])


def _convolution(weights: Variables, name: str, stride: int) -> nn.Conv1d:
    weight = weights[f"{name}/weight"]
    outputs, inputs, width = weight.shape
    layer = nn.Conv1d(inputs, outputs, width, stride, padding=1, device="meta")
    return _filled(layer, weight, weights[f"{name}/bias"])
