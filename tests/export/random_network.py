"""A random network for the words of noise."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from asrdistill.features.cepstra import CepstraOptions
from asrdistill.features.options import FbankOptions
from asrdistill.files import write_json
from asrdistill.hmm.senones import Senones
from asrdistill.lang.lexicon import Lang
from asrdistill.lang.ngram import train, write_arpa
from asrdistill.models.io import save_model
from asrdistill.models.network import pad
from asrdistill.models.options import NetworkConfig
from asrdistill.models.registry import build_network
from asrdistill.runtime.frontend import frontend_of

NETS = [
    ("dnn", 1, "fbank", {"layers": 2, "left": 3, "right": 2}),
    ("dnn", 3, "cepstra", {"layers": 1, "left": 3, "right": 2}),
    ("tdnn", 1, "cepstra", {"left": 15, "right": 3, "dilations": [1, 2, 3]}),
    ("tdnn", 3, "fbank", {"left": 18, "right": 0, "dilations": [1, 3, 3]}),
    ("tdnnf", 1, "fbank", {"left": 15, "right": 3, "dilations": [1, 2, 3]}),
    ("tdnnf", 3, "cepstra", {"left": 15, "right": 9, "dilations": [1, 3, 3]}),
]


def plant_random(
    tmp_path: Path,
    lang: Lang,
    texts: list[str],
    architecture: str,
    subsampling: int,
    kind: str,
    settings: dict[str, Any],
    states: int = 1,
    trees: dict[str, Any] | None = None,
) -> np.ndarray:
    """Make the folders model, lang, lm and tuned of two phones, L and H; returns noise in which there are words.

    kind   of features: fbank, cepstra, or plain: cepstra without a running mean
    trees  of the phones, with 3 * states leaves
    """
    torch.manual_seed(0)
    fbank = FbankOptions(bins=12, snip_edges=kind == "fbank")
    features: dict[str, Any] = fbank.describe()
    level = {}
    if kind != "fbank":
        own = CepstraOptions(coefficients=12, normalise="speaker" if kind == "cepstra" else "none")
        features = {"type": "cepstra", **own.__dict__, "fbank": features}
        level = {"level": {"mean": [50.0] + 11 * [0.5], "std": [9.0] + 11 * [4.0]}}
    trees = trees or {phone: list(range(states * p, states * (p + 1))) for p, phone in enumerate(lang.phones)}
    count = 3 * states
    senones = Senones(lang.phones, trees, np.log(np.linspace(0.8, 0.5, count)), subsampling=subsampling)
    config = NetworkConfig(architecture=architecture, width=32, **settings)
    network = build_network(config, 12, count)
    rng = np.random.default_rng(0)
    samples = (0.1 * rng.normal(size=30000) * np.repeat(rng.random(60), 500)).astype(np.float32)
    frames = frontend_of({"features": features, **level}, tmp_path).frames(samples)
    with torch.no_grad():  # all senones as probable as another
        network.mean.copy_(torch.from_numpy(frames.mean(0)))
        network.std.copy_(torch.from_numpy(frames.std(0)))
        network.output.weight.normal_()
        logits = network(torch.from_numpy(pad(frames, (config.left, config.right)))[None])[0]
        network.output.weight /= logits.std(0)[:, None] / 2
        network.output.bias.copy_(-2 * (logits - network.output.bias).mean(0) / logits.std(0))
    for name in ("model", "lang", "lm", "tuned", "data"):
        (tmp_path / name).mkdir()
    lang.write(tmp_path / "lang")
    write_arpa(train(texts, lang.words, 2), tmp_path / "lm/lm.arpa")
    write_json(tmp_path / "tuned/tuned.json", {"lm_weight": 2.0, "insertion_penalty": 4.0, "wer": 0.0})
    priors = np.log(np.repeat(np.array([0.5, 0.3, 0.2], np.float32) / states, states))
    save_model(
        *(tmp_path / "model", network, config, senones, priors),
        **{"features": features, "frame_shift": 0.01, "updates": 0, **level},
    )
    return samples
