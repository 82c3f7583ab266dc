"""Soft-target store: top-k teacher posteriors per frame, an archive of kind `soft-targets`; see docs/distillation.md.

    ids    (K,) uint16   the K most probable senones of the combined distribution p, best first
    logp   (K,) float16  their natural-log probabilities at temperature 1
    rest   (N,) float32  for each temperature T of the store, log sum of p^(1/T) over the others

``tails.safetensors``: per HMM state and temperature, the mean distribution of the rest, over the frames whose most
probable senone belongs to the state. The option `tail_mode` of training says how a student uses the rest.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from asrdistill.data.archive import FrameArchive, ShardWriter, check_match, finish
from asrdistill.distill.losses import completed, logit_matching, one_rest_cross_entropy, soft_cross_entropy
from asrdistill.distill.options import StoreOptions
from asrdistill.distill.teacher import CrossFittedTeacher, Mapping, Teacher, open_teacher
from asrdistill.errors import UserError, log
from asrdistill.models.inference import PLAIN, Compute
from asrdistill.parallel import Chunk, chunks, map_utterances
from asrdistill.reader import read_tensors, reading

TAILS = "tails.safetensors"
SHARD_UTTERANCES = 250  # fixed, so that the store does not depend on the number of jobs


class SoftTargets:
    """Stored soft targets at one temperature; T² times their cross-entropy."""

    def __init__(self, store: FrameArchive, temperature: float, treatment: str = "states"):
        known = store.meta["temperatures"]
        if temperature not in known:
            listed = ", ".join(f"{t:g}" for t in known)
            raise UserError(f"{store.folder} is for temperature {listed}, not {temperature:g}; set --temperatures")
        self.store, self.temperature, self.column = store, temperature, known.index(temperature)
        self.treatment = treatment
        record = read_tensors(store.folder / TAILS, "make the soft targets again", {"tails": "f/3", "owner": "i8/1"})
        with reading(store.folder / TAILS, "make the soft targets again"):
            self.tails, self.owner = (torch.from_numpy(x) for x in (record["tails"][self.column], record["owner"]))
            if len(self.owner) != self.tails.shape[1]:
                raise ValueError(f"{len(self.owner)} owners of {self.tails.shape[1]} senones")
            if not (self.owner.min() >= 0 and self.owner.max() < len(self.tails)):
                raise ValueError("owners are not numbers of states")

    def gather(self, utterances: Sequence[str]) -> list[Tensor]:
        return [*_top(self.store, utterances), torch.from_numpy(self.store.read(utterances, "rest")[:, self.column])]

    def loss(self, logits: Tensor, rows: list[Tensor]) -> Tensor:
        ids, logp, rest = rows
        ids, scaled = ids.long() & 0xFFFF, logp.float() / self.temperature
        if self.treatment == "drop":
            rest = torch.full_like(rest, -torch.inf)
        norm = torch.logaddexp(scaled.logsumexp(-1), rest)
        known = (ids, scaled - norm[:, None], rest - norm)
        if self.treatment == "one":
            return self.temperature**2 * one_rest_cross_entropy(logits, *known, self.temperature)
        targets = completed(
            *known, self._tails(ids[:, 0]).to(logits.dtype) if self.treatment == "states" else torch.ones_like(logits)
        )
        return self.temperature**2 * soft_cross_entropy(logits, targets, self.temperature)

    def _tails(self, best: Tensor) -> Tensor:
        """(B, S): the mean tail of each frame's state, that of its most probable senone (B,)."""
        self.tails, self.owner = self.tails.to(best.device), self.owner.to(best.device)
        return self.tails[self.owner[best]]


class StoredLogits:
    """Logit matching against a store of all senones, which holds logits up to a constant per frame."""

    def __init__(self, store: FrameArchive, senones: int):
        if store.meta["kept"] < senones:
            kept = f"{store.meta['kept']} of {senones} senones per frame"
            raise UserError(f"{store.folder} keeps {kept}; logit matching needs all, make it with --keep 0")
        self.store = store

    def gather(self, utterances: Sequence[str]) -> list[Tensor]:
        return _top(self.store, utterances)

    def loss(self, logits: Tensor, rows: list[Tensor]) -> Tensor:
        ids, logp = rows
        return logit_matching(logits, torch.zeros_like(logits).scatter(-1, ids.long() & 0xFFFF, logp.float()))


def _top(store: FrameArchive, utterances: Sequence[str]) -> list[Tensor]:
    """The K senones of each frame and their log-probabilities, (frames, K) each."""
    ids = store.read(utterances, "ids").view(np.int16)  # torch has no full support of uint16
    return [torch.from_numpy(ids), torch.from_numpy(store.read(utterances, "logp"))]


def check_store(store: FrameArchive, features: FrameArchive, senones: str, utterances: Sequence[str]) -> None:
    """Raise UserError unless the store was made from these features, for these senones and utterances."""
    if store.meta["senones"] != senones:
        what = "another senone inventory than the alignment (trees or frame rate)"
        raise UserError(f"{store.folder} has {what}; use its teachers")
    if store.frames_of != features.frames_of:
        raise UserError(f"{store.folder} was made from other features than {features.folder}; make it again from these")
    check_match(store, features, utterances)


def make_store(
    model: Path,
    features_at: Path,
    out: Path,
    options: StoreOptions,
    jobs: int,
    mapping: Mapping | None = None,
    train_alignments: Sequence[Path] = (),
    compute: Compute = PLAIN,
) -> None:
    """Write the top-k store of a teacher over the features into `out`: of a model, an ensemble, or given posteriors.

    mapping           from the teacher's units to our senones; written as ``map.npy`` (U, S)
    train_alignments  of an ensemble's members: only members not trained on an utterance give its targets
    """
    features, temperatures = FrameArchive(features_at, "features"), options.temperatures
    who = (mapping, tuple(train_alignments), compute)
    teacher = open_teacher(model, features, mapping, train_alignments)
    meta, owner, count = teacher.meta, teacher.senones.owner, teacher.senones.count
    if min(temperatures) <= 0:
        raise UserError(f"temperatures must be above 0, not {min(temperatures):g}")
    if not 0 <= options.keep <= count:
        raise UserError(f"{options.keep} targets a frame cannot be kept: the model has {count} senones; lower --keep")
    if isinstance(teacher, CrossFittedTeacher):
        known = sum(not teacher.unseen_by(utterance) for utterance in features)
        log.info("all members give the targets of %d of %d utterances: all were trained on them", known, len(features))
    del teacher  # each worker opens its own
    if mapping:
        np.save(out / "map.npy", mapping.matrix)
    keep = options.keep or count
    write, load = partial(_write_shard, out, keep, temperatures), partial(_load, model, features.folder, who)
    shards: list[dict[str, Any]] = []
    mass, tails = np.zeros(len(temperatures)), torch.zeros((), dtype=torch.float64)
    # added up as they come: the tails of one shard are as large as those of all
    for shard, kept, tail in map_utterances(
        write, chunks(features.utterances, SHARD_UTTERANCES), jobs, "soft targets", load
    ):
        shards.append(shard)
        mass += kept
        tails = tails + tail
    mass /= max(1, sum(place[2] for shard in shards for place in shard["index"]))
    _write_tails(out / TAILS, tails, owner)
    for temperature, share in zip(temperatures, mass, strict=True):
        log.info("the %d kept of %d senones hold %.2f %% of the mass at T = %g", keep, count, 100 * share, temperature)
    finish(
        out,
        "soft-targets",
        _parts(keep, len(temperatures)),
        shards,
        temperatures=temperatures,
        combined_at=1.0,
        kept=keep,
        kept_mass=mass.tolist(),
        teachers=[str(name) for name in (*meta.get("members", [model]), *([meta["gmm"]] if "gmm" in meta else []))],
        combine=meta.get("combine", "single"),
        senones=meta["senones"],
        feature_hash=features.frames_of,
        features=features.meta["features"],
        frame_shift=features.meta["frame_shift"],
    )


def _parts(keep: int, temperatures: int) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {"ids": ("<u2", (keep,)), "logp": ("<f2", (keep,)), "rest": ("<f4", (temperatures,))}


def _load(model: Path, features: Path, who: tuple[Any, ...]) -> Teacher:
    return open_teacher(model, FrameArchive(features), *who)


def _write_shard(
    out: Path, keep: int, temperatures: Sequence[float], teacher: Teacher, chunk: Chunk[str]
) -> tuple[dict[str, Any], np.ndarray, Tensor]:
    """Write one shard; returns its record, and the kept mass and the tails at each temperature, summed over frames."""
    writer = ShardWriter(out, chunk.number, _parts(keep, len(temperatures)))
    mass = np.zeros(len(temperatures))
    owner = torch.from_numpy(teacher.senones.owner)
    tails = torch.zeros(len(temperatures), int(owner.max()) + 1, len(owner))
    readable = teacher.readable(chunk.utterances, writer.faults)
    for utterance, log_p in zip(readable, teacher.log_posteriors(readable), strict=True):
        logp = torch.from_numpy(log_p)
        top, rest, outside = truncate(logp, keep, temperatures)
        for tail, p in zip(tails, outside, strict=True):
            tail.index_add_(0, owner[top.indices[:, 0]], p)
        mass += len(logp) - np.array([p.sum(dtype=torch.float64).item() for p in outside])
        writer.write(utterance, ids=top.indices.numpy(), logp=top.values.numpy(), rest=rest.numpy())
    return writer.close(), mass, tails


def truncate(
    logp: Tensor, keep: int, temperatures: Sequence[float]
) -> tuple[torch.return_types.topk, Tensor, list[Tensor]]:
    """Split log distributions (T, S) into the `keep` largest and the rest.

    Returns the top k (values and indices (T, K)), the log-sum-exp of the others' logp / T for each
    temperature (T, N), and for each temperature the probabilities (T, S), 0 for the K.
    """
    top = logp.topk(keep)
    rest, outside = [], []
    for temperature in temperatures:  # one exponential each; the largest of S probabilities is at least 1 / S
        p = (logp / temperature).exp_()
        total = p.sum(-1, keepdim=True)
        others = p.scatter_(-1, top.indices, 0.0)
        rest.append(others.sum(-1).log_())
        outside.append(others.div_(total))
    return top, torch.stack(rest, -1), outside


def _write_tails(path: Path, sums: Tensor, owner: np.ndarray) -> None:
    """Write the mean tails from their sums (N, states, S), smoothed by the mean over all states."""
    overall = sums.sum(1, keepdim=True) + 1 / sums.shape[-1]
    tails = sums + overall / overall.sum(-1, keepdim=True)
    save_file({"tails": (tails / tails.sum(-1, keepdim=True)).float(), "owner": torch.from_numpy(owner)}, path)
