"""Files of model folders, read without torch: meta.json, senones, weights. See :mod:`asrdistill.models.io`."""

from pathlib import Path
from typing import Annotated, Any, TypedDict

import numpy as np

from asrdistill.data.archive import Settings
from asrdistill.errors import UserError, log
from asrdistill.files import hash_of, sha256
from asrdistill.hmm.senones import Senones
from asrdistill.reader import Count, Positive, read_json, read_tensors

FORMAT = 1  # of what asrdistill export writes: a later one may mean something else by the same names


class Export(TypedDict, total=False):
    format: int
    form: str
    asrdistill: str
    senones: Count
    sha256: dict[str, str]
    weights: list[str]
    meta: str


class Specialist(TypedDict, total=False):
    own: list[Count]
    softmax: str


class _Meta(TypedDict):
    kind: str


class Meta(_Meta, total=False):
    """meta.json of a model folder; `kind` decides what there must be."""

    parameters: Count
    senones: str | int  # hash; of a GMM their number
    features: Settings
    frame_shift: Annotated[float, (0, 1e9)]  # seconds; 0: rows are no frames of speech
    subsampling: Annotated[int, (1, 10)]
    options: dict[str, Any]
    level: dict[str, list[float]]
    history: list[dict[str, Any]]
    members: list[str]
    combine: str
    weights: list[float]
    gmm: str
    scale: Positive
    generalist: str
    active: Count
    specialist: Specialist
    export: Export
    updates: Count
    loss: str
    precision: str
    teacher: str
    bias: dict[str, Any]


def read_meta(folder: Path) -> dict[str, Any]:
    """meta.json of a model folder; raises UserError if the folder is none."""
    path = Path(folder) / "meta.json"
    if not path.is_file():
        raise UserError(f"{folder} is not a model folder (no meta.json in it); run the stage that trains it")
    return read_json(path, Meta)


def checked_meta(folder: Path) -> dict[str, Any]:
    """meta.json; raises UserError if the folder was exported in a newer format, or changed after it was exported."""
    meta = read_meta(folder)
    if "export" not in meta:
        if meta["kind"] == "onnx":
            raise UserError(f"{folder / 'meta.json'} has no hash of model.onnx; export again")
        return meta
    version, hashes = meta["export"].get("format"), meta["export"].get("sha256", {})
    weights = meta["export"].get("weights", hashes)  # lexicon, language model and scales may be exchanged
    if not isinstance(version, int) or version > FORMAT:
        raise UserError(f"{folder} was exported in format {version}, above {FORMAT}; upgrade asrdistill")
    if meta["export"].get("meta", known := hash_of_meta(meta)) != known:
        raise UserError(f"{folder / 'meta.json'} was changed after it was exported (its hash is another); export again")
    for name, wanted in hashes.items():
        if not (folder / name).is_file():
            raise UserError(f"{folder / name} is missing; export again")
        if sha256(folder / name) == wanted:
            continue
        if name in weights:
            raise UserError(f"{folder / name} was changed after it was exported (its SHA-256 is another); export again")
        log.warning("%s was changed after it was exported", folder / name)
    return meta


def hash_of_meta(meta: dict[str, Any]) -> str:
    """Hash of an exported folder's meta.json, as read, but for this hash, which is export.meta in it."""
    return hash_of({**meta, "export": {key: value for key, value in meta["export"].items() if key != "meta"}})


def read_senones(folder: Path, meta: dict[str, Any]) -> Senones:
    senones = Senones.read(folder)
    if senones.hash != meta["senones"]:
        raise UserError(f"{folder / 'senones.json'} is not the model's inventory; train it again")
    return senones


def read_arrays(path: Path, **wanted: str) -> dict[str, np.ndarray]:
    """Arrays of a model's safetensors file, finite but for log priors; `wanted`: those it must have."""
    return read_tensors(path, "train the model again", wanted, ["log_priors"])
