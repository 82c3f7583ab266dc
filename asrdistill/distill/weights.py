"""Ensemble weights by maximum likelihood on held-out data."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from asrdistill.data.archive import FrameArchive
from asrdistill.errors import UserError, log
from asrdistill.features.paste import columns
from asrdistill.hmm.align import open_aligned
from asrdistill.models.inference import PLAIN, Compute
from asrdistill.models.io import check_members, load_model
from asrdistill.parallel import Chunk, chunks, map_utterances

UPDATES, TOLERANCE = 10_000, 1e-7  # most iterations; least gain of one, nats per frame


def choose_weights(
    members: Sequence[Path], features: Path, alignment: Path, jobs: int, compute: Compute = PLAIN
) -> list[float]:
    """The weights (M,) of the members' arithmetic mean with the least cross-entropy on an alignment; they add up to 1.

    `features` hold, or join, what each member was trained on. Raises UserError where they do not fit.
    """
    inputs, labels, senones = open_aligned(features, alignment)
    check_members(members, features=inputs.meta["features"])
    if load_model(members[0]).senones.hash != senones.hash:
        raise UserError(f"{members[0]} predicts other senones than those of {alignment}; give one that it fits")
    load = partial(_load, members, features, alignment, compute)
    right = np.concatenate(list(map_utterances(_measure, chunks(labels.utterances, 50), jobs, "weights", load)))
    weights = mixture_weights(right)
    for member, weight, logp in zip(members, weights, right.T, strict=True):
        log.info("%s: weight %.3f, cross-entropy %.4f", member, weight, -logp.mean(dtype=np.float64))
    log.info("together: cross-entropy %.4f", -_mixture(right, weights).mean())
    return weights.tolist()


def mixture_weights(log_p: np.ndarray) -> np.ndarray:
    """Weights (M,) ≥ 0 with sum 1 of the largest mean log Σ_m w_m p_m, for log p (frames, M) of what is right.

    By expectation maximisation (Dempster, Laird, Rubin 1977); the objective is concave, so that there is one largest.
    """
    weights = np.full(log_p.shape[1], 1 / log_p.shape[1])
    before = -np.inf
    for _ in range(UPDATES):
        mixed = _mixture(log_p, weights)
        if (reached := mixed.mean()) - before < TOLERANCE:
            break
        before = reached
        weights = weights * np.exp(log_p - mixed[:, None]).mean(axis=0)
    return weights / weights.sum()


def _mixture(log_p: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(frames,) log Σ_m w_m p_m"""
    with np.errstate(divide="ignore"):
        return np.logaddexp.reduce(log_p.astype(np.float64) + np.log(weights), axis=1)


def _load(
    members: Sequence[Path], features: Path, alignment: Path, compute: Compute
) -> tuple[list[Any], FrameArchive, FrameArchive]:
    inputs, models = FrameArchive(features), [load_model(member, compute=compute) for member in members]
    own = [columns(inputs.meta["features"], model.meta["features"]) for model in models]
    return list(zip(models, own, strict=True)), inputs, FrameArchive(alignment)


def _measure(state: tuple[list[Any], FrameArchive, FrameArchive], utterances: Chunk[str]) -> np.ndarray:
    """(frames, M) each member's log posterior of the aligned senone."""
    models, features, alignment = state
    parts = []
    for utterance in utterances:
        frames, labels = features[utterance], np.asarray(alignment[utterance])[:: models[0][0].senones.subsampling]
        log_p = [model.log_posteriors(frames[:, own]) for model, own in models]
        parts.append(np.stack([logp[np.arange(len(labels)), labels] for logp in log_p], axis=1))
    return np.concatenate(parts)
