"""Model folders: load, save, verify.

    meta.json          kind (dnn, specialist, ensemble, specialists, onnx, int8), options, features, senone hash, counts
    model.safetensors  weights, global mean and deviation of the features, log priors
    senones.json       senone inventory

Ensembles, and generalists with specialists, name their members by relative path. Exported folders have `export` in
meta.json: format version and SHA-256 of the weight files. Kind onnx has model.onnx and priors.txt as weights, kind int8
other tensors: see :mod:`asrdistill.models.native`.
"""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from asrdistill.config import build
from asrdistill.data.archive import FrameArchive, check_features
from asrdistill.errors import UserError
from asrdistill.features.paste import has_columns
from asrdistill.files import write_json
from asrdistill.hmm.align import open_aligned
from asrdistill.hmm.gmm import load_gmm
from asrdistill.hmm.senones import Senones
from asrdistill.models.acoustic import AcousticModel
from asrdistill.models.ensemble import Ensemble, Evidence
from asrdistill.models.folder import checked_meta, read_arrays, read_meta, read_senones
from asrdistill.models.inference import PLAIN, Compute
from asrdistill.models.native import NativeModel
from asrdistill.models.network import Network
from asrdistill.models.onnx import OnnxModel
from asrdistill.models.options import NetworkConfig
from asrdistill.models.registry import build_network, config_of
from asrdistill.models.specialists import Specialists


def save_model(
    folder: Path, module: Network, options: NetworkConfig, senones: Senones, log_priors: np.ndarray, **meta: Any
) -> None:
    """Write a model folder; `meta` holds at least the `features` settings.

    Where the features are a frozen encoder's, its parameters count as the model's.
    """
    of_features = meta["features"].get("parameters", 0)
    tensors = {name: value.contiguous() for name, value in module.state_dict().items()}
    tensors["log_priors"] = torch.from_numpy(log_priors)
    save_file(tensors, Path(folder) / "model.safetensors")
    senones.write(folder)
    facts = {
        "kind": "dnn",
        "options": config_of(options),
        "parameters": sum(parameter.numel() for parameter in module.parameters()) + of_features,
        "senones": senones.hash,
        **({"subsampling": senones.subsampling} if senones.subsampling > 1 else {}),
    }
    write_json(Path(folder) / "meta.json", {**facts, **meta})


def replace_tensor(folder: Path, name: str, value: Tensor, out: Path) -> None:
    """Copy a network's ``model.safetensors`` into another folder with one tensor replaced."""
    tensors = read_tensors(Path(folder) / "model.safetensors")
    save_file({**tensors, name: value}, Path(out) / "model.safetensors")


def open_for(model: Any, folder: Path, features: Path, alignment: Path) -> tuple[FrameArchive, FrameArchive, Senones]:
    """Features and alignment for the model in `folder`; raises UserError unless features and senones are its own."""
    inputs, labels, senones = open_aligned(features, alignment)
    check_features(inputs, model.meta["features"], folder)
    if model.senones.hash != senones.hash:
        raise UserError(f"{folder} predicts other senones than those of {alignment}; give one that it fits")
    return inputs, labels, senones


def load_with(model: Path, *archives: Path, compute: Compute = PLAIN) -> tuple[Any, ...]:
    """A model and frame archives, as one worker process needs them."""
    return load_model(model, compute=compute), *map(FrameArchive, archives)


def save_ensemble(
    folder: Path,
    members: Sequence[Path],
    how: str,
    gmm: Path | None = None,
    scale: float = 0.0,
    features: dict[str, Any] | None = None,
    weights: Sequence[float] | None = None,
) -> None:
    """Write an ensemble folder that names its members by relative path; they must fit together, and a GMM with them.

    `features` are the settings of joined features that hold every member's, `weights` (M,) those of the members.
    """
    check_members(members, features=features)
    models = [*members, gmm] if gmm else members
    metas = [read_meta(model) for model in models]
    first = metas[0]
    names = [os.path.relpath(Path(model).resolve(), Path(folder).resolve()) for model in models]
    parameters = sum(meta["parameters"] for meta in metas)
    meta = {"kind": "ensemble", "members": names[: len(members)], "combine": how, "parameters": parameters}
    if gmm:
        check_gmm(gmm, scale, members[0], first)
        meta |= {"gmm": names[-1], "scale": scale}
    meta |= {"weights": list(weights)} if weights is not None else {}
    meta |= {"features": features or first["features"], "senones": first["senones"]}
    losses = {meta.get("loss") for meta in metas[: len(members)]}
    meta |= {"loss": "mmi"} if losses == {"mmi"} else {}
    write_json(Path(folder) / "meta.json", meta)
    Senones.read(members[0]).write(folder)


def save_specialists(folder: Path, generalist: Path, members: Sequence[Path], active: int) -> None:
    """Write the folder of a generalist with its specialists, by relative path; they must fit together."""
    check_members([generalist, *members], ("dnn", "specialist"))
    metas = [read_meta(model) for model in (generalist, *members)]
    if "specialist" in metas[0]:
        raise UserError(f"{generalist} is a specialist; the generalist comes first")
    for member, meta in zip(members, metas[1:], strict=True):
        if "specialist" not in meta:
            raise UserError(f"{member} is no specialist; train it with asrdistill nnet train --specialist")
    senones = Senones.read(generalist)
    if not 1 <= active <= senones.count:
        raise UserError(f"--active {active} is not one to {senones.count}, the generalist's senones; change it")
    first, *names = [os.path.relpath(Path(model).resolve(), Path(folder).resolve()) for model in (generalist, *members)]
    meta = {"kind": "specialists", "generalist": first, "members": names, "combine": "kl", "active": active}
    meta["parameters"] = sum(found["parameters"] for found in metas)
    write_json(Path(folder) / "meta.json", {**meta, **{key: metas[0][key] for key in ("features", "senones")}})
    senones.write(folder)


def check_members(
    members: Sequence[Path], kinds: Sequence[str] = ("dnn",), features: dict[str, Any] | None = None
) -> None:
    """Raise UserError unless all are trained models of these kinds over the same senones, and over the same features.

    If `features` are given, each member's must be these, or among those that they join.
    """
    metas = [checked_meta(Path(member)) for member in members]
    for member, meta in zip(members, metas, strict=True):
        if meta["kind"] not in kinds:
            raise UserError(f"{member} is of kind '{meta['kind']}'; only single DNNs can be put together")
        if meta["senones"] != metas[0]["senones"]:
            raise UserError(f"{member} and {members[0]} differ in their senone inventory; train both on one alignment")
        if features is None and meta["features"] != metas[0]["features"]:
            remedy = "choose weights on pasted features (asrdistill feats paste, --weights-on)"
            raise UserError(f"{member} and {members[0]} differ in their feature settings; {remedy}")
        if features is not None and not has_columns(features, meta["features"]):
            raise UserError(f"{member} was trained on features that are not among those that the weights are chosen on")


def check_gmm(gmm: Path, scale: float, network: Path, meta: dict[str, Any]) -> None:
    """Raise UserError unless a GMM is of a network's senones and features; `meta` is that of the network."""
    loaded = load_gmm(gmm)
    for ours, theirs, what in (
        (loaded.senones.hash, meta["senones"], "senone inventory"),
        (loaded.meta["features"], meta["features"], "feature settings"),
    ):
        if ours != theirs:
            raise UserError(f"{gmm} and {network} differ in their {what} and cannot form an ensemble")
    if not 0 < scale <= 1:
        raise UserError(f"the scale of a GMM's log-likelihoods is above 0 and at most 1, not {scale:g}")


Model = AcousticModel | Ensemble | Specialists | OnnxModel | NativeModel


def load_model(folder: Path, every_frame: bool = False, compute: Compute = PLAIN) -> Model:
    """Load a model that predicts all senones; raises UserError for any that is not whole, or was changed.

    every_frame: one of a low frame rate gives outputs for all frames, as soft targets need them.
    """
    folder = Path(folder)
    meta = checked_meta(folder)
    load = partial(_load_single, every_frame=every_frame, compute=compute)
    if meta["kind"] == "dnn":
        return load(folder, meta)
    members = [load(folder / name, checked_meta(folder / name)) for name in meta.get("members", [])]
    if meta["kind"] == "ensemble":
        if not members or len(meta.get("weights", members)) != len(members):
            raise UserError(f"{folder / 'meta.json'} has no members, or not a weight for each; make the ensemble again")
        evidence = Evidence(load_gmm(folder / meta["gmm"]), meta["scale"]) if "gmm" in meta else None
        return Ensemble(members, meta["combine"], meta, evidence)
    if meta["kind"] == "specialists":
        generalist = folder / meta["generalist"]
        return Specialists(load(generalist, checked_meta(generalist)), members, meta["active"], meta)
    if meta["kind"] == "specialist":
        raise UserError(f"{folder} has the senones of one set only; combine it by nnet ensemble --generalist")
    if meta["kind"] in ("onnx", "int8"):
        if every_frame and (every := Senones.read(folder).subsampling) > 1:
            raise UserError(f"{folder} computes one frame in {every}, soft targets need all; give the trained model")
        return (OnnxModel if meta["kind"] == "onnx" else NativeModel)(folder, read_senones(folder, meta), meta)
    raise UserError(f"{folder} is a model of kind '{meta['kind']}', not a DNN or ensemble; give one of these")


def load_network(folder: Path) -> AcousticModel:
    """Load a trained network; raises UserError for ensembles, specialists and exported forms."""
    model = load_model(folder)
    if not isinstance(model, AcousticModel):
        raise UserError(f"{folder} is a model of kind '{model.meta['kind']}'; give a single network, as trained")
    return model


def _load_single(
    folder: Path, meta: dict[str, Any], every_frame: bool = False, compute: Compute = PLAIN
) -> AcousticModel:
    senones = read_senones(folder, meta)
    tensors = read_tensors(folder / "model.safetensors", log_priors="f4/1", mean="f4/1")
    log_priors = tensors.pop("log_priors").numpy()
    options = build(NetworkConfig, meta["options"], str(folder / "meta.json"))
    outputs = senones.count
    if meta["kind"] == "specialist":
        outputs = len(meta["specialist"]["own"]) + (meta["specialist"].get("softmax") != "own")
    module = build_network(options, len(tensors["mean"]), outputs)
    try:
        module.load_state_dict(tensors)
        if len(log_priors) != senones.count:  # of a specialist too
            raise RuntimeError(f"log_priors has {len(log_priors)} values, not {senones.count}")
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise UserError(f"{folder / 'model.safetensors'} does not fit meta.json: {reason}; train it again") from None
    model = AcousticModel(module, senones, np.exp(log_priors), meta, compute)
    if every_frame:
        module.subsampling = 1
    return model


def read_tensors(path: Path, **wanted: str) -> dict[str, Tensor]:
    """Tensors of a safetensors file; raises UserError as :func:`asrdistill.models.folder.read_arrays`."""
    return {name: torch.from_numpy(array) for name, array in read_arrays(path, **wanted).items()}
