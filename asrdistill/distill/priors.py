"""Priors as a network sees them: its mean posterior over many frames, in the place of an alignment's counts."""

from pathlib import Path

import numpy as np

from asrdistill import parallel
from asrdistill.data.archive import FrameArchive, check_features
from asrdistill.errors import UserError
from asrdistill.files import write_json
from asrdistill.models.folder import AcousticModel, load_model, replace_priors

_model: AcousticModel  # of one process: what _setup loaded
_archive: FrameArchive


def write_with_priors(model: Path, features: Path, out: Path, jobs: int) -> None:
    """Copy the network into the existing folder `out`, with its mean posterior over the features as its priors.

    Raises UserError for an ensemble, whose priors are its members', and for features without frames.
    """
    loaded, archive = load_model(model), FrameArchive(features, "features")
    if not isinstance(loaded, AcousticModel):
        what = "an ensemble" if loaded.meta["kind"] == "ensemble" else f"a model of kind '{loaded.meta['kind']}'"
        raise UserError(f"{model} is {what}, whose priors are not its own; measure those of a single network")
    check_features(archive, loaded.meta["features"], model)
    if archive.total_rows == 0:
        raise UserError(f"{features} holds no frames")
    chunks = [archive.utterances[i : i + 100] for i in range(0, len(archive), 100)]
    total = np.zeros(loaded.senones.count)
    for part in parallel.run(
        _sum, chunks, jobs, f"priors of {model.name}", "utterances", _setup, (model, features), len
    ):
        total += part
    loaded.senones.write(out)
    write_json(out / "meta.json", {**loaded.meta, "priors": f"mean posterior over {archive.folder.name}"})
    replace_priors(model, np.log(np.maximum(total / archive.total_rows, 1e-30)), out)


def _setup(model: Path, features: Path) -> None:
    global _model, _archive
    _model, _archive = load_model(model), FrameArchive(features)  # type: ignore[assignment]


def _sum(utterances: list[str]) -> np.ndarray:
    """(S,) sum of the posteriors over the frames of some utterances."""
    sums = [np.exp(_model.log_posteriors(_archive[utterance])).sum(0, dtype=np.float64) for utterance in utterances]
    return np.sum(sums, axis=0)
