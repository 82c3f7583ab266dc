"""Speaker adaptation by fMLLR (Gales 1998)."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from asrdistill.data.archive import FrameArchive, ShardWriter, finish
from asrdistill.errors import UserError, check_left_out, log, shorten
from asrdistill.features.perturb import by_speaker
from asrdistill.hmm.estimate import precisions, weighted_products
from asrdistill.hmm.gmm import Gmm, load_gmm
from asrdistill.hmm.options import FmllrOptions
from asrdistill.hmm.senones import Senones
from asrdistill.hmm.transforms import fmllr
from asrdistill.parallel import Chunk, chunks, map_utterances

SPEAKERS_PER_SHARD = 2  # fixed, so that the archive does not depend on the number of jobs


def base_features(gmm: Gmm) -> dict[str, Any]:
    """Settings of the features before adaptation."""
    features = gmm.meta["features"]
    return features["of"] if features["type"] == "fmllr" else features


def adapt(
    model: Path, features: Path, alignment: Path, who: Mapping[str, str], out: Path, options: FmllrOptions, jobs: int
) -> None:
    """Write an archive of the adapted vectors of the utterances of `who` (utterance -> speaker) and of their copies.

    A speaker's transform is estimated from the utterances in `alignment`; speakers with fewer than ``min_frames``
    frames are not adapted. Utterances that `features` lacks are left out; raises UserError if they are too many.
    """
    if Senones.read(alignment).subsampling > 1:
        raise UserError(f"{alignment} is of a low frame rate; give the alignment that it was made from")
    gmm, archive = load_gmm(model), FrameArchive(features, kind="features")
    lacking = [utterance for utterance in who if utterance not in archive]
    check_left_out(lacking, len(who), reason=f"are not in {features}", remedy="make these first")
    speakers = list(by_speaker(archive, who).items())
    shape = (gmm.mixtures.means.shape[1],)
    tasks = chunks(speakers, SPEAKERS_PER_SHARD)
    work, load = partial(_adapt_shard, out, options), partial(_load, model, features, alignment)
    shards, kept = [], []
    for shard, unadapted in map_utterances(work, tasks, jobs, "fMLLR", load, "speakers"):
        shards.append(shard)
        kept += unadapted
    if kept:
        log.warning(
            f"{len(kept)} of {len(speakers)} speakers have fewer than {options.min_frames} aligned frames and are "
            f"not adapted: {shorten(kept)}"
        )
    settings = {"type": "fmllr", "of": base_features(gmm), **gmm.transform.describe()}
    meta = {"frame_shift": archive.meta["frame_shift"], "features": settings}
    finish(out, "features", {"frames": ("float32", shape)}, shards, **meta)
    gmm.transform.write(out)


def check(model: Path, features: Path, alignment: Path) -> None:
    """Raise UserError unless the features and the phones of the alignment are those of the model."""
    gmm, archive = load_gmm(model), FrameArchive(features, kind="features")
    if archive.meta["features"] != base_features(gmm):
        raise UserError(
            f"{model} adapts features {base_features(gmm)}, but {features} holds {archive.meta['features']}"
        )
    if Senones.read(alignment).phones != gmm.senones.phones:
        raise UserError(f"{alignment} is of other phones than {model}; align with a model of the same lexicon")


Loaded = tuple[Gmm, FrameArchive, FrameArchive, Senones]  # model, features, alignment and its senones


def _load(model: Path, features: Path, alignment: Path) -> Loaded:
    return load_gmm(model), FrameArchive(features), FrameArchive(alignment, "alignment"), Senones.read(alignment)


def _adapt_shard(
    out: Path, options: FmllrOptions, loaded: Loaded, shard: Chunk[tuple[str, list[str]]]
) -> tuple[dict[str, Any], list[str]]:
    gmm, archive, alignment, _ = loaded
    size = gmm.mixtures.means.shape[1]
    writer, unadapted = ShardWriter(out, shard.number, {"frames": ("float32", (size,))}), []
    for speaker, names in shard:
        utterances = archive.readable(names, writer.faults)
        alignment.readable(filter(alignment.__contains__, utterances), writer.faults)
        utterances = [utterance for utterance in utterances if utterance not in writer.faults]
        transform = _estimate(loaded, utterances, options)
        if transform is None:
            unadapted.append(speaker)
            transform = np.eye(size, size + 1)
        for utterance in utterances:
            writer.write(utterance, frames=_transformed(gmm.transform.vectors(archive[utterance]), transform))
    return writer.close(), unadapted


def _estimate(loaded: Loaded, utterances: list[str], options: FmllrOptions) -> np.ndarray | None:
    """Transform (D, D + 1) of the speaker of these utterances; None if too few frames are aligned.

    Each round takes the posteriors of the Gaussians from the frames as the round before has transformed them.
    """
    mixtures = loaded[0].mixtures
    size = mixtures.means.shape[1]
    transform = np.eye(size, size + 1)
    for _ in range(options.rounds):
        products, pulls, frames = np.zeros((size, size + 1, size + 1)), np.zeros((size, size + 1)), 0
        for x, senones in _aligned(loaded, utterances, options.silence):
            weight, pull = precisions(mixtures, _transformed(x, transform), senones)
            extended = np.hstack([x, np.ones((len(x), 1), np.float32)])
            products += weighted_products(weight, extended)
            pulls += pull.T @ extended
            frames += len(x)
        if frames < max(1, options.min_frames):
            return None
        transform = fmllr(products, pulls, frames)
    return transform


def _aligned(loaded: Loaded, utterances: list[str], silence: bool) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Frames (T, D) and their senones (T,) of each aligned utterance, read anew in each round: memory stays flat."""
    gmm, archive, alignment, inventory = loaded
    for utterance in utterances:
        if utterance in alignment:
            phones = alignment.part(utterance, "phones")
            senones = gmm.senones.find(inventory.triphones(alignment[utterance], phones))
            kept = slice(None) if silence else np.asarray(phones) > 0
            yield gmm.transform.vectors(archive[utterance])[kept], senones[kept]


def _transformed(x: np.ndarray, transform: np.ndarray) -> np.ndarray:
    return x @ transform[:, :-1].T.astype(np.float32) + transform[:, -1].astype(np.float32)
