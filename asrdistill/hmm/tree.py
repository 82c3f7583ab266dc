"""Phonetic decision trees: which triphone states share a senone (Young, Odell, Woodland 1994).

All contexts of a state begin as one leaf. The split with the largest gain in likelihood, under a diagonal Gaussian
per leaf, is made until there are enough leaves. Questions come from clustering phones, as in Kaldi's cluster-phones.
"""

import heapq
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from asrdistill.errors import log
from asrdistill.hmm.senones import SIDES, START_SELF_LOOP, Senones, Tree
from asrdistill.lang.lexicon import root_of

MIN_FRAMES = 100.0  # on each side of a split at least
FLOOR = 0.01  # of the global variance


@dataclass
class TreeStatistics:
    """Sums over the frames of each triphone state; those of shards add up.

    contexts (M, 4) int64: left phone, phone, right phone (indices into the phones), state; sorted
    sums     (M, 1 + 2D) float64: frames, sum of x, sum of x²
    """

    contexts: np.ndarray
    sums: np.ndarray

    @classmethod
    def collect(cls, contexts: np.ndarray, x: np.ndarray) -> "TreeStatistics":
        """Of frames x (T, D) in contexts (T, 4)."""
        order, starts = _equal(contexts)
        ordered = np.asarray(x)[order].astype(np.float64)
        frames = np.diff(starts, append=len(order)).astype(np.float64)[:, None]
        first = np.add.reduceat(ordered, starts, axis=0)
        second = np.add.reduceat(np.square(ordered, out=ordered), starts, axis=0)  # blocks are large: no more copies
        return cls(contexts[order[starts]], np.hstack([frames, first, second]))

    def __add__(self, other: "TreeStatistics") -> "TreeStatistics":
        contexts = np.concatenate([self.contexts, other.contexts])
        order, starts = _equal(contexts)
        sums = np.concatenate([self.sums, other.sums])[order]
        return TreeStatistics(contexts[order[starts]], np.add.reduceat(sums, starts, axis=0))


def _equal(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sorting order of the rows (M, 4), and where in it each distinct row begins."""
    order = np.lexsort(rows.T[::-1])
    rows = rows[order]
    return order, np.flatnonzero(np.concatenate([[True], np.any(rows[1:] != rows[:-1], axis=1)]))


def loglikes(sums: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """(…,) log-likelihood of frames, given as sums (…, 1 + 2D), under their own Gaussian with a variance floor (D,)."""
    size = len(floor)
    frames = sums[..., 0]
    share = np.maximum(frames, 1e-10)[..., None]
    mean = sums[..., 1 : 1 + size] / share
    seen = sums[..., 1 + size :] / share - mean**2
    variance = np.maximum(seen, floor)
    return -0.5 * frames * (np.log(2 * np.pi * variance) + seen / variance).sum(-1)


def variance_floor(sums: np.ndarray) -> np.ndarray:
    """(D,) from the sums (M, 1 + 2D) of all frames."""
    total = sums.sum(0)
    first, second = np.split(total[1:] / total[0], 2)
    return FLOOR * (second - first**2)


def questions(stats: TreeStatistics, phones: int, lengths: np.ndarray, floor: np.ndarray) -> list[tuple[int, ...]]:
    """Clusters of similar phones, by the frames of their middle states; single phones too."""
    _, phone, _, state = stats.contexts.T
    middle = state == lengths[phone] // 2
    sums = np.zeros((phones, stats.sums.shape[1]))
    np.add.at(sums, phone[middle], stats.sums[middle])
    groups: list[Any] = [((p,), sums[p], loglikes(sums[p], floor)) for p in range(phones)]
    found = [phones_of for phones_of, _, _ in groups]
    loss = {}  # of merging two groups, by their phones

    def cost(pair: tuple[Any, Any]) -> float:
        (a, sum_a, like_a), (b, sum_b, like_b) = pair
        if (a, b) not in loss:
            loss[a, b] = like_a + like_b - loglikes(sum_a + sum_b, floor)
        return loss[a, b]

    while len(groups) > 2:
        one, other = min(itertools.combinations(groups, 2), key=cost)
        groups = [group for group in groups if group is not one and group is not other]
        merged = one[1] + other[1]
        groups.append((tuple(sorted(one[0] + other[0])), merged, loglikes(merged, floor)))
        found.append(groups[-1][0])
    return sorted(set(found))


@dataclass
class _Leaf:
    """Triphone states (rows of the statistics) that share a senone, and their best split."""

    rows: np.ndarray
    gain: float = 0.0
    side: str = ""
    question: tuple[int, ...] = ()
    yes: "_Leaf | None" = None
    no: "_Leaf | None" = None


def grow_tree(
    stats: TreeStatistics, phones: Sequence[str], lengths: np.ndarray, leaves: int, sides: Sequence[str] = SIDES
) -> Senones:
    """Senones of at most `leaves` leaves; logs a warning if the data suffice for fewer.

    phones   names of the indices in the contexts; phones[0] is silence, which is not split
    lengths  (P,) their numbers of states
    sides    those that questions are about
    """
    floor = variance_floor(stats.sums)
    asked = questions(stats, len(phones), lengths, floor)
    asks = np.zeros((len(asked), len(phones)))
    for q, members in enumerate(asked):
        asks[q, list(members)] = 1
    _, phone, _, state = stats.contexts.T
    names = [root_of(name) for name in phones]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    root = np.array([numbers[name] for name in names])[phone]
    roots = {
        (name, h): _Leaf(np.flatnonzero((root == number) & (state == h)))
        for name, number in numbers.items()
        for h in range(lengths[names.index(name)])
    }
    order = itertools.count()  # of two equal gains the earlier leaf goes first
    queue: list[tuple[float, int, _Leaf]] = []

    def consider(leaf: _Leaf) -> None:
        leaf.gain, leaf.side, leaf.question = _best_question(stats, leaf.rows, asked, asks, floor, sides)
        if leaf.gain > 0:
            heapq.heappush(queue, (-leaf.gain, next(order), leaf))

    for (name, _), leaf in roots.items():
        if name != phones[0]:
            consider(leaf)
    count = len(roots)
    while count < leaves and queue:
        _, _, leaf = heapq.heappop(queue)
        inside = np.isin(stats.contexts[leaf.rows, SIDES.index(leaf.side)], leaf.question)
        leaf.yes, leaf.no = _Leaf(leaf.rows[inside]), _Leaf(leaf.rows[~inside])
        consider(leaf.yes)
        consider(leaf.no)
        count += 1
    if count < leaves:
        log.warning("the data suffice for %d senones of the %d of --leaves", count, leaves)
    senone = itertools.count()
    states: dict[str, list[Tree]] = {}
    for (name, _), leaf in roots.items():
        states.setdefault(name, []).append(_written(leaf, phones, senone))
    return Senones(list(phones), states, np.full(count, np.log(START_SELF_LOOP)))


def _best_question(
    stats: TreeStatistics,
    rows: np.ndarray,
    asked: list[tuple[int, ...]],
    asks: np.ndarray,
    floor: np.ndarray,
    sides: Sequence[str],
) -> tuple[float, str, tuple[int, ...]]:
    """(gain in log-likelihood, side, phones) of the best split of a leaf; gain 0 if there is none."""
    best: tuple[float, str, tuple[int, ...]] = (0.0, "", ())
    if len(rows) < 2:
        return best
    sums = stats.sums[rows]
    whole = sums.sum(0)
    before = loglikes(whole, floor)
    for side in sides:
        by_phone = np.zeros((asks.shape[1], sums.shape[1]))
        np.add.at(by_phone, stats.contexts[rows, SIDES.index(side)], sums)
        yes = asks @ by_phone
        no = whole - yes
        gain = loglikes(yes, floor) + loglikes(no, floor) - before
        gain[np.minimum(yes[:, 0], no[:, 0]) < MIN_FRAMES] = 0
        q = int(np.argmax(gain))
        if gain[q] > best[0]:
            best = (float(gain[q]), side, asked[q])
    return best


def _written(leaf: _Leaf, phones: Sequence[str], senone: Any) -> Tree:
    """The tree below a leaf as in senones.json; numbers senones from left to right."""
    if leaf.yes is None or leaf.no is None:
        return next(senone)
    question = " ".join(phones[p] for p in leaf.question)
    yes = _written(leaf.yes, phones, senone)
    return {leaf.side: question, "yes": yes, "no": _written(leaf.no, phones, senone)}
