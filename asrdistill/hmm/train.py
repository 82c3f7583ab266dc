"""GMM-HMM training: monophones from a flat start, triphones from an alignment, optionally with LDA and MLLT.

Schedules are those of Kaldi's train_mono, train_deltas and train_lda_mllt. A round accumulates statistics per shard,
merges them in the order of the shards and updates, so the result does not depend on the number of processes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np

from asrdistill.data.archive import FrameArchive
from asrdistill.data.text import Transcript
from asrdistill.errors import UserError, check_left_out, log
from asrdistill.features.context import splice
from asrdistill.hmm import estimate
from asrdistill.hmm.align import PATHLESS, shards_of
from asrdistill.hmm.gmm import FeatureTransform, Gmm, Mixtures
from asrdistill.hmm.graph import GraphCompiler
from asrdistill.hmm.options import MonoOptions, TriphoneOptions
from asrdistill.hmm.senones import Senones
from asrdistill.hmm.transforms import Scatter, lda, mllt
from asrdistill.hmm.tree import TreeStatistics, grow_tree
from asrdistill.hmm.viterbi import best_path
from asrdistill.lang.lexicon import Lang
from asrdistill.parallel import Chunk, Sums, Workers, gather

DELTAS = 2
SHARDS = 256  # at most: the statistics of one are as large as those of all, and one process adds them up
BLOCK = 60_000  # frames accumulated at once
LEFT_OUT = -1  # instead of senones in stored alignments
MLLT_ROUNDS = (2, 4, 6, 12)


@dataclass(frozen=True)
class Estimate:
    """The model of one round."""

    front: FeatureTransform
    senones: Senones
    mixtures: Mixtures


@dataclass
class Products(Sums):
    """Statistics of MLLT. products (D, D, D): Σ posterior / variance_d · x xᵀ"""

    products: np.ndarray
    stats: estimate.Statistics


class Trainer(Workers):
    """The shards of a corpus, and the processes that work on them."""

    def __init__(
        self,
        features: Path,
        utterances: Sequence[Transcript],
        lang: Lang,
        out: Path,
        jobs: int,
        alignment: Path | None = None,
    ):
        super().__init__(jobs, partial(Corpus, features, lang, out, alignment))
        self.features, self.out, self.shards = features, out, shards_of(utterances, SHARDS)

    def sum(self, work: Callable[..., Any], what: str, *arguments: Any) -> Any:
        """Sum of ``work(*arguments, corpus, shard)`` over all shards, in their order."""
        return reduce(add, self.map(partial(work, *arguments), self.shards, what))


class Corpus:
    """What a process needs of the corpus: features, lexicon, the alignment that training begins with."""

    def __init__(self, features: Path, lang: Lang, folder: Path, alignment: Path | None):
        self.archive, self.lang, self.folder = FrameArchive(features), lang, folder
        self._compiler: GraphCompiler | None = None
        if alignment:
            self.given, self.inventory = FrameArchive(alignment, "alignment"), Senones.read(alignment)

    def features(self, utterance: str) -> np.ndarray:
        """(T, F); raises UserError if they are not finite."""
        features = self.archive[utterance]
        if not np.isfinite(features).all():
            raise UserError(f"utterance {utterance} of {self.archive.folder} has NaN or infinity; make it again")
        return features

    def labels(self, utterance: str) -> tuple[np.ndarray, np.ndarray]:
        """Senone and phone of each frame in the given alignment."""
        return self.given[utterance], self.given.part(utterance, "phones")

    def compiler(self, senones: Senones) -> GraphCompiler:
        """Of these senones; made once, since only their probabilities change from round to round."""
        if self._compiler is None or self._compiler.senones.states != senones.states:
            self._compiler = GraphCompiler(self.lang, senones)
        return self._compiler


def train_mono(
    cepstra: Path, utterances: Sequence[Transcript], lang: Lang, out: Path, options: MonoOptions, jobs: int
) -> None:
    """Train monophones and write them into the existing folder `out`.

    The flat start divides each utterance evenly among its states. Raises UserError if more than ``max_left_out``
    percent of the utterances are shorter than their HMM.
    """
    growing = max(1, options.iterations * 3 // 4)
    with Trainer(cepstra, utterances, lang, out, jobs) as trainer:
        _train(trainer, FeatureTransform(deltas=DELTAS), Senones.monophones(lang), options, growing, mono_alignment)


def train_triphones(
    features: Path,
    alignment: Path,
    utterances: Sequence[Transcript],
    lang: Lang,
    out: Path,
    options: TriphoneOptions,
    jobs: int,
) -> None:
    """Grow triphone trees on an alignment, train their GMMs, and write them into the existing folder `out`.

    Cepstra get deltas, or with `lda` are spliced and projected by LDA and MLLT. fMLLR features are used as they are
    (speaker-adaptive training).
    """
    meta = FrameArchive(features).meta
    size, spliced = meta["parts"]["frames"]["shape"][0], 2 * options.splice + 1
    if options.lda and not 1 <= options.dimension <= spliced * size:
        raise UserError(f"{spliced} spliced frames of {size} give no {options.dimension} dimensions; lower --dimension")
    adapted = not options.lda and meta["features"]["type"] == "fmllr"
    front = FeatureTransform() if adapted else FeatureTransform(deltas=DELTAS)
    growing = options.iterations * 5 // 7
    with Trainer(features, utterances, lang, out, jobs, alignment) as trainer:
        if options.lda:
            scatter = trainer.sum(_scatter_shard, "LDA", options.splice)
            front = FeatureTransform(splice=options.splice, matrix=lda(scatter, options.dimension))
        stats = trainer.sum(_tree_shard, "tree statistics", front)
        senones = grow_tree(stats, lang.phones, Senones.monophones(lang).lengths, options.leaves)
        log.info("%d triphone states share %d senones", len(stats.contexts), senones.count)
        _train(trainer, front, senones, options, growing, given_alignment, MLLT_ROUNDS if options.lda else ())
    if adapted:
        FeatureTransform.read(features).write(out)  # new speakers are adapted from what it makes


def mono_alignment(number: int) -> str:
    """Alignment by round after a flat start: Viterbi in rounds 1 to 10, then in every second."""
    if number == 0:
        return "equal"
    return "viterbi" if number <= 10 or number % 2 == 0 else "stored"


def given_alignment(number: int) -> str:
    """Alignment by round on a given alignment: Viterbi in rounds 10, 20, 30."""
    if number == 0:
        return "given"
    return "viterbi" if number % 10 == 0 else "stored"


def _train(
    trainer: Trainer,
    front: FeatureTransform,
    senones: Senones,
    options: MonoOptions,
    growing: int,
    align: Callable[[int], str],
    mllt_rounds: tuple[int, ...] = (),
) -> None:
    """Train the Gaussians of the senones and write the model; mixtures grow until the round `growing`.

    ``align(round)``: "equal" (flat start), "given" (by another model's alignment), "viterbi" or "stored" (as before).
    """
    if options.gaussians < senones.count:
        raise UserError(f"{options.gaussians} Gaussians are fewer than {senones.count} senones; raise --gaussians")
    archive = FrameArchive(trainer.features, kind="features")
    shape = (senones.count, front.size(archive.meta["parts"]["frames"]["shape"][0]))
    mixtures = Mixtures(np.zeros(senones.count), np.zeros(shape), np.ones(shape), np.arange(senones.count + 1))
    rng = np.random.default_rng(options.seed)
    utterances, checked = sum(map(len, trainer.shards)), False
    for number in range(options.iterations):
        if number in mllt_rounds:
            front, mixtures = _turn(trainer, front, senones, mixtures)
        how, what = align(number), f"round {number + 1} of {options.iterations}"
        stats = trainer.sum(_accumulate_shard, what, Estimate(front, senones, mixtures), how)
        if stats.frames == 0 or (how == "viterbi" and not checked):  # equal parts need more frames than the best path
            check_left_out(stats.left_out, utterances, options.max_left_out, PATHLESS)
            checked = stats.frames > 0
        if number == 0:
            first, second = np.split(stats.sums.sum(0) / stats.occupancy.sum(), 2)
            floor = estimate.VARIANCE_FLOOR * (second - first**2)
        silence = (stats.stays + stats.leaves)[senones.silence].sum() / stats.frames
        log.info(
            f"{what}: {mixtures.gaussians} Gaussians, log-likelihood {stats.loglike / stats.frames:.3f} per frame, "
            f"silence {100 * silence:.1f} %, alignment {how}"
        )
        mixtures = estimate.update(mixtures, stats, floor)
        senones.self_loop = estimate.self_loops(stats.stays, stats.leaves, senones.self_loop)
        if number < growing:
            target = senones.count + (options.gaussians - senones.count) * (number + 1) // growing
            mixtures = estimate.grow(mixtures, stats.stays + stats.leaves, target, rng)
    for shard in trainer.shards:
        _stored(trainer.out, shard.number).unlink()
    meta = {key: archive.meta[key] for key in ("features", "frame_shift")}
    meta["loglike_per_frame"] = round(stats.loglike / stats.frames, 4)
    Gmm(mixtures, senones, meta, front).write(trainer.out)


def _turn(
    trainer: Trainer, front: FeatureTransform, senones: Senones, mixtures: Mixtures
) -> tuple[FeatureTransform, Mixtures]:
    """Multiply the projection, and the means with it, by an MLLT transform."""
    found = trainer.sum(_products_shard, "MLLT", Estimate(front, senones, mixtures))
    products, stats = found.products, found.stats
    inverse, means = 1 / mixtures.variances, mixtures.means
    across = np.einsum("gd,gi,gj->dij", inverse, stats.sums[:, : means.shape[1]], means, optimize=True)
    centres = np.einsum("gd,gi,gj->dij", inverse * stats.occupancy[:, None], means, means, optimize=True)
    turn = mllt(products - across - across.transpose(0, 2, 1) + centres, stats.occupancy.sum())
    assert front.matrix is not None  # MLLT is planned for projected features only
    return replace(front, matrix=turn @ front.matrix), replace(mixtures, means=means @ turn.T)


def _scatter_shard(context: int, corpus: Corpus, shard: Chunk[Transcript]) -> Scatter:
    aligned = (u for u, _ in shard if u in corpus.given)
    spliced = ((splice(corpus.features(u), context, context), corpus.labels(u)[0]) for u in aligned)
    count = corpus.inventory.count
    return reduce(add, (Scatter.collect(x, senone, count) for x, senone in blocks(spliced)))


def _tree_shard(front: FeatureTransform, corpus: Corpus, shard: Chunk[Transcript]) -> TreeStatistics:
    aligned = (u for u, _ in shard if u in corpus.given)
    pairs = ((front.vectors(corpus.features(u)), corpus.inventory.triphones(*corpus.labels(u))) for u in aligned)
    return reduce(add, (TreeStatistics.collect(triphones, x) for x, triphones in blocks(pairs)))


def _products_shard(model: Estimate, corpus: Corpus, shard: Chunk[Transcript]) -> Products:
    size = model.mixtures.means.shape[1]
    total = Products(np.zeros((size, size, size)), estimate.Statistics.zeros(model.mixtures))
    stored = ((x, found) for _, x, found in _alignments(model, "stored", corpus, shard) if found is not None)
    for x, senone in blocks(stored):
        weight, _ = estimate.precisions(model.mixtures, x, senone)
        total += Products(estimate.weighted_products(weight, x), estimate.accumulate(model.mixtures, x, senone))
    return total


def _accumulate_shard(model: Estimate, how: str, corpus: Corpus, shard: Chunk[Transcript]) -> estimate.Statistics:
    """Align the utterances of a shard as `how` says, store the alignment, and accumulate statistics."""
    stats, counts = estimate.Statistics.zeros(model.mixtures), estimate.Statistics.zeros(model.mixtures)

    def counted() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for utterance, x, senone in _alignments(model, how, corpus, shard):
            if senone is None:
                counts.left_out += (utterance,)
                continue
            stays, leaves = estimate.count_transitions(senone, model.senones.count)
            counts.stays += stays
            counts.leaves += leaves
            yield x, senone

    for x, senone in blocks(counted()):
        stats += estimate.accumulate(model.mixtures, x, senone)
    return stats + counts


def _alignments(
    model: Estimate, how: str, corpus: Corpus, shard: Chunk[Transcript]
) -> Iterator[tuple[str, np.ndarray, np.ndarray | None]]:
    """Utterance, vectors (T, D), senone of each frame (T,) or None; written to disk for later "stored" rounds."""
    with open(_stored(corpus.folder, shard.number), "rb" if how == "stored" else "wb") as store:
        for utterance, words in shard:
            x = model.front.vectors(corpus.features(utterance))
            if how == "stored":
                senone = np.frombuffer(store.read(4 * len(x)), dtype=np.int32)
            else:
                senone = _align(utterance, x, words, model, how, corpus)
                store.write(senone.tobytes())
            yield utterance, x, None if len(x) == 0 or senone[0] == LEFT_OUT else senone


def _align(utterance: str, x: np.ndarray, words: list[str], model: Estimate, how: str, corpus: Corpus) -> np.ndarray:
    """The senone of each frame (T,) int32; LEFT_OUT everywhere where there is no path, or too few frames."""
    if how == "given":
        if utterance in corpus.given:
            return model.senones.find(corpus.inventory.triphones(*corpus.labels(utterance)))
    elif how == "equal":
        states = corpus.compiler(model.senones).flat_path(words)
        if len(states) <= len(x):
            return states[np.arange(len(x)) * len(states) // len(x)]
    else:
        graph = corpus.compiler(model.senones)(words)
        found, columns = graph.senones()
        _, path = best_path(model.mixtures.loglikes(x, found), graph, model.senones, columns)
        if path is not None:
            return graph.senone[path]
    return np.full(len(x), LEFT_OUT, dtype=np.int32)


def blocks(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Utterances joined into blocks of at least BLOCK frames, but for the last."""
    for some in gather(pairs, BLOCK, lambda pair: len(pair[0])):
        first, second = zip(*some, strict=True)
        yield np.concatenate(first), np.concatenate(second)


def _stored(folder: Path, number: int) -> Path:
    return folder / f"alignment.{number}"
