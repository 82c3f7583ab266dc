"""Frame accuracy and cross-entropy of a model against an alignment."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from asrdistill.data.archive import FrameArchive
from asrdistill.errors import check_left_out
from asrdistill.files import write_json
from asrdistill.models.inference import PLAIN, Compute, posteriors
from asrdistill.models.io import load_model, load_with, open_for
from asrdistill.parallel import Chunk, chunks, map_utterances


def evaluate(model: Path, features: Path, alignment: Path, out: Path, jobs: int, compute: Compute = PLAIN) -> None:
    """Write ``frames.json``: frames, correct, frame_accuracy (percent), cross_entropy (nats per frame), phones.

    At a low frame rate the frames are those that the network computes, every Nth.
    `phones` has frames and correct senones per aligned phone, `confusions` of each the frames by the phone of the most
    probable senone. Raises UserError unless model and data fit, and if too
    many utterances cannot be read.
    """
    _, labels, senones = open_for(load_model(model), model, features, alignment)
    phones = list(senones.states)
    sums = np.zeros(1 + (1 + len(phones)) * len(phones))
    load = partial(load_with, model, features, alignment, compute=compute)
    faults: dict[str, str] = {}
    for part, bad in map_utterances(_measure, chunks(labels.utterances, 100), jobs, f"frames of {model.name}", load):
        sums += part
        faults |= bad
    check_left_out(faults, len(labels))
    nats, (right, *confused) = sums[0], sums[1:].reshape(-1, len(phones)).astype(int)
    every = np.sum(confused, 1)
    frames, correct = int(every.sum()), int(right.sum())
    accuracy = {"frame_accuracy": 100 * correct / frames, "cross_entropy": nats / frames}
    by_phone = {
        name: {"frames": int(n), "correct": int(k)} for name, n, k in zip(phones, every, right, strict=True) if n
    }
    confusions = {
        name: {other: int(n) for other, n in zip(phones, row, strict=True) if n}
        for name, row in zip(phones, confused, strict=True)
        if row.any()
    }
    counts = {"frames": frames, "correct": correct, **accuracy, "phones": by_phone, "confusions": confusions}
    write_json(out / "frames.json", counts)


def _measure(
    state: tuple[Any, FrameArchive, FrameArchive], utterances: Chunk[str]
) -> tuple[np.ndarray, dict[str, str]]:
    """(1 + P + P²,) summed cross-entropy (nats), correct frames of each phone, its frames by best phone; faults."""
    model, features, alignment = state
    phone = model.senones.phone
    size = phone.max() + 1
    nats, counts, faults = 0.0, np.zeros((1 + size, size)), dict[str, str]()
    readable = list(alignment.readable(features.readable(utterances, faults), faults))
    for utterance, logp in zip(readable, posteriors(model, map(features.__getitem__, readable)), strict=True):
        labels = np.asarray(alignment[utterance])[:: model.senones.subsampling]
        nats -= logp[np.arange(len(labels)), labels].sum(dtype=np.float64)
        best = logp.argmax(-1)
        counts[0] += np.bincount(phone[labels[best == labels]], minlength=size)
        np.add.at(counts, (1 + phone[labels], phone[best]), 1)
    return np.append(nats, counts), faults
