"""Flat start: monophone GMM-HMMs by Viterbi training, from nothing but features and words.

Every utterance is first cut into equal parts, one for each state of its phones. Then, again and
again, frames are aligned to states by the models of the round before, Gaussians are re-estimated
from the frames of their state, and the heaviest are split until there are as many as wanted.
The schedule is that of Kaldi's train_mono (realignment in rounds 1 to 10, then in every second;
mixtures grow for three quarters of the rounds; Gaussians in proportion to occupancy ^ 0.25).

A round is accumulate (each shard of utterances by itself) → merge (in the order of the shards) →
update, so its result does not depend on the number of processes.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from asrdistill import parallel
from asrdistill.data.archive import FrameArchive
from asrdistill.errors import UserError
from asrdistill.features.context import add_deltas
from asrdistill.hmm.align import SHARDS, Transcript, check_left_out
from asrdistill.hmm.gmm import Gmm, Mixtures, expand, log_sum_exp
from asrdistill.hmm.graph import Compiler
from asrdistill.hmm.options import MonoOptions
from asrdistill.hmm.senones import Senones
from asrdistill.hmm.viterbi import best_path

if TYPE_CHECKING:
    from asrdistill.lang.lexicon import Lang

log = logging.getLogger("asrdistill")

DELTAS = 2
POWER = 0.25  # a senone's share of the Gaussians goes with its frames to this power
MIN_OCCUPANCY = 10.0  # frames; Gaussians with fewer are removed
VARIANCE_FLOOR = 0.01  # of the global variance
PERTURB = 0.01  # standard deviations that the halves of a split Gaussian move apart
BLOCK = 20_000  # frames accumulated at once
LEFT_OUT = -1  # stands for the senone in stored alignments


@dataclass
class Statistics:
    """Sums over frames from which models are re-estimated; those of shards add up.

    occupancy (G,), sums (G, 2D) of posterior x [x, x²]; stays, leaves (S,) frames after which the
    senone is kept or left; loglike: sum of the log-likelihoods of the frames.
    """

    occupancy: np.ndarray
    sums: np.ndarray
    stays: np.ndarray
    leaves: np.ndarray
    loglike: float = 0.0
    left_out: tuple[str, ...] = ()

    @classmethod
    def zeros(cls, mixtures: Mixtures) -> Statistics:
        gaussians, dimension = mixtures.means.shape
        senones = len(mixtures.first) - 1
        sums = np.zeros((gaussians, 2 * dimension))
        return cls(np.zeros(gaussians), sums, np.zeros(senones), np.zeros(senones))

    def __add__(self, other: Statistics) -> Statistics:
        return Statistics(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    @property
    def frames(self) -> float:
        return self.stays.sum() + self.leaves.sum()


def accumulate(mixtures: Mixtures, x: np.ndarray, senone: np.ndarray) -> Statistics:
    """Statistics of Gaussians for frames x (T, D) that belong to the senones (T,)."""
    stats = Statistics.zeros(mixtures)
    order = np.argsort(senone, kind="stable")
    bounds = np.searchsorted(senone[order], np.arange(len(mixtures.first)))
    frames = expand(x[order])
    linear, constant = mixtures.linear
    for s in np.flatnonzero(np.diff(bounds)):
        mine, rows = frames[bounds[s] : bounds[s + 1]], slice(mixtures.first[s], mixtures.first[s + 1])
        scores = linear[rows] @ mine.T + constant[rows]
        stats.loglike += log_sum_exp(scores, np.array([0, len(scores)])).sum(dtype=np.float64)
        posteriors = scores / scores.sum(0)  # log_sum_exp left exponentials
        stats.occupancy[rows] = posteriors.sum(1, dtype=np.float64)
        stats.sums[rows] = posteriors @ mine
    return stats


def count_transitions(alignment: np.ndarray, senones: int) -> tuple[np.ndarray, np.ndarray]:
    """How often each senone is kept for the next frame, and how often left: alignment (T,) -> two (S,)."""
    stays = np.append(alignment[1:] == alignment[:-1], False)
    return np.bincount(alignment[stays], minlength=senones), np.bincount(alignment[~stays], minlength=senones)


def update(mixtures: Mixtures, stats: Statistics, floor: np.ndarray) -> Mixtures:
    """Maximum-likelihood Gaussians; variances at least `floor` (D,).

    Gaussians of fewer than MIN_OCCUPANCY frames are removed, but each senone keeps its heaviest one,
    unchanged if even that has too few.
    """
    senone, dimension = mixtures.senone, mixtures.means.shape[1]
    enough = stats.occupancy >= MIN_OCCUPANCY
    heaviest = np.zeros_like(enough)
    for begin, end in zip(mixtures.first[:-1], mixtures.first[1:], strict=True):
        heaviest[begin + np.argmax(stats.occupancy[begin:end])] = True
    share = np.maximum(stats.occupancy, 1e-10)[:, None]
    means = np.where(enough[:, None], stats.sums[:, :dimension] / share, mixtures.means)
    variances = np.where(enough[:, None], stats.sums[:, dimension:] / share - means**2, mixtures.variances)
    keep = enough | heaviest
    occupancy = np.maximum(stats.occupancy, 1e-10) * keep
    total = np.bincount(senone, occupancy)
    return Mixtures(
        np.log(occupancy[keep] / total[senone[keep]]),
        means[keep],
        np.maximum(variances[keep], floor),
        np.concatenate([[0], np.cumsum(np.bincount(senone[keep]))]),
    )


def self_loops(stats: Statistics, before: np.ndarray) -> np.ndarray:
    """(S,) log-probabilities of staying; those of senones that were hardly seen stay as they were."""
    seen = stats.stays + stats.leaves
    probability = np.clip(stats.stays / np.maximum(seen, 1), 0.01, 0.99)
    return np.where(seen >= MIN_OCCUPANCY, np.log(probability), before)


def grow(mixtures: Mixtures, occupancy: np.ndarray, target: int, rng: np.random.Generator) -> Mixtures:
    """Split Gaussians until there are `target`; occupancy (S,) says how many frames each senone has.

    The next Gaussian always goes to the senone with the most frames ^ POWER for each it has, the
    heaviest Gaussian of a senone is the one that is split, and two of few frames are not made of one.
    """
    wanted = np.diff(mixtures.first)
    queue = [(-(frames**POWER) / have, s) for s, (frames, have) in enumerate(zip(occupancy, wanted, strict=True))]
    heapq.heapify(queue)
    missing = target - mixtures.gaussians
    while missing > 0 and queue:
        _, s = heapq.heappop(queue)
        if occupancy[s] >= 2 * MIN_OCCUPANCY * (wanted[s] + 1):
            wanted[s] += 1
            missing -= 1
            heapq.heappush(queue, (-(occupancy[s] ** POWER) / wanted[s], s))
    mixtures_of = [_split(mixtures, s, count, rng) for s, count in enumerate(wanted)]
    weights, means, variances = (np.concatenate(arrays) for arrays in zip(*mixtures_of, strict=True))
    return Mixtures(weights, means, variances, np.concatenate([[0], np.cumsum(wanted)]))


def _split(
    mixtures: Mixtures, s: int, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log weights, means, variances of senone s after splitting its heaviest Gaussian until it has `count`."""
    rows = slice(mixtures.first[s], mixtures.first[s + 1])
    weights, means, variances = mixtures.log_weights[rows], mixtures.means[rows], mixtures.variances[rows]
    while len(weights) < count:
        k = np.argmax(weights)
        step = PERTURB * np.sqrt(variances[k]) * rng.standard_normal(means.shape[1])
        weights = np.append(weights, weights[k] - np.log(2))
        weights[k] = weights[-1]
        means = np.vstack([means, means[k] + step])
        means[k] -= step
        variances = np.vstack([variances, variances[k]])
    return weights, means, variances


def train_mono(
    cepstra: Path, utterances: Sequence[Transcript], lang: Lang, out: Path, options: MonoOptions, jobs: int
) -> None:
    """Train monophones and write them into the existing folder `out`.

    `cepstra` is an archive of features (T, F), to which deltas are added; `utterances` name which
    of them to use and their words. Raises UserError when more than ``max_left_out`` percent of the
    utterances are shorter than their HMM.
    """
    archive = FrameArchive(cepstra, kind="features")
    senones = Senones.monophones(lang)
    if options.gaussians < senones.count or options.iterations < 1:
        raise UserError(f"{senones.count} senones need at least as many Gaussians, and one round of training")
    dimension = (DELTAS + 1) * archive.meta["parts"]["frames"]["shape"][0]
    shape = (senones.count, dimension)
    mixtures = Mixtures(np.zeros(senones.count), np.zeros(shape), np.ones(shape), np.arange(senones.count + 1))
    rng = np.random.default_rng(options.seed)
    growing = max(1, options.iterations * 3 // 4)
    shards = list(enumerate(parallel.split(utterances, SHARDS)))
    with parallel.workers(jobs, _setup, (cepstra, lang, out)) as pool:
        for iteration in range(options.iterations):
            how = alignment_of(iteration)
            tasks = [(number, shard, mixtures, senones, how) for number, shard in shards]
            what = f"round {iteration + 1} of {options.iterations}"
            parts = parallel.run(_accumulate_shard, tasks, jobs, what, weight=lambda task: len(task[1]), pool=pool)
            stats = sum(parts, Statistics.zeros(mixtures))
            if iteration == 1 or stats.frames == 0:  # equal parts need more frames than the best path
                check_left_out(stats.left_out, len(utterances), options.max_left_out)
            if iteration == 0:
                floor = VARIANCE_FLOOR * _global_variance(stats)
            log.info("%s: %s", what, _summary(stats, senones, mixtures, how))
            mixtures = update(mixtures, stats, floor)
            senones.self_loop = self_loops(stats, senones.self_loop)
            if iteration < growing:
                target = senones.count + (options.gaussians - senones.count) * (iteration + 1) // growing
                mixtures = grow(mixtures, stats.stays + stats.leaves, target, rng)
    for number, _ in shards:
        _stored(out, number).unlink()
    meta = {
        "features": archive.meta["features"],
        "frame_shift": archive.meta["frame_shift"],
        "deltas": DELTAS,
        "loglike_per_frame": round(stats.loglike / stats.frames, 4),
    }
    Gmm(mixtures, senones, meta).write(out)


def alignment_of(iteration: int) -> str:
    """How frames are assigned to senones in a round: "equal" parts, "viterbi", or as "stored" in the round before."""
    if iteration == 0:
        return "equal"
    return "viterbi" if iteration <= 10 or iteration % 2 == 0 else "stored"


def _global_variance(stats: Statistics) -> np.ndarray:
    first, second = np.split(stats.sums.sum(0) / stats.occupancy.sum(), 2)
    return second - first**2


def _summary(stats: Statistics, senones: Senones, mixtures: Mixtures, how: str) -> str:
    silence = (stats.stays + stats.leaves)[senones.silence].sum() / stats.frames
    return (
        f"{mixtures.gaussians} Gaussians, log-likelihood {stats.loglike / stats.frames:.3f} per frame, "
        f"silence {100 * silence:.1f} %, alignment {how}"
    )


_state: dict[str, Any] = {}  # of this process


def _setup(cepstra: Path, lang: Lang, folder: Path) -> None:
    parallel.single_thread()
    _state.update(archive=FrameArchive(cepstra), compiler=Compiler(lang, Senones.monophones(lang)), folder=folder)


def _accumulate_shard(task: tuple[int, list[Transcript], Mixtures, Senones, str]) -> Statistics:
    """Align the utterances of a shard in the way the round wants it, keep the alignment, and accumulate."""
    number, utterances, mixtures, senones, how = task
    stats = Statistics.zeros(mixtures)
    path = _stored(_state["folder"], number)
    with open(path, "rb" if how == "stored" else "wb") as store:
        for batch in _batches(utterances):
            vectors, alignments = [], []
            for utterance, words in batch:
                x = _vectors(utterance)
                if how == "stored":
                    alignment = np.frombuffer(store.read(4 * len(x)), dtype=np.int32)
                else:
                    alignment = _align(x, words, mixtures, senones, how)
                    store.write(alignment.tobytes())
                if len(x) == 0 or alignment[0] == LEFT_OUT:
                    stats.left_out += (utterance,)
                    continue
                vectors.append(x)
                alignments.append(alignment)
                stays, leaves = count_transitions(alignment, senones.count)
                stats.stays += stays
                stats.leaves += leaves
            if vectors:
                stats += accumulate(mixtures, np.concatenate(vectors), np.concatenate(alignments))
    return stats


def _align(x: np.ndarray, words: list[str], mixtures: Mixtures, senones: Senones, how: str) -> np.ndarray:
    """The senone of each frame (T,) int32; LEFT_OUT everywhere when there are too few frames."""
    compiler = _state["compiler"]
    if how == "equal":
        states = np.array(compiler.flat_path(words), dtype=np.int32)
        if len(states) <= len(x):
            return states[np.arange(len(x)) * len(states) // len(x)]
    else:
        graph = compiler(words)
        found, columns = graph.senones()
        _, path = best_path(mixtures.loglikes(x, found), graph, senones, columns)
        if path is not None:
            return graph.senone[path]
    return np.full(len(x), LEFT_OUT, dtype=np.int32)


def _batches(utterances: list[Transcript]) -> Iterator[list[Transcript]]:
    """Runs of utterances of together at least BLOCK frames, but for the last."""
    batch, frames = [], 0
    for transcript in utterances:
        batch.append(transcript)
        frames += _state["archive"].rows(transcript[0])
        if frames >= BLOCK:
            yield batch
            batch, frames = [], 0
    if batch:
        yield batch


def _vectors(utterance: str) -> np.ndarray:
    features = _state["archive"][utterance]
    if not np.isfinite(features).all():
        raise UserError(f"utterance {utterance} of {_state['archive'].folder} has a feature that is not a number")
    return add_deltas(features, order=DELTAS)


def _stored(folder: Path, number: int) -> Path:
    return folder / f"alignment.{number}"
