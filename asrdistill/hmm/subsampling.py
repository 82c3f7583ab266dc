"""Low frame rate: alignments and trees for networks whose outputs are N frames apart; see docs/internals.md.

A phone has at least N rows, so that every Nth row, from any of the first N on, is an alignment of the same phones. With
two states the first N rows of a phone are of its first state (Pundak and Sainath 2016; Povey et al. 2016).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from asrdistill.data.archive import FrameArchive, ShardWriter, finish
from asrdistill.errors import UserError, check_left_out, log
from asrdistill.hmm.align import PARTS, open_aligned, shards_of
from asrdistill.hmm.estimate import self_loops
from asrdistill.hmm.gmm import FeatureTransform
from asrdistill.hmm.options import SubsamplingOptions
from asrdistill.hmm.senones import Senones, begins
from asrdistill.hmm.train import blocks
from asrdistill.hmm.tree import TreeStatistics, grow_tree
from asrdistill.parallel import Chunk, Sums, Workers


class Relabelled(NamedTuple):
    """The rows of an utterance in the topology of a low frame rate."""

    triphones: np.ndarray  # (T, 4) as of Senones.triphones
    goes_on: np.ndarray  # (T,) bool: the phone lasts for another output
    extended: int  # phones that had fewer than N rows
    phones: int


@dataclass
class Found(Sums):
    """Sums over rows. goes_on, ends (S,): those after which the phone lasts for another output, or does not."""

    goes_on: np.ndarray
    ends: np.ndarray
    phones: int = 0
    extended: int = 0
    left_out: tuple[str, ...] = ()


def subsample_alignment(
    alignment: Path, features: Path, out: Path, options: SubsamplingOptions, jobs: int, tree: Path | None = None
) -> None:
    """Write into `out` the alignment for networks with an output every N frames: a row per frame, senones of its own.

    The trees grow on the features, with deltas unless these are fMLLR's; or senones are those of the folder `tree`.
    Raises UserError for an alignment without phones, one of a low frame rate, and a tree of other phones.
    """
    inputs, labels, inventory = open_aligned(features, alignment)
    given = Senones.read(tree) if tree else None
    if "phones" not in labels.meta["parts"]:
        raise UserError(f"{alignment} does not say which phone a frame belongs to; align again")
    if inventory.subsampling > 1:
        raise UserError(f"{alignment} is of a low frame rate already; give the one that it was made from")
    if given and (given.subsampling == 1 or given.phones != inventory.phones):
        what = "other phones than the alignment" if given.subsampling > 1 else "no low frame rate"
        raise UserError(f"{tree} has {what}; give an alignment or a network made with --frame-subsampling")
    every, states = options.frame_subsampling, options.states
    if given:
        every, states = given.subsampling, int(given.lengths.max())
    tasks, load = shards_of(labels.utterances), partial(_load, features, alignment, every, states)
    with Workers(jobs, load) as workers:
        if given is None:
            front = FeatureTransform(deltas=0 if inputs.meta["features"]["type"] == "fmllr" else 2)
            stats = _sum(workers.map(partial(_tree_shard, front), tasks, "tree statistics"))
            if stats is None:
                raise UserError(f"no utterance of {alignment} has {every} frames per phone; lower --frame-subsampling")
            if not np.isfinite(stats.sums).all():
                raise UserError(f"{features} has NaN or infinity; make it again")
            sides = ("left", "centre", "right") if options.right_context else ("left", "centre")
            lengths = np.full(len(inventory.phones), states)
            senones = grow_tree(stats, inventory.phones, lengths, options.leaves, sides)
            senones.subsampling = every
        else:
            senones = given
        shards, found = [], Found(np.zeros(senones.count), np.zeros(senones.count))
        for shard, part in workers.map(partial(_write_shard, out, senones), tasks, "low frame rate"):
            shards.append(shard)
            found += part
    reason = f"have fewer than {every} frames per phone"
    check_left_out(found.left_out, len(labels), options.max_left_out, reason)
    if given is None:
        senones.self_loop = self_loops(found.goes_on, found.ends, senones.self_loop)
    counts = {"phones": found.phones, "extended": found.extended}
    meta = {"senones": senones.hash, "frame_shift": labels.meta["frame_shift"], "subsampling": every}
    finish(out, "alignment", PARTS, shards, **meta, **counts, left_out=list(found.left_out))
    senones.write(out)
    log.info("%(phones)d phones, of which %(extended)d were extended to %(every)d frames", {**counts, "every": every})


Loaded = tuple[FrameArchive, FrameArchive, Senones, int, int]


def _load(features: Path, alignment: Path, every: int, states: int) -> Loaded:
    return FrameArchive(features), FrameArchive(alignment), Senones.read(alignment), every, states


def _relabelled(loaded: Loaded, utterance: str) -> Relabelled | None:
    _, labels, inventory, every, states = loaded
    return relabel(inventory.state[labels[utterance]], labels.part(utterance, "phones"), every, states)


def _tree_shard(front: FeatureTransform, loaded: Loaded, shard: Chunk[str]) -> TreeStatistics | None:
    rows = ((loaded[0][utterance], _relabelled(loaded, utterance)) for utterance in shard)
    pairs = ((front.vectors(features), found.triphones) for features, found in rows if found)
    return _sum(TreeStatistics.collect(triphones, x) for x, triphones in blocks(pairs))


def _sum(parts: Iterable[TreeStatistics | None]) -> TreeStatistics | None:
    total = None
    for part in parts:
        total = total + part if total and part else total or part
    return total


def _write_shard(out: Path, senones: Senones, loaded: Loaded, shard: Chunk[str]) -> tuple[dict[str, Any], Found]:
    writer, sums = ShardWriter(out, shard.number, PARTS), np.zeros((2, senones.count))
    total = Found(*sums)
    for utterance in shard:
        found = _relabelled(loaded, utterance)
        if found is None:
            total.left_out += (utterance,)
            continue
        senone = senones.find(found.triphones)
        writer.write(utterance, frames=senone, phones=found.triphones[:, 1])
        total.goes_on += np.bincount(senone[found.goes_on], minlength=senones.count)
        total.ends += np.bincount(senone[~found.goes_on], minlength=senones.count)
        total.phones, total.extended = total.phones + found.phones, total.extended + found.extended
    return writer.close(), total


def relabel(state: np.ndarray, phone: np.ndarray, every: int, states: int) -> Relabelled | None:
    """The rows of an alignment, given as HMM state and phone of each (T,); None if it has too few for its phones."""
    phone = np.asarray(phone, np.int64)
    first = np.flatnonzero(begins(state, phone))
    said, before = phone[first], np.diff(first, append=len(phone))
    lengths = extend(before, every)
    if lengths is None:
        return None
    place = np.arange(len(phone)) - np.repeat(np.cumsum(lengths) - lengths, lengths)  # of a row in its phone
    beside = np.concatenate([[0], said, [0]])
    now = np.minimum(place // every, states - 1)
    columns = (np.repeat(part, lengths) for part in (beside[:-2], said, beside[2:]))
    goes_on = place + every < np.repeat(lengths, lengths)
    return Relabelled(np.stack([*columns, now], axis=1), goes_on, int((before < every).sum()), len(said))


def extend(lengths: np.ndarray, least: int) -> np.ndarray | None:
    """Lengths (n,) of adjacent segments -> such that each is at least `least`; None if their sum is too small.

    A short segment takes each row from the nearest one that has more, of two equally near ones from the longer; those
    between them move by a row.
    """
    lengths = np.array(lengths)
    if lengths.sum() < least * len(lengths):
        return None
    for short in np.flatnonzero(lengths < least):
        while lengths[short] < least:
            longer = np.flatnonzero(lengths > least)
            giver = min(longer, key=lambda other: (abs(other - short), -lengths[other]))
            lengths[giver] -= 1
            lengths[short] += 1
    return lengths
