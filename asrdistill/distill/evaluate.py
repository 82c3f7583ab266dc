"""Frame accuracy and cross-entropy of a model against an alignment."""

from pathlib import Path
from typing import Any

import numpy as np

from asrdistill import parallel
from asrdistill.data.archive import FrameArchive, check_features
from asrdistill.distill.teach import open_aligned
from asrdistill.errors import UserError
from asrdistill.files import write_json
from asrdistill.models.folder import load_model

_worker: dict[str, Any] = {}  # of one process: what _setup loaded


def evaluate(model: Path, features: Path, alignment: Path, out: Path, jobs: int) -> None:
    """Write ``frames.json``: frames, correct, frame_accuracy (percent), cross_entropy (nats a frame)."""
    inputs, labels, senones = open_aligned(features, alignment)
    loaded = load_model(model)
    check_features(inputs, loaded.meta["features"], model)
    if loaded.senones.hash != senones.hash:
        raise UserError(f"{model} predicts other senones than {alignment} is over")
    chunks = [labels.utterances[i : i + 100] for i in range(0, len(labels), 100)]
    setup = (model, features, alignment)
    sums = np.zeros(3)
    for part in parallel.run(_measure, chunks, jobs, f"frames of {model.name}", "utterances", _setup, setup, len):
        sums += part
    frames, correct, nats = sums
    accuracy = {"frame_accuracy": 100 * correct / frames, "cross_entropy": nats / frames}
    write_json(out / "frames.json", {"frames": int(frames), "correct": int(correct), **accuracy})


def _setup(model: Path, features: Path, alignment: Path) -> None:
    _worker.update(model=load_model(model), features=FrameArchive(features), labels=FrameArchive(alignment))


def _measure(utterances: list[str]) -> np.ndarray:
    """Frames, correct frames and summed cross-entropy (nats) of some utterances."""
    sums = np.zeros(3)
    for utterance in utterances:
        logp = _worker["model"].log_posteriors(_worker["features"][utterance])
        labels = _worker["labels"][utterance]
        nats = -logp[np.arange(len(labels)), labels].sum(dtype=np.float64)
        sums += (len(labels), (logp.argmax(-1) == labels).sum(), nats)
    return sums
