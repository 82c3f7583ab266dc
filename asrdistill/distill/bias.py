"""One number that makes up for a class that a student never met: an offset to the logits of its senones.

Hinton, Vinyals and Dean (2015), section 3: a student that saw no 3 knows from the soft targets of other digits what a 3
is like, but holds it for much too rare. They found the offset that makes it right on the test set; here frames that
are held out decide.

With d = (largest logit of the others) - (largest logit of the class), a frame is taken for the class when the offset is
above d. The number of right frames is thus a step function of the offset, and it is maximised exactly: the frames that
the one or the other side has right are counted below and above every d. Of several best offsets it is the one in the
middle of the widest step, which the frames that are not there have most room around.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from asrdistill import parallel
from asrdistill.data.archive import FrameArchive, check_features
from asrdistill.distill.teach import open_aligned
from asrdistill.errors import UserError
from asrdistill.files import write_json
from asrdistill.models.folder import AcousticModel, add_to_logits, load_model

_worker: dict[str, Any] = {}  # of one process: what _setup loaded


def write_with_bias(model: Path, features: Path, alignment: Path, out: Path, phones: Sequence[str], jobs: int) -> float:
    """Copy the network into the existing folder `out`, with the offset to the phones' senones that is best; returns it.

    ``meta.json`` says which (`bias`: phones, offset, and the right frames before and after). Raises UserError for an
    ensemble, for phones that are not there or are all, and for an alignment that lacks them or has nothing else.
    """
    inputs, labels, senones = open_aligned(features, alignment)
    loaded = load_model(model)
    if not isinstance(loaded, AcousticModel):
        raise UserError(f"{model} is not a single network; choose a bias for each of its members")
    check_features(inputs, loaded.meta["features"], model)
    if loaded.senones.hash != senones.hash:
        raise UserError(f"{model} predicts other senones than {alignment} is over")
    chosen = senones.of_phones(phones)
    if chosen.all():
        raise UserError("an offset to all senones changes nothing; name some of the phones")
    chunks = [labels.utterances[i : i + 100] for i in range(0, len(labels), 100)]
    setup = (model, features, alignment, chosen)
    parts = list(
        parallel.run(_margins, chunks, jobs, f"margins of {model.name}", "utterances", _setup, setup, weight=len)
    )
    margins, inside, outside, members = (np.concatenate([part[i] for part in parts]) for i in range(4))
    if not members.any() or members.all():
        raise UserError(
            f"{alignment} has {members.sum()} frames of {' '.join(phones)} among {len(members)}; held-out data must "
            "have these phones and others"
        )
    offset, right = best_offset(margins[inside], margins[outside])
    before = int((margins[inside] < 0).sum() + (margins[outside] >= 0).sum())
    loaded.senones.write(out)
    found = {"phones": list(phones), "offset": offset, "frames": len(margins), "right": right, "right_without": before}
    write_json(out / "meta.json", {**loaded.meta, "bias": found})
    add_to_logits(model, np.where(chosen, offset, 0.0), out)
    return offset


def best_offset(inside: np.ndarray, outside: np.ndarray) -> tuple[float, int]:
    """(offset, right frames) of the most right frames: those `inside` whose d is below the offset, `outside` above it.

    inside, outside: d of the frames that the class's best senone has right, and those that the others' best has.
    """
    steps = np.sort(np.concatenate([inside, outside]).astype(np.float64))
    if len(steps) == 0:
        return 0.0, 0
    edges = np.concatenate([steps[:1] - 1, steps, steps[-1:] + 1])  # beyond the ends nothing changes any more
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.searchsorted(np.sort(inside), middles, side="left")
    above = len(outside) - np.searchsorted(np.sort(outside), middles, side="right")
    right = below + above
    right[edges[:-1] == edges[1:]] = -1  # no room between equal d
    best = np.flatnonzero(right == right.max())
    chosen = best[np.argmax(edges[best + 1] - edges[best])]
    return float(middles[chosen]), int(right[chosen])


def _setup(model: Path, features: Path, alignment: Path, chosen: np.ndarray) -> None:
    _worker.update(model=load_model(model), features=FrameArchive(features), labels=FrameArchive(alignment))
    _worker["chosen"] = chosen


def _margins(utterances: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of all frames of some utterances: d; is the class's best senone right?; the others' best?; is it of the class?"""
    chosen, labels = _worker["chosen"], np.concatenate([_worker["labels"][utterance] for utterance in utterances])
    logits = np.concatenate([_worker["model"].logits(_worker["features"][name]).numpy() for name in utterances])
    ours, others = np.where(chosen, logits, -np.inf), np.where(chosen, -np.inf, logits)
    inside, outside = ours.argmax(1) == labels, others.argmax(1) == labels
    return others.max(1) - ours.max(1), inside, outside, chosen[labels]
