"""Adjust a trained network: replace its priors, add a bias to some senones, or extract a smaller width."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from asrdistill.config import build
from asrdistill.data.archive import FrameArchive, check_features
from asrdistill.errors import UserError
from asrdistill.files import write_json
from asrdistill.models.acoustic import AcousticModel
from asrdistill.models.dnn import Dnn, units_of
from asrdistill.models.inference import PLAIN, Compute, posteriors
from asrdistill.models.io import load_network, load_with, open_for, replace_tensor, save_model
from asrdistill.models.options import NetworkConfig
from asrdistill.parallel import Chunk, chunks, map_utterances


def adjust_priors(model: Path, features: Path, out: Path, jobs: int, compute: Compute = PLAIN) -> None:
    """Copy the network into the existing folder `out`, with its mean posterior over the features as its priors.

    Raises UserError for anything but a single network, and for features without frames.
    """
    loaded, archive = load_network(model), FrameArchive(features, "features")
    check_features(archive, loaded.meta["features"], model)
    if archive.total_rows == 0:
        raise UserError(f"{features} holds no frames; make it again")
    total = np.zeros(loaded.senones.count)
    load = partial(load_with, model, features, compute=compute)
    for sums in map_utterances(_sum_posteriors, chunks(archive.utterances, 100), jobs, f"priors of {model.name}", load):
        total += sums
    log_priors = np.log(np.maximum(total / total.sum(), 1e-30))
    loaded.senones.write(out)
    write_json(out / "meta.json", {**loaded.meta, "priors": f"mean posterior over {archive.folder.name}"})
    replace_tensor(model, "log_priors", torch.from_numpy(log_priors.astype(np.float32)), out)


def adjust_bias(
    model: Path,
    features: Path,
    alignment: Path,
    out: Path,
    phones: Sequence[str],
    jobs: int,
    compute: Compute = PLAIN,
) -> float:
    """Copy the network into the existing folder `out`, with the best offset on the logits of the phones' senones.

    Hinton, Vinyals and Dean (2015), section 3; here held-out frames choose the offset. ``meta.json`` records it with
    the correct frames before and after. Returns the offset. Raises UserError for anything but a single network, for
    unknown phones or all of them, and for an alignment without these phones or without others.
    """
    loaded = load_network(model)
    _, labels, senones = open_for(loaded, model, features, alignment)
    chosen = senones.of_phones(phones)
    if chosen.all():
        raise UserError("an offset to all senones changes nothing; name some of the phones")
    measure, load = partial(_margins, chosen), partial(load_with, model, features, alignment, compute=compute)
    parts = map_utterances(measure, chunks(labels.utterances, 100), jobs, f"margins of {model.name}", load)
    margins, inside, outside, members = map(np.concatenate, zip(*parts, strict=True))
    if not members.any() or members.all():
        counted = f"{members.sum()} frames of {' '.join(phones)} among {len(members)}"
        raise UserError(f"{alignment} has {counted}; held-out data must have these phones and others")
    offset, right = best_offset(margins[inside], margins[outside])
    before = int((margins[inside] < 0).sum() + (margins[outside] >= 0).sum())
    loaded.senones.write(out)
    found = {"phones": list(phones), "offset": offset, "frames": len(margins), "right": right, "right_without": before}
    write_json(out / "meta.json", {**loaded.meta, "bias": found})
    offsets = torch.from_numpy(np.where(chosen, offset, 0.0).astype(np.float32))
    replace_tensor(model, "output.bias", loaded.module.output.bias.detach() + offsets, out)
    return offset


def best_offset(inside: np.ndarray, outside: np.ndarray) -> tuple[float, int]:
    """The offset with the most correct frames, and their number.

    With d = (largest logit of the other senones) - (largest logit of the chosen ones), a frame goes to the chosen
    senones if the offset is above d. `inside`: d of frames that the best chosen senone classifies correctly;
    `outside`: d of those that the best other senone does. Of equally good offsets, the middle of the widest interval.
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


def extract_width(model: Path, fraction: float, out: Path) -> None:
    """Write the DNN of a fraction of the model's width into the existing folder `out`.

    Yu et al. (2019), "Slimmable neural networks". Raises UserError unless the model was trained at that width.
    """
    loaded = load_network(model)
    trained = loaded.meta.get("options", {}).get("widths", [])
    if fraction not in trained:
        listed = ", ".join(f"{width:g}" for width in trained) or "none but its own"
        raise UserError(f"{model} was not trained at {fraction:g} of its width; the widths in it are {listed}")
    options = build(NetworkConfig, loaded.meta["options"], str(model / "meta.json"))
    slim_options = replace(options, width=units_of(options.width, fraction), widths=[])
    slim, weights = Dnn(slim_options, loaded.dimension, loaded.senones.count).eval(), loaded.module.state_dict()
    for name, value in slim.state_dict().items():
        value.copy_(weights[name][tuple(slice(size) for size in value.shape)])
    known = ("kind", "options", "parameters", "senones", "history")
    meta = {key: value for key, value in loaded.meta.items() if key not in known}
    meta["slim_of"] = {"width": options.width, "share": fraction}
    save_model(out, slim, slim_options, loaded.senones, np.log(loaded.priors).astype(np.float32), **meta)


def _sum_posteriors(state: tuple[AcousticModel, FrameArchive], utterances: Chunk[str]) -> np.ndarray:
    """(S,) sum of the posteriors over the frames of some utterances."""
    model, features = state
    each = posteriors(model, map(features.__getitem__, utterances))
    return np.sum([np.exp(log_p).sum(0, dtype=np.float64) for log_p in each], axis=0)


def _margins(
    chosen: np.ndarray, state: tuple[AcousticModel, FrameArchive, FrameArchive], utterances: Chunk[str]
) -> tuple[np.ndarray, ...]:
    """Per frame: d; is the best chosen senone correct; is the best other senone; is the label a chosen one."""
    model, features, alignment = state
    labels = np.concatenate([alignment[utterance][:: model.senones.subsampling] for utterance in utterances])
    logits = np.concatenate([model.logits(features[utterance]).cpu().numpy() for utterance in utterances])
    ours, others = np.where(chosen, logits, -np.inf), np.where(chosen, -np.inf, logits)
    inside, outside = ours.argmax(1) == labels, others.argmax(1) == labels
    return others.max(1) - ours.max(1), inside, outside, chosen[labels]
