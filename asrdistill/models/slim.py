"""One DNN that is several: the first units of each hidden layer are a smaller one (Yu et al. 2019, Slimmable networks).

All widths learn from each batch, from the same targets, and share their weights. Any of them can be taken out as a DNN
of its own, with the same scores.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from asrdistill.config import build
from asrdistill.errors import UserError
from asrdistill.models.dnn import Dnn
from asrdistill.models.network import Part
from asrdistill.models.options import DnnOptions


def units_of(width: int, share: float) -> int:
    return max(1, round(share * width))


class Widths(nn.Module):
    """A DNN at several shares of its width at once: features -> logits (W, B, T, S)."""

    def __init__(self, model: Dnn, shares: Sequence[float]):
        super().__init__()
        self.model, self.units = model, [units_of(model.hidden[0].out_features, share) for share in shares]  # type: ignore[arg-type]

    def forward(self, features: Tensor, part: Part = None) -> Tensor:
        return torch.stack([self.model(features, part, units) for units in self.units])


def narrow(module: Dnn, units: int, options: DnnOptions) -> tuple[Dnn, DnnOptions]:
    """The DNN of the first `units` of each hidden layer."""
    options = replace(options, width=units, widths=[])
    slim = Dnn(options, len(module.mean), module.output.out_features).eval()
    weights = module.state_dict()
    with torch.no_grad():
        for name, value in slim.state_dict().items():
            value.copy_(weights[name][tuple(slice(size) for size in value.shape)])
    return slim, options


def take_out(model: Path, share: float, out: Path) -> None:
    """Write the DNN of a share of the model's width into the existing folder `out`.

    Raises UserError unless the model was trained at that width.
    """
    from asrdistill.models.folder import AcousticModel, load_model, save_model

    loaded = load_model(model)
    trained = loaded.meta.get("options", {}).get("widths", [])
    if not isinstance(loaded, AcousticModel) or share not in trained:
        listed = ", ".join(f"{width:g}" for width in trained) or "none but its own"
        raise UserError(f"{model} was not trained at {share:g} of its width; the widths in it are {listed}")
    options = build(DnnOptions, loaded.meta["options"], str(model / "meta.json"))
    assert isinstance(loaded.module, Dnn)
    slim, options = narrow(loaded.module, units_of(options.width, share), options)
    known = ("kind", "options", "parameters", "senones", "history")
    meta = {key: value for key, value in loaded.meta.items() if key not in known}
    log_priors = np.log(loaded.priors).astype(np.float32)
    save_model(out, slim, options, loaded.senones, log_priors, **meta, slim_of={"width": options.width, "share": share})
