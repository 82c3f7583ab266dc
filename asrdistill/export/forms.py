"""Write a network in one of the FORMS, and open the result to compare it."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from asrdistill.decode.acoustic import open_network
from asrdistill.errors import UserError
from asrdistill.hmm.senones import Senones
from asrdistill.models.acoustic import AcousticModel
from asrdistill.models.io import load_network
from asrdistill.models.onnx import write_priors


def write_form(
    form: str, folder: Path, model: AcousticModel, frames: Iterable[np.ndarray], out: Path, prior_floor: float = 1e-5
) -> list[str]:
    """Write the network of a model folder into the existing folder `out`; returns the names of the weight files.

    8-bit forms take their scales from the features `frames`, each (T, F); Kaldi's holds the floor of the priors.
    """
    if form not in model.module.exports:
        raise UserError(f"{folder} has no form {form}; its architecture has {', '.join(model.module.exports)}")
    if form == "int8":
        from asrdistill.export.int8 import write_int8

        write_int8(folder, model, frames, out / "model.safetensors")
        return ["model.safetensors"]
    if form in ("onnx", "onnx-int8"):
        from asrdistill.export.onnx import write_onnx, write_onnx_int8

        if form == "onnx":
            write_onnx(model.module, out / "model.onnx")
        else:
            write_onnx_int8(model.module, frames, out / "model.onnx")
        write_priors(model.priors, out / "priors.txt")
        return ["model.onnx", "priors.txt"]
    shutil.copyfile(folder / "model.safetensors", out / "model.safetensors")
    if form == "torchscript":
        from asrdistill.export.torchscript import write_torchscript

        write_torchscript(model.module, out / "model.pt")
        return ["model.safetensors", "model.pt"]
    if form == "kaldi":
        from asrdistill.export.kaldi import write_kaldi

        write_kaldi(folder, model.senones, model.meta, prior_floor, out)
        return ["model.safetensors", "final.mdl", "tree"]
    return ["model.safetensors"]


def open_form(form: str, out: Path) -> Any:
    """What was written, with ``log_posteriors(features)``: (T, F) float32 -> (T, S) float32."""
    if form == "torchscript":
        from asrdistill.export.torchscript import TorchScript

        return TorchScript(out / "model.pt", load_network(out).module)
    if form == "kaldi":
        from asrdistill.export.kaldi import Nnet3

        return Nnet3(out / "final.mdl", Senones.read(out).subsampling)
    return open_network(out)
