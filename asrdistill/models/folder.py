"""Model folders: what is passed around. Weights, the configuration that rebuilds them, and whatever
one needs to use the model on audio.

    meta.json          kind (dnn, specialist, ensemble, specialists, onnx), options, features, senone hash, counts
    model.safetensors  weights, global mean and deviation of the features, log priors
    senones.json       the senone inventory

An ensemble is a folder too: it names its members, how they are combined, and a GMM beside them if there is one; so does
that of a generalist with its specialists, a network of kind specialist having its own senones, or these and a dustbin.
An exported network is one whose meta.json also has `export`: the format's version and the SHA-256 of its weight files,
which must still be theirs. Of kind onnx are those that ONNX Runtime runs: model.onnx and priors.txt stand in the place
of model.safetensors.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from asrdistill.config import build
from asrdistill.errors import UserError
from asrdistill.features.join import columns, has_columns
from asrdistill.files import read_json, sha256, write_json
from asrdistill.hmm.gmm import Gmm, load_gmm
from asrdistill.hmm.senones import Senones
from asrdistill.models.build import build_network, described
from asrdistill.models.network import Network, pad
from asrdistill.models.onnx import OnnxModel
from asrdistill.models.options import DnnOptions
from asrdistill.models.specialists import Specialists

FORMAT = 1  # of what asrdistill export writes: a later one may mean something else by the same names


class AcousticModel:
    """A trained network with its senones and priors, ready to classify whole utterances."""

    def __init__(self, module: Network, senones: Senones, priors: np.ndarray, meta: dict[str, Any]):
        self.module, self.senones, self.priors, self.meta = module.eval(), senones, priors, meta

    @property
    def context(self) -> tuple[int, int]:
        return self.module.context

    @property
    def dimension(self) -> int:
        """F, numbers in a frame of features"""
        return len(self.module.mean)

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.module.parameters())

    @torch.inference_mode()
    def logits(self, features: np.ndarray) -> Tensor:
        """(T, F) -> (T, S); the edge frames are repeated to fill the context."""
        return self.module(torch.from_numpy(pad(features, self.module.context))[None])[0].float()

    def log_posteriors(self, features: np.ndarray) -> np.ndarray:
        """(T, F) float32 -> (T, S) float32 natural-log posteriors."""
        return self.logits(features).log_softmax(-1).numpy()

    @torch.inference_mode()
    def go_on(self, features: np.ndarray, memory: Any = None) -> tuple[np.ndarray, Any]:
        """A piece of an utterance with its context, (left + T + right, F), -> log posteriors (T, S), and a memory.

        `memory` is what the piece before gave.
        """
        logits, memory = self.module.go_on(torch.from_numpy(features)[None], memory)
        return logits[0].float().log_softmax(-1).numpy(), memory


class Evidence(NamedTuple):
    """A GMM beside an ensemble's networks, and the power of its likelihoods."""

    gmm: Gmm
    scale: float


class Ensemble:
    """Several models over the same senones that act as one; each sees its own columns of joined features.

    The arithmetic mean of the members' distributions, or the geometric mean (the mean of their
    logits), renormalised; both at temperature 1. Hinton, Vinyals and Dean (2015), section 2.
    Where meta.json has `weights`, the means are weighted by them.

    With a GMM of the same senones, that distribution is the prior of Bayes' rule, and the GMM's likelihoods to the
    power of `scale` are the evidence: p(s | x) ∝ p_networks(s | x) · p_GMM(x | s)^scale. Both saw the frame, which is
    why the scale is well below 1; they err in different places, and where data are few that is much.
    """

    def __init__(
        self, members: Sequence[AcousticModel], combine: str, meta: dict[str, Any], evidence: Evidence | None = None
    ):
        self.members, self.combine, self.meta, self.evidence = list(members), combine, meta, evidence
        self.senones = members[0].senones
        self.weights = meta.get("weights")
        self.priors = np.average([member.priors for member in members], axis=0, weights=self.weights)
        self.columns = [columns(meta["features"], member.meta["features"]) for member in members]

    @property
    def parameters(self) -> int:
        networks = sum(member.parameters for member in self.members)
        return networks + (self.evidence.gmm.parameters if self.evidence else 0)

    def log_posteriors(self, features: np.ndarray, asked: Sequence[int] | None = None) -> np.ndarray:
        """(T, F) float32 -> (T, S) float32 natural-log posteriors of the combined distribution (of `asked` members)."""
        asked = range(len(self.members)) if asked is None else asked
        logits = torch.stack([self.members[k].logits(features[:, self.columns[k]]) for k in asked])
        weights = [self.weights[k] for k in asked] if self.weights else None
        together = combine(logits, self.combine, weights)
        if self.evidence:
            loglikes = torch.from_numpy(self.evidence.gmm.loglikes(features))
            together = (together + self.evidence.scale * loglikes).log_softmax(-1)
        return together.numpy()


def combine(logits: Tensor, how: str, weights: Sequence[float] | None = None) -> Tensor:
    """Members' logits (M, …, S) -> log of their combined distribution (…, S), weighted by `weights` (M,)."""
    shares = torch.tensor(weights or [1.0] * len(logits), dtype=logits.dtype)
    shares /= shares.sum()
    if how == "arithmetic":  # a third of the time of the same in logarithms, which would differ below 1e-38 alone
        p = torch.tensordot(shares, logits.softmax(-1), 1)
        return p.clamp_min_(torch.finfo(p.dtype).tiny).log_()
    return torch.tensordot(shares, logits.log_softmax(-1), 1).log_softmax(-1)


def save_model(
    folder: Path, module: Network, options: DnnOptions, senones: Senones, log_priors: np.ndarray, **meta: Any
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
        "options": described(options),
        "parameters": sum(parameter.numel() for parameter in module.parameters()) + of_features,
        "senones": senones.hash,
    }
    write_json(Path(folder) / "meta.json", {**facts, **meta})


def replace_priors(folder: Path, log_priors: np.ndarray, out: Path) -> None:
    """Write a network's ``model.safetensors`` into another folder, with other priors (S,)."""
    tensors = read_tensors(Path(folder) / "model.safetensors")
    save_file(
        {**tensors, "log_priors": torch.from_numpy(log_priors.astype(np.float32))}, Path(out) / "model.safetensors"
    )


def add_to_logits(folder: Path, offsets: np.ndarray, out: Path) -> None:
    """Write a network's ``model.safetensors`` into another folder, with offsets (S,) added to its senones' logits."""
    tensors = read_tensors(Path(folder) / "model.safetensors")
    bias = tensors["output.bias"] + torch.from_numpy(offsets.astype(np.float32))
    save_file({**tensors, "output.bias": bias}, Path(out) / "model.safetensors")


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
    first = read_json(Path(members[0]) / "meta.json")
    models = [*members, gmm] if gmm else members
    names = [os.path.relpath(Path(model).resolve(), Path(folder).resolve()) for model in models]
    parameters = sum(read_json(Path(model) / "meta.json")["parameters"] for model in models)
    meta = {"kind": "ensemble", "members": names[: len(members)], "combine": how, "parameters": parameters}
    if gmm:
        check_gmm(gmm, scale, members[0], first)
        meta |= {"gmm": names[-1], "scale": scale}
    meta |= {"weights": list(weights)} if weights is not None else {}
    shared = {"features": features or first["features"], "senones": first["senones"]}
    write_json(Path(folder) / "meta.json", {**meta, **shared})
    Senones.read(members[0]).write(folder)


def save_specialists(folder: Path, generalist: Path, members: Sequence[Path], active: int) -> None:
    """Write the folder of a generalist with its specialists, by relative path; they must fit together."""
    check_members([generalist, *members], ("dnn", "specialist"))
    metas = [read_json(Path(model) / "meta.json") for model in (generalist, *members)]
    if "specialist" in metas[0]:
        raise UserError(f"{generalist} is a specialist; the generalist comes first")
    for member, meta in zip(members, metas[1:], strict=True):
        if "specialist" not in meta:
            raise UserError(f"{member} is no specialist; train it with asrdistill train --specialist")
    senones = Senones.read(generalist)
    if not 1 <= active <= senones.count:
        raise UserError(f"{active} of the generalist's {senones.count} senones cannot choose the active specialists")
    first, *names = [os.path.relpath(Path(model).resolve(), Path(folder).resolve()) for model in (generalist, *members)]
    meta = {"kind": "specialists", "generalist": first, "members": names, "combine": "kl", "active": active}
    meta["parameters"] = sum(found["parameters"] for found in metas)
    write_json(Path(folder) / "meta.json", {**meta, "features": metas[0]["features"], "senones": metas[0]["senones"]})
    senones.write(folder)


def check_members(
    members: Sequence[Path], kinds: Sequence[str] = ("dnn",), features: dict[str, Any] | None = None
) -> None:
    """Raise UserError unless all are trained models of these kinds over the same senones, and over the same features.

    If `features` are given, each member's must be these, or among those that they join.
    """
    metas = [_read_meta(Path(member)) for member in members]
    for member, meta in zip(members, metas, strict=True):
        if meta["kind"] not in kinds:
            raise UserError(f"{member} is of kind '{meta['kind']}'; only single DNNs can be put together")
        if meta["senones"] != metas[0]["senones"]:
            raise UserError(f"{member} and {members[0]} differ in their senone inventory and cannot form an ensemble")
        if features is None and meta["features"] != metas[0]["features"]:
            raise UserError(
                f"{member} and {members[0]} differ in their feature settings and cannot form an ensemble, but on "
                "joined features (asrdistill join) with weights that are chosen there (--weights-on)"
            )
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


def load_model(folder: Path) -> AcousticModel | Ensemble | Specialists | OnnxModel:
    """Load a model that predicts all senones; raises UserError for any that is not whole, or was changed."""
    folder = Path(folder)
    meta = _read_meta(folder)
    if meta["kind"] == "ensemble":
        networks = [_load_single(folder / name, _read_meta(folder / name)) for name in meta["members"]]
        evidence = Evidence(load_gmm(folder / meta["gmm"]), meta["scale"]) if "gmm" in meta else None
        return Ensemble(networks, meta["combine"], meta, evidence)
    if meta["kind"] == "dnn":
        return _load_single(folder, meta)
    if meta["kind"] == "specialists":
        generalist, *members = [
            _load_single(folder / name, _read_meta(folder / name)) for name in (meta["generalist"], *meta["members"])
        ]
        return Specialists(generalist, members, meta["active"], meta)
    if meta["kind"] == "specialist":
        raise UserError(
            f"{folder} knows the senones of one set alone; use it with its generalist (asrdistill specialists-ensemble)"
        )
    if meta["kind"] == "onnx":
        return OnnxModel(folder, _read_senones(folder, meta), meta)
    raise UserError(f"{folder} is a model of kind '{meta['kind']}', not a DNN or an ensemble of them")


def _read_senones(folder: Path, meta: dict[str, Any]) -> Senones:
    senones = Senones.read(folder)
    if senones.hash != meta["senones"]:
        raise UserError(f"{folder / 'senones.json'} is not the inventory that the model was trained on")
    return senones


def _load_single(folder: Path, meta: dict[str, Any]) -> AcousticModel:
    senones = _read_senones(folder, meta)
    tensors = read_tensors(folder / "model.safetensors")
    log_priors = tensors.pop("log_priors").numpy()
    options = build(DnnOptions, meta["options"], str(folder / "meta.json"))
    outputs = senones.count
    if meta["kind"] == "specialist":
        outputs = len(meta["specialist"]["own"]) + (meta["specialist"].get("softmax") != "own")
    module = build_network(options, len(tensors["mean"]), outputs)
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        raise UserError(
            f"{folder / 'model.safetensors'} does not fit meta.json: {str(error).splitlines()[-1].strip()}"
        ) from None
    return AcousticModel(module, senones, np.exp(log_priors), meta)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file; raises UserError when it is missing or cut short."""
    try:
        return load_file(path)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; train the model first") from None
    except SafetensorError as error:
        raise UserError(f"{path} is damaged ({error}); train the model again") from None


def _read_meta(folder: Path) -> dict[str, Any]:
    path = folder / "meta.json"
    if not path.is_file():
        raise UserError(f"{folder} is not a model folder (no meta.json in it); run the stage that trains it")
    meta = read_json(path)
    if "kind" not in meta:
        raise UserError(f"{path} names no kind of model")
    _check_export(folder, meta)
    return meta


def _check_export(folder: Path, meta: dict[str, Any]) -> None:
    """Raise UserError for an exported folder of a newer format, and where a weight file is not what was exported."""
    if "export" not in meta:
        if meta["kind"] == "onnx":
            raise UserError(f"{folder / 'meta.json'} does not say which model.onnx was exported; export again")
        return
    version, hashes = meta["export"].get("format"), meta["export"].get("sha256", {})
    if not isinstance(version, int) or version > FORMAT:
        raise UserError(
            f"{folder} was exported in format {version}, but this asrdistill reads formats up to {FORMAT}; upgrade it"
        )
    for name, wanted in hashes.items():
        if not (folder / name).is_file():
            raise UserError(f"{folder / name} is missing; export again")
        if sha256(folder / name) != wanted:
            raise UserError(f"{folder / name} was changed after it was exported (its SHA-256 is another); export again")
