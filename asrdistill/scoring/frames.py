"""Frame accuracy and cross-entropy of a model against an alignment."""

from pathlib import Path
from typing import Any

import numpy as np

from asrdistill import parallel
from asrdistill.data.archive import FrameArchive, check_features
from asrdistill.files import write_json
from asrdistill.hmm.aligned import open_aligned
from asrdistill.models.io import check_senones, load_model

_worker: dict[str, Any] = {}  # of one process: what _setup loaded


def evaluate(model: Path, features: Path, alignment: Path, out: Path, jobs: int) -> None:
    """Write ``frames.json``: frames, correct, frame_accuracy (percent), cross_entropy (nats a frame).

    Its `phones` has frames and correct of each phone that is aligned; right is the senone, not the phone alone.
    """
    inputs, labels, senones = open_aligned(features, alignment)
    loaded = load_model(model)
    check_features(inputs, loaded.meta["features"], model)
    check_senones(loaded, senones, model, alignment)
    chunks = [labels.utterances[i : i + 100] for i in range(0, len(labels), 100)]
    setup = (model, features, alignment)
    phones = list(senones.states)
    sums = np.zeros(1 + 2 * len(phones))
    for part in parallel.run(_measure, chunks, jobs, f"frames of {model.name}", "utterances", _setup, setup, len):
        sums += part
    nats, (every, right) = sums[0], sums[1:].reshape(2, -1).astype(int)
    frames, correct = int(every.sum()), int(right.sum())
    accuracy = {"frame_accuracy": 100 * correct / frames, "cross_entropy": nats / frames}
    by_phone = {
        name: {"frames": int(n), "correct": int(k)} for name, n, k in zip(phones, every, right, strict=True) if n
    }
    write_json(out / "frames.json", {"frames": frames, "correct": correct, **accuracy, "phones": by_phone})


def _setup(model: Path, features: Path, alignment: Path) -> None:
    _worker.update(model=load_model(model), features=FrameArchive(features), labels=FrameArchive(alignment))


def _measure(utterances: list[str]) -> np.ndarray:
    """(1 + 2P,) of some utterances: summed cross-entropy (nats), then frames and correct frames of each phone."""
    phone = _worker["model"].senones.phone
    nats, counts = 0.0, np.zeros((2, phone.max() + 1))
    for utterance in utterances:
        logp = _worker["model"].log_posteriors(_worker["features"][utterance])
        labels = np.asarray(_worker["labels"][utterance])
        nats -= logp[np.arange(len(labels)), labels].sum(dtype=np.float64)
        for row, chosen in enumerate((labels, labels[logp.argmax(-1) == labels])):
            counts[row] += np.bincount(phone[chosen], minlength=counts.shape[1])
    return np.append(nats, counts)
