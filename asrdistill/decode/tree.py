"""The lexicon as a prefix tree over phones, each of them spelled out in the HMM states of its contexts, in flat arrays.

Words that begin with the same phones share these phones. What states a phone has depends on its
neighbours: the one to the left is known (the phone above in the tree, or, for a word's first phone,
the last one of the word before), the one to the right is not: the next phone in the tree, or, where
a word ends, the first one of whatever follows. So a phone branches into as many chains of states as
its right contexts tell apart; chains that begin with the same states share them, and each chain
leads only to the phones and words for which it stands. A node is one HMM state of such a chain.

Word ends: an exit says what a chain that ends a word leaves open, which is its phone as the left
context of the next word, and the right contexts for which it stands. It lists the nodes that the
next word may begin with, and whether silence may follow. Silence asks about no context.

Look-ahead classes: nodes from which the same pronunciations can be reached have the same best
language model score ahead of them. A phone that leads to nothing but one other shares its class; all
chains of a phone do. Class 0 is the root; the classes of a phone's successors are neighbours.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from asrdistill.errors import UserError, shorten

SILENCE = -1  # stands in `leaf_word` and `leaf_token` at the end of silence
START, AFTER_SILENCE = 0, 1  # exits: the beginning of the utterance; the end of silence
INSIDE = -1  # stands in `exit` where no word ends


class Tree(NamedTuple):
    """N nodes, L leaves (ends of pronunciations), E exits, A look-ahead classes. Log-probabilities are natural."""

    roots: int  # classes 1 … roots are those of the phones that words begin with; node 0 begins silence
    senone: np.ndarray  # (N,) int32
    self_loop: np.ndarray  # (N,) float32: log P(stay in the node)
    forward: np.ndarray  # (N,) float32: log P(leave it)
    child_begin: np.ndarray  # (N + 1,) int32: node n's children: child[child_begin[n] : child_begin[n + 1]]
    child: np.ndarray  # int32: nodes, those of one parent in the order of their classes
    child_senone: np.ndarray  # int32: their senones, side by side for speed
    child_look: np.ndarray  # int32: their look-ahead classes
    look: np.ndarray  # (N,) int32: look-ahead class
    look_parent: np.ndarray  # (A,) int32: the class above; the root's is -1
    leaf_begin: np.ndarray  # (N,) int32: leaves at node n are leaf_begin[n] … leaf_end[n] - 1
    leaf_end: np.ndarray  # (N,) int32
    leaf_word: np.ndarray  # (L,) int32: index into the words, or SILENCE
    leaf_token: np.ndarray  # (L,) int32: the word's token in the language model, or SILENCE
    leaf_logprob: np.ndarray  # (L,) float32: log-probability of the pronunciation
    leaf_look: np.ndarray  # (L,) int32: look-ahead class
    exit: np.ndarray  # (N,) int32: exit of the words that end at node n, or INSIDE
    entry_begin: np.ndarray  # (E + 1,) int32: a word may begin with entry[entry_begin[e]] … after exit e
    entry: np.ndarray  # int32: nodes
    entry_senone: np.ndarray  # int32: their senones
    entry_look: np.ndarray  # int32: their look-ahead classes
    initial: np.ndarray  # int32: the different senones that words begin with
    pause: np.ndarray  # (E,) bool: whether silence may follow


class _Phone:
    """A phone of the prefix tree while it is compiled."""

    def __init__(self, phone: int, above: "_Phone | None"):
        self.phone = phone  # index into the senones' phones
        self.above = above
        self.below: dict[int, _Phone] = {}
        self.leaves: list[tuple[int, int, float]] = []  # word, token, log-probability
        self.look = 0
        self.entries: dict[int, list[int]] = {}  # context class to the left -> first states of its chains


def build_tree(lang: Any, senones: Any, tokens: Mapping[str, int]) -> Tree:
    """Compile the pronunciations of the words that have a token in the language model.

    `lang` is a :class:`asrdistill.lang.lexicon.Lang`, `senones` the inventory whose trees say what the
    phones are made of, `tokens` gives the language model's token of each word to be recognised.
    Raises UserError for phones that the senone inventory lacks.
    """
    if missing := sorted({lang.silence, *lang.phones} - set(senones.phones)):
        raise UserError(
            f"the senone inventory lacks phones of the lexicon: {shorten(missing)}; train it with this lang"
        )
    number = {phone: index for index, phone in enumerate(senones.phones)}
    root = _Phone(number[lang.silence], None)
    for index, word in enumerate(lang.words):
        if word in tokens:
            for probability, phones in lang.pronunciations[word]:
                place = root
                for phone in map(number.__getitem__, phones):
                    if phone not in place.below:
                        place.below[phone] = _Phone(phone, place)
                    place = place.below[phone]
                place.leaves.append((index, tokens[word], float(np.log(probability))))
    phones, look_parent = _classes(root)
    return _States(senones, root, phones).flatten(look_parent)


def _classes(root: _Phone) -> tuple[list[_Phone], list[int]]:
    """All phones of the tree but the root, breadth first, and for each look-ahead class the one above it."""
    phones, look_parent = [root], [-1]
    for phone in phones:
        shares = phone is not root and len(phone.below) == 1 and not phone.leaves
        for below in phone.below.values():
            below.look = phone.look if shares else len(look_parent)
            if not shares:
                look_parent.append(phone.look)
            phones.append(below)
    return phones[1:], look_parent


class _States:
    """The states of the prefix tree's phones, made from its ends upwards: what follows a state is there before it."""

    def __init__(self, senones: Any, root: _Phone, phones: list[_Phone]):
        self.senones, self.root, self.phones = senones, root, phones
        self.context = [int(name) for name in senones.contexts]  # class of each phone as a neighbour
        self.lengths = [int(length) for length in senones.lengths]
        self.silence = self.context[root.phone]
        self.following = sorted({self.silence, *(self.context[phone] for phone in root.below)})
        self.leaves = [(SILENCE, SILENCE, 0.0)]
        self.leaf_look = [0]
        # one entry for each state
        self.senone: list[int] = []
        self.children: list[tuple[int, ...]] = []
        self.look: list[int] = []
        self.leaf_range: list[tuple[int, int]] = []
        self.exit: list[int] = []
        # exits by (class of the word's last phone, classes of what follows)
        self.exits: dict[Any, int] = {}
        self._sequences: dict[tuple[int, int, int], tuple[int, ...]] = {}
        self._ends: dict[tuple[int, int], dict[tuple[int, ...], int]] = {}
        self._exit((self.silence, tuple(self.following)))  # START
        self._exit(None)  # AFTER_SILENCE
        self._grow()

    def _grow(self) -> None:
        before = {self.silence, *(self.context[phone.phone] for phone in self.phones if phone.leaves)}
        for phone in reversed(self.phones):
            leaves = len(self.leaves), len(self.leaves) + len(phone.leaves)
            self.leaves += phone.leaves
            self.leaf_look += [phone.look] * len(phone.leaves)
            made: dict[tuple, int] = {}  # states that do not depend on the word before are shared
            lefts = sorted(before) if phone.above is self.root else [self.context[phone.above.phone]]  # type: ignore[union-attr]
            for left in lefts:
                follow = self._follow(phone, left)
                exits = self._exits(phone.phone, left) if phone.leaves else {}
                phone.entries[left] = self._chains(follow, exits, phone.look, leaves, made)
        silence = tuple(self.senones.silence)
        self._chains({silence: []}, {silence: AFTER_SILENCE}, 0, (0, 1), {})

    def _follow(self, phone: _Phone, left: int) -> dict[tuple[int, ...], list[int]]:
        """The phone's sequences of senones -> first states of the phones that come next in the tree."""
        own = self.context[phone.phone]
        follow: dict[tuple[int, ...], list[int]] = {}
        for below in phone.below.values():
            sequence = self._sequence(phone.phone, left, self.context[below.phone])
            follow.setdefault(sequence, []).extend(below.entries[own])
        return follow

    def _exits(self, phone: int, left: int) -> dict[tuple[int, ...], int]:
        """The last phone's sequences of senones -> exit."""
        if (phone, left) not in self._ends:
            rights: dict[tuple[int, ...], list[int]] = {}
            for right in self.following:
                rights.setdefault(self._sequence(phone, left, right), []).append(right)
            own = self.context[phone]
            self._ends[phone, left] = {key: self._exit((own, tuple(found))) for key, found in rights.items()}
        return self._ends[phone, left]

    def _exit(self, key: Any) -> int:
        return self.exits.setdefault(key, len(self.exits))

    def _sequence(self, phone: int, left: int, right: int) -> tuple[int, ...]:
        """The senones of a phone between two context classes."""
        key = phone, left, right
        if key not in self._sequences:
            self._sequences[key] = tuple(self.senones.table[key][: self.lengths[phone]].tolist())
        return self._sequences[key]

    def _chains(self, follow, exits, look: int, leaves: tuple[int, int], made: dict[tuple, int]) -> list[int]:
        """Make a phone's states from last to first; returns those that it may begin with."""
        after = {sequence: follow.get(sequence, []) for sequence in [*follow, *exits]}
        while () not in after:
            before: dict[tuple[int, ...], list[int]] = {}
            for sequence, children in after.items():
                key = sequence[-1], tuple(children), exits.get(sequence, INSIDE)
                if key not in made:
                    made[key] = len(self.senone)
                    self.senone.append(key[0])
                    self.children.append(key[1])
                    self.exit.append(key[2])
                    self.look.append(look)
                    self.leaf_range.append(leaves if key[2] != INSIDE else (0, 0))
                before.setdefault(sequence[:-1], []).append(made[key])
            after = before
        return after[()]

    def _entries(self) -> tuple[list[int], list[tuple[tuple[int, ...], bool]]]:
        """For each exit its number among the different ones, and (states that begin words, may silence follow)."""
        everything = self.silence, tuple(self.following)
        numbers: list[int] = []
        different: dict[Any, int] = {}
        for key in self.exits:
            own, rights = key or everything
            begin = (phone for phone in self.root.below.values() if self.context[phone.phone] in rights)
            entries = tuple(state for phone in begin for state in phone.entries[own])
            content = entries, key is not None and self.silence in rights
            # a word that silence may not follow differs from silence: it cannot end the utterance
            numbers.append(different.setdefault((content, key is None), len(different)))
        return numbers, [content for content, _ in different]

    def flatten(self, look_parent: list[int]) -> Tree:
        """The arrays, with the states numbered breadth first: silence, what words begin with, what follows."""
        exit_of, exits = self._entries()
        silence = len(self.senone) - 1  # its first state was made last
        order = self._breadth_first([silence, *(state for entries, _ in exits for state in entries)])
        number = np.empty(len(self.senone), np.int32)
        number[order] = np.arange(len(order), dtype=np.int32)
        children = [self.children[state] for state in order]
        senone = np.array(self.senone, np.int32)[order]
        child, look = number[_joined(children)], np.array(self.look, np.int32)[order]
        entry = number[_joined([entries for entries, _ in exits])]
        leaf_range = np.array(self.leaf_range, np.int32)[order]
        return Tree(
            roots=len(self.root.below),
            senone=senone,
            self_loop=self.senones.self_loop[senone].astype(np.float32),
            forward=self.senones.forward[senone].astype(np.float32),
            child_begin=_starts(children),
            child=child,
            child_senone=senone[child],
            child_look=look[child],
            look=look,
            look_parent=np.array(look_parent, np.int32),
            leaf_begin=leaf_range[:, 0].copy(),
            leaf_end=leaf_range[:, 1].copy(),
            leaf_word=np.array([word for word, _, _ in self.leaves], np.int32),
            leaf_token=np.array([token for _, token, _ in self.leaves], np.int32),
            leaf_logprob=np.array([logprob for _, _, logprob in self.leaves], np.float32),
            leaf_look=np.array(self.leaf_look, np.int32),
            exit=np.array([*exit_of, INSIDE], np.int32)[np.array(self.exit)[order]],
            entry_begin=_starts([entries for entries, _ in exits]),
            entry=entry,
            entry_senone=senone[entry],
            entry_look=look[entry],
            initial=np.unique(senone[entry]),
            pause=np.array([pause for _, pause in exits]),
        )

    def _breadth_first(self, begin: list[int]) -> list[int]:
        order = list(dict.fromkeys(begin))
        seen = bytearray(len(self.senone))
        for state in order:
            seen[state] = True
        for state in order:
            for child in self.children[state]:
                if not seen[child]:
                    seen[child] = True
                    order.append(child)
        return order


def _starts(lists: list) -> np.ndarray:
    return np.cumsum([0, *map(len, lists)], dtype=np.int32)


def _joined(lists: Iterable) -> np.ndarray:
    return np.array([entry for entries in lists for entry in entries], np.int32)
