"""Files of model folders, read without torch: meta.json, senones, weights. See :mod:`asrdistill.models.io`."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from asrdistill.errors import UserError
from asrdistill.files import read_json, sha256
from asrdistill.hmm.senones import Senones

log = logging.getLogger("asrdistill")

FORMAT = 1  # of what asrdistill export writes: a later one may mean something else by the same names


def read_meta(folder: Path) -> dict[str, Any]:
    """meta.json of a model folder; raises UserError if the folder is none."""
    path = Path(folder) / "meta.json"
    if not path.is_file():
        raise UserError(f"{folder} is not a model folder (no meta.json in it); run the stage that trains it")
    meta = read_json(path)
    if "kind" not in meta:
        raise UserError(f"{path} names no kind of model; train it again")
    return meta


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
    for name, wanted in hashes.items():
        if not (folder / name).is_file():
            raise UserError(f"{folder / name} is missing; export again")
        if sha256(folder / name) == wanted:
            continue
        if name in weights:
            raise UserError(f"{folder / name} was changed after it was exported (its SHA-256 is another); export again")
        log.warning("%s was changed after it was exported", folder / name)
    return meta


def read_senones(folder: Path, meta: dict[str, Any]) -> Senones:
    senones = Senones.read(folder)
    if senones.hash != meta["senones"]:
        raise UserError(f"{folder / 'senones.json'} is not the model's inventory; train it again")
    return senones


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Arrays of a safetensors file; raises UserError when it is missing, cut short or has NaN or infinity in it."""
    try:
        arrays = load_file(path)
        for name, array in arrays.items():
            if not np.isfinite(np.exp(array) if name == "log_priors" else array).all():  # priors may be 0
                raise UserError(f"{path}: {name} is not finite; train the model again, with a lower learning rate")
        return arrays
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; train the model first") from None
    except (SafetensorError, KeyError) as error:  # a KeyError is of a type that NumPy lacks
        raise UserError(f"{path} is damaged ({error}); train the model again") from None
