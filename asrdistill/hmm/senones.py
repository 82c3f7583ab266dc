"""Senone inventory: HMM topology, decision trees and self-loop probabilities.

Phones are left-to-right HMMs without skips, of 3 states (silence: 5). A decision tree per state asks about the
neighbouring phones; beyond the ends of an utterance is silence.

With frame subsampling (outputs that are N frames apart) phones have one state, or two: the first lasts one output, and
the second may be missing (Povey et al. 2016).

``senones.json`` of a model folder holds the trees: a senone's number, or ``{"left": "B D G", "yes": tree, "no": tree}``
for "is the left phone one of these?". "right" asks about the right phone; "centre" about the phone itself where
position-dependent phones (AA_B, AA_I, AA_E, AA_S) share a tree.

The outputs of a CTC model (Graves et al. 2006) are an inventory with one state per unit; silence is the blank.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from asrdistill.errors import UserError
from asrdistill.files import hash_of, write_json
from asrdistill.lang.lexicon import SILENCE, root_of
from asrdistill.reader import read_json, reading

if TYPE_CHECKING:
    from asrdistill.data.archive import FrameArchive
    from asrdistill.lang.lexicon import Lang

PHONE_STATES, SILENCE_STATES = 3, 5
START_SELF_LOOP = 0.75  # four frames on average, as in Kaldi
SIDES = ("left", "centre", "right")

Tree = Any  # int, or {side: phones, "yes": Tree, "no": Tree}


@dataclass
class Senones:
    """The trees of all phones and the senones' self-loop probabilities.

    phones     names, phones[0] is silence
    states     phone without position -> tree of each of its HMM states
    self_loop  (S,) natural log of the self-loop probability; of a state of one output: that its phone goes on
    ctc        whether these are units of a CTC model, without transition probabilities
    subsampling  feature frames from one output of a network to the next
    """

    phones: list[str]
    states: dict[str, list[Tree]]
    self_loop: np.ndarray = field(repr=False)
    ctc: bool = False
    subsampling: int = 1

    @classmethod
    def monophones(cls, lang: Lang) -> Senones:
        """One senone per state of each phone, in the order of ``lang.phones``."""
        states: dict[str, list[Tree]] = {}
        count = 0
        for phone in lang.phones:
            if (root := root_of(phone)) not in states:
                length = SILENCE_STATES if phone == lang.silence else PHONE_STATES
                states[root] = list(range(count, count + length))
                count += length
        return cls(list(lang.phones), states, np.full(count, np.log(START_SELF_LOOP)))

    @classmethod
    def of_ctc(cls, units: Sequence[str], blank: str) -> Senones:
        """Inventory of a CTC model's outputs, in their order; the blank becomes silence.

        Raises UserError if the blank is missing or names are ambiguous.
        """
        if blank not in units:
            raise UserError(f"there is no unit {blank} for the blank; name the one that is it")
        names = [SILENCE if unit == blank else unit for unit in units]
        if len({root_of(name) for name in names}) < len(names):
            alike = next(name for name in names if [root_of(other) for other in names].count(root_of(name)) > 1)
            raise UserError(f"the unit {alike} stands twice, or is named as silence or a position; rename it")
        phones = [SILENCE, *(name for name in names if name != SILENCE)]
        states = {root_of(name): [number] for number, name in enumerate(names)}
        return cls(phones, states, np.full(len(names), np.log(0.5)), ctc=True)

    @property
    def count(self) -> int:
        """S, the number of senones."""
        return len(self.self_loop)

    @property
    def forward(self) -> np.ndarray:
        """(S,) natural log of the probability to leave the state."""
        return np.log1p(-np.exp(self.self_loop))

    @property
    def hash(self) -> str:
        """Identity of the inventory: phones and trees, not the probabilities."""
        return hash_of({"phones": self.phones, "states": self.states, **self._kind})

    @property
    def _kind(self) -> dict[str, Any]:
        others = {"subsampling": self.subsampling} if self.subsampling > 1 else {}
        return {"ctc": True, **others} if self.ctc else others

    @property
    def silence(self) -> list[int]:
        """The senones of the silence phone, which asks about no context."""
        return self.states[self.phones[0]]

    @cached_property
    def lengths(self) -> np.ndarray:
        """(P,) int32: number of HMM states of each phone."""
        return np.array([len(self.states[root_of(phone)]) for phone in self.phones], np.int32)

    @cached_property
    def once(self) -> np.ndarray:
        """(S,) bool: senones that last one output; after them the phone goes on to its second state, or ends."""
        trees = (trees[0] for trees in self.states.values() if self.subsampling > 1 and len(trees) == 2)
        return np.isin(np.arange(self.count), [leaf for tree in trees for leaf in leaves(tree)])

    @cached_property
    def contexts(self) -> np.ndarray:
        """(P,) int32: class of each phone as a neighbour; phones that all trees treat alike share one."""
        asked = [set(phones) for phones in sorted({tree[0] for tree in self._questions()})]
        answers = [tuple(phone in phones for phones in asked) for phone in self.phones]
        classes: dict[tuple[bool, ...], int] = {}
        return np.array([classes.setdefault(answer, len(classes)) for answer in answers], np.int32)

    @cached_property
    def table(self) -> np.ndarray:
        """(P, C, C, H) int32: senone of [phone, class to the left, class to the right, state]; -1 beyond its states.

        H is the largest number of states, C the number of classes of :attr:`contexts`.
        """
        classes = int(self.contexts.max()) + 1
        table = np.full((len(self.phones), classes, classes, self.lengths.max()), -1, np.int32)
        first = {name: int(np.flatnonzero(self.contexts == name)[0]) for name in range(classes)}
        names = [self.phones[first[name]] for name in range(classes)]  # one phone stands for its class
        for p, phone in enumerate(self.phones):
            for state, tree in enumerate(self.states[root_of(phone)]):
                table[p, :, :, state] = _answers(tree, phone, names)
        return table

    @cached_property
    def state(self) -> np.ndarray:
        """(S,) int32: which state of its phones each senone is."""
        state = np.zeros(self.count, np.int32)
        for trees in self.states.values():
            for number, tree in enumerate(trees):
                state[leaves(tree)] = number
        return state

    @cached_property
    def owner(self) -> np.ndarray:
        """(S,) int64: number of the tree that each senone is a leaf of."""
        owner = np.zeros(self.count, np.int64)
        for number, tree in enumerate(tree for trees in self.states.values() for tree in trees):
            owner[leaves(tree)] = number
        return owner

    @cached_property
    def phone(self) -> np.ndarray:
        """(S,) int64: index into the phones of :attr:`states` of each senone."""
        phone = np.zeros(self.count, np.int64)
        for number, trees in enumerate(self.states.values()):
            phone[[leaf for tree in trees for leaf in leaves(tree)]] = number
        return phone

    def of_phones(self, names: Sequence[str]) -> np.ndarray:
        """(S,) bool mask of the senones of these phones; raises UserError for an unknown phone."""
        if unknown := [name for name in names if name not in self.states]:
            raise UserError(f"there is no phone {unknown[0]}; the phones are {' '.join(self.states)}")
        return np.isin(self.phone, [number for number, name in enumerate(self.states) if name in names])

    def triphones(self, senone: np.ndarray, phone: np.ndarray) -> np.ndarray:
        """(T, 4): left phone, phone, right phone (indices), state of each frame, from an alignment's two parts (T,)."""
        state, phone = self.state[senone], np.asarray(phone, np.int64)
        new = begins(state, phone)
        segment = np.cumsum(new) - 1
        said = np.concatenate([[0], phone[new], [0]])
        return np.stack([said[segment], phone, said[segment + 2], state], axis=1)

    def find(self, triphones: np.ndarray) -> np.ndarray:
        """(T,) int32: senones of triphone states (T, 4), see :meth:`triphones`."""
        left, phone, right, state = triphones.T
        return self.table[phone, self.contexts[left], self.contexts[right], state]

    def _questions(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Questions about neighbours: phones and side."""
        stack = [tree for trees in self.states.values() for tree in trees]
        while stack:
            if isinstance(tree := stack.pop(), dict):
                side = side_of(tree)
                if side != "centre":
                    yield tuple(tree[side].split()), side
                stack += [tree["yes"], tree["no"]]

    @classmethod
    def read(cls, folder: Path) -> Senones:
        """Read ``senones.json`` of a model folder; raises UserError when it is missing or inconsistent."""
        path = Path(folder) / "senones.json"
        record = read_json(path)
        with reading(path, "train the model again"):
            senones = cls(record["phones"], record["states"], np.asarray(record["self_loop"], dtype=np.float64))
            senones.ctc, senones.subsampling = record.get("ctc", False), int(record.get("subsampling", 1))
            used = {leaf for trees in senones.states.values() for tree in trees for leaf in leaves(tree)}
            sound = used == set(range(senones.count)) and all(isinstance(leaf, int) for leaf in senones.silence)
            sound = sound and {root_of(phone) for phone in senones.phones} == set(senones.states)
            sound = sound and {phone for phones, _ in senones._questions() for phone in phones} <= set(senones.phones)
            sound = sound and bool(np.all(senones.self_loop < 0)) and senones.subsampling >= 1
            sound = sound and (senones.subsampling == 1 or int(senones.lengths.max()) <= 2)
            if not sound:
                raise ValueError("it is not a senone inventory")
        return senones

    def write(self, folder: Path) -> None:
        """Write ``senones.json`` into the folder."""
        record = {"phones": self.phones, "states": self.states, "self_loop": self.self_loop.tolist(), **self._kind}
        write_json(Path(folder) / "senones.json", record)


def log_priors(alignment: FrameArchive, senones: int) -> np.ndarray:
    """(S,) float32 log relative frequency of the senones; one that never occurs counts as one frame."""
    counts = np.zeros(senones, dtype=np.int64)
    for utterance in alignment:
        counts += np.bincount(alignment[utterance], minlength=senones)
    return np.log(np.maximum(counts, 1) / counts.sum()).astype(np.float32)


def begins(state: np.ndarray, phone: np.ndarray) -> np.ndarray:
    """(T,) whether a phone begins at the frame: after another phone, or a later state of the same."""
    return np.append(True, (phone[1:] != phone[:-1]) | (state[1:] < state[:-1]))


def side_of(tree: dict[str, Any]) -> str:
    """Side of the question at the root of a tree."""
    return next(side for side in SIDES if side in tree)


def leaves(tree: Tree) -> list[int]:
    """The senones of a tree, from left to right."""
    return [*leaves(tree["yes"]), *leaves(tree["no"])] if isinstance(tree, dict) else [tree]


def _answers(tree: Tree, phone: str, names: list[str]) -> np.ndarray:
    """(C, C): the tree's senone between names[left] and names[right]."""
    if not isinstance(tree, dict):
        return np.full((len(names), len(names)), tree, np.int32)
    side = side_of(tree)
    asked = tree[side].split()
    if side == "centre":
        return _answers(tree["yes" if phone in asked else "no"], phone, names)
    inside = np.array([name in asked for name in names])
    inside = inside[:, None] if side == "left" else inside[None, :]
    return np.where(inside, _answers(tree["yes"], phone, names), _answers(tree["no"], phone, names))
