"""Lexicon prefix tree over phones, expanded into context-dependent HMM states, in flat arrays; see docs/internals.md.

A node is one HMM state. An exit is what a word's last phone leaves open to the next word. Look-ahead classes group
nodes from which the same pronunciations can be reached; class 0 is the root.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from asrdistill.errors import UserError, shorten
from asrdistill.lang.lexicon import POSITIONS, is_continuation, is_prefix

SILENCE = -1  # the word and the token of the leaf at the end of silence
START, AFTER_SILENCE = 0, 1  # exits: the beginning of the utterance; the end of silence
INSIDE = -1  # the exit of nodes where no word ends
GOES_ON, LEAVES_OPEN = 1, 2  # bits of a phone's kind: first of a continuation piece; last of a piece inside a word


def row(**fields: type) -> np.dtype:
    """A structured type of these fields, adjacent in memory."""
    return np.dtype(list(fields.items()), align=True)


INT, FLOAT, PLACE = np.int32, np.float32, np.uint32
# These types are also in core/core.h.
# An HMM state of the tree. look: its class; first: its children are child[first : first of the next node], in the
# order of their classes; exit: that of the words that end here, or INSIDE; these words are leaf[leaf_begin : leaf_end];
# stay: where the self loop leads to: the node itself, or the second state of a phone whose first lasts one frame
NODE = row(senone=PLACE, look=PLACE, first=PLACE, exit=INT, leaf_begin=INT, leaf_end=INT, stay=PLACE)
# A link to a node, with the node's senone and class
LINK = row(node=PLACE, senone=PLACE, look=PLACE)
# The end of a pronunciation. word: index into the words, or SILENCE; token: the word's in the language model, or
# SILENCE; logprob: of the pronunciation; look: look-ahead class
LEAF = row(word=INT, token=INT, logprob=FLOAT, look=INT)


class Tree(NamedTuple):
    """N nodes, L leaves (ends of pronunciations), E exits, A look-ahead classes, S senones. Logarithms are natural.

    The last six, which the search does not read, say how words can be added (:mod:`asrdistill.decode.extend`): R roots,
    C context classes of phones. A tree of CTC units has none of them.
    """

    roots: int  # classes 1 … roots are those of the phones that words begin with; node 0 begins silence
    node: np.ndarray  # (N + 1,) NODE; of the last only `first` counts
    child: np.ndarray  # LINK
    look_parent: np.ndarray  # (A,) int32: the class above; the root's is -1
    leaf: np.ndarray  # (L,) LEAF
    entry_begin: np.ndarray  # (E + 1,) int32: a word may begin with entry[entry_begin[e]] … after exit e
    entry: np.ndarray  # LINK
    initial: np.ndarray  # int32: the distinct first senones of words
    pause: np.ndarray  # (E,) bool: whether silence may follow
    self_loop: np.ndarray  # (S,) float32: log P(stay in a senone)
    forward: np.ndarray  # (S,) float32: log P(leave it)
    exit_left: np.ndarray  # (E,) int32: context class of the last phone before an exit
    right_begin: np.ndarray  # (E + 1,) int32: classes of the words that may follow are right[right_begin[e]] …
    right: np.ndarray  # int32; none inside of words
    root_class: np.ndarray  # (R,) int32: context class of each phone that words begin with, -1 if it continues a word
    root_begin: np.ndarray  # (R · C + 1,) int32: its first nodes after class c are root_node[root_begin[r · C + c]] …
    root_node: np.ndarray  # int32

    def silence_nodes(self) -> set[int]:
        """The nodes of silence."""
        found, waiting = set[int](), {0}
        while waiting:
            found.add(place := waiting.pop())
            children = self.child["node"][self.node["first"][place] : self.node["first"][place + 1]]
            waiting |= {*children.tolist(), int(self.node["stay"][place])} - found
        return found


def links(node: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """LINKs to nodes of (N + 1,) NODE by their numbers."""
    made = np.empty(len(targets), LINK)
    made["node"], made["senone"], made["look"] = targets, node["senone"][targets], node["look"][targets]
    return made


class _Phones(NamedTuple):
    """Prefix tree of Q phones with L leaves, breadth first; its root, number 0, is silence."""

    phone: np.ndarray  # (Q,) int64: index into the senones' phones
    kind: np.ndarray  # (Q,) int64
    above: np.ndarray  # (Q,) int64: the phone before, -1 for the root
    roots: int  # phones 1 … roots are those that words begin with
    look: np.ndarray  # (Q,) int32: look-ahead class
    look_parent: np.ndarray  # (A,) int32
    leaf_begin: np.ndarray  # (Q + 1,) int32: leaves of phone q are leaf_begin[q] … leaf_begin[q + 1] - 1
    leaf: np.ndarray  # (L,) LEAF


def build_tree(lang: Any, senones: Any, tokens: Mapping[str, int]) -> Tree:
    """Compile the pronunciations of the words that have a token in the language model.

    `lang` is a :class:`asrdistill.lang.lexicon.Lang`, `senones` the inventory with the phones' decision trees, `tokens`
    the language model's token of each word. Raises UserError for phones that the senone inventory lacks.
    """
    if missing := sorted({lang.silence, *lang.phones} - set(senones.phones)):
        raise UserError(f"the senone inventory lacks phones of the lexicon: {shorten(missing)}; train with this lang")
    phones = _prefix_tree(lang, senones.phones, tokens)
    return _spell_out(phones, _Forms(senones, phones), senones)


def _prefix_tree(lang: Any, names: list[str], tokens: Mapping[str, int]) -> _Phones:
    """Merge common prefixes of pronunciations, one phone at a time."""
    number = {phone: index for index, phone in enumerate(names)}
    entries = [
        (index, tokens[word], probability, sounds)
        for index, word in enumerate(lang.words)
        if word in tokens
        for probability, sounds in lang.pronunciations[word]
    ]
    sound = np.fromiter((number[phone] for *_, sounds in entries for phone in sounds), np.int64)
    length = np.fromiter((len(sounds) for *_, sounds in entries), np.int64)
    begin = np.cumsum(length) - length
    for bit, place, test in ((GOES_ON, begin, is_continuation), (LEAVES_OPEN, begin + length - 1, is_prefix)):
        sound[place] += bit * len(names) * np.array([test(lang.words[index]) for index, *_ in entries], np.int64)
    kinds = 4 * len(names)  # a phone and its kind in one number
    place = np.zeros(len(entries), np.int64)  # phone of the tree that each pronunciation has reached
    phone, above = [np.array([number[lang.silence]])], [np.array([-1])]
    depth, count, open_ones = 0, 1, np.arange(len(entries))
    while len(open_ones):
        key = place[open_ones] * kinds + sound[begin[open_ones] + depth]
        different, which = np.unique(key, return_inverse=True)
        above.append(different // kinds)
        phone.append(different % kinds)
        place[open_ones] = count + which.reshape(-1)
        depth, count = depth + 1, count + len(different)
        open_ones = open_ones[length[open_ones] > depth]
    order = np.argsort(place, kind="stable")
    leaf_begin = np.searchsorted(place[order], np.arange(1, count + 1)) + 1  # leaf 0 is silence's
    look, look_parent = _classes(above, np.append(0, leaf_begin))
    leaf = np.full(len(entries) + 1, SILENCE, LEAF)
    leaf["word"][1:], leaf["token"][1:], probability = (
        np.array(column)[order] for column in list(zip(*entries, strict=True))[:3]
    )
    leaf["logprob"] = np.append(0, np.log(probability))
    leaf["look"] = np.append(0, look[place[order]])
    kind, plain = np.divmod(np.concatenate(phone), len(names))
    return _Phones(
        phone=plain,
        kind=kind,
        above=np.concatenate(above),
        roots=len(phone[1]),
        look=look,
        look_parent=look_parent,
        leaf_begin=np.append(0, leaf_begin).astype(np.int32),
        leaf=leaf,
    )


def _classes(above: list[np.ndarray], leaf_begin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Look-ahead class of each phone, and the parent of each class; `above`: parents of the phones of each depth."""
    higher = np.concatenate(above)
    alone = np.bincount(higher[1:], minlength=len(higher)) == 1
    shares = alone & (np.diff(leaf_begin) == 0)  # with the one phone that follows
    shares[0] = False
    own = np.append(True, ~shares[higher[1:]])
    look = (np.cumsum(own) - 1).astype(np.int32)
    begin = 0
    for depth in above:
        place = slice(begin, begin := begin + len(depth))
        look[place] = np.where(own[place], look[place], look[depth])
    return look, np.append(-1, look[higher[1:]][own[1:]]).astype(np.int32)


class _Forms:
    """Distinct expansions of phones into HMM states, shared by all phones with the same one.

    A form depends on the phone and its kind, its left contexts, the context classes of the phones that follow in the
    tree, and on whether words may end with it. States are numbered within a form, first states first; what follows its
    last states is given by context class.
    """

    def __init__(self, senones: Any, phones: _Phones):
        self.senones = senones
        self.context = np.asarray(senones.contexts, np.int64)  # class of each phone as a neighbour
        self.silence = int(self.context[phones.phone[0]])
        self.classes = int(self.context.max()) + 1
        roots = np.arange(len(phones.phone)) <= phones.roots
        roots[0] = False
        ends = np.diff(phones.leaf_begin) > 0
        # on both sides of a word boundary, and with [True] of a boundary of pieces within a word
        self.before = self._neighbours(phones, ends, LEAVES_OPEN, ("_E", "_S"))
        self.following = self._neighbours(phones, roots, GOES_ON, ("_B", "_S"))
        # exits by (class of the word's last phone, classes that may follow, whether a piece ends within a word)
        self.exits: dict[Any, int] = {(self.silence, tuple(self.following[False]), False): START, None: AFTER_SILENCE}
        self._exits = cache(self._make_exits)
        self._sequence = cache(lambda *key: tuple(senones.table[key][: senones.lengths[key[0]]].tolist()))
        # of the states of all forms, one form after the other
        self.size: list[int] = []
        self.states: list[tuple[int, int, int]] = []  # (senone, exit, state that its self loop leads to)
        # (form, state, state after it, or ~class of what follows the form), (form, state that begins it)
        self.after: list[tuple[int, int, int]] = []
        self.first: list[tuple[int, int]] = []
        self.entries: list[dict[int, list[int]]] = []  # class to the left -> states that begin the form
        self.of_phone = self._make(phones)

    def _neighbours(
        self, phones: _Phones, chosen: np.ndarray, bit: int, places: tuple[str, str]
    ) -> dict[bool, list[int]]:
        """Context classes of phones at the end or begin of words, and with [True] of word pieces inside words.

        All phones that have such a place count for words, as words may be added. `chosen`: (Q,) bool.
        """
        names = self.senones.phones[1:]
        free = {name[-2:] for name in names} - {*POSITIONS}
        between = [k for k, name in enumerate(names, 1) if free or name[-2:] in places]
        inside = set(self.context[phones.phone[chosen & ((phones.kind & bit) > 0)]].tolist())
        words = {self.silence, *self.context[between].tolist()}
        return {False: sorted(words), True: sorted(inside or {self.silence})}

    def _make(self, phones: _Phones) -> np.ndarray:
        """Make the forms that occur; returns the form of each phone (Q,)."""
        follows = np.zeros((len(phones.phone), self.classes + 1), bool)
        inner = phones.above > 0
        follows[phones.above[inner], self.context[phones.phone[inner]]] = True
        follows[:, -1] = np.diff(phones.leaf_begin) > 0
        left = np.where(inner, self.context[phones.phone[phones.above]], -1)  # -1: any last phone of a word
        left[0] = -2  # silence between words and a word of silence have different forms
        numbers = np.stack([phones.phone, left, phones.kind], 1)
        asked = np.concatenate([numbers.view(np.uint8), np.packbits(follows, axis=1)], 1)
        rows = np.ascontiguousarray(asked).view(f"V{asked.shape[1]}").reshape(-1)
        _, example, form = np.unique(rows, return_index=True, return_inverse=True)
        for phone in example:
            if phone == 0:
                silence = tuple(self.senones.silence)
                self._add({self.silence: ({silence: []}, {silence: AFTER_SILENCE})})
                continue
            number, rights = int(phones.phone[phone]), np.flatnonzero(follows[phone, :-1]).tolist()
            begins_inside, ends_inside = (bool(phones.kind[phone] & bit) for bit in (GOES_ON, LEAVES_OPEN))
            lefts = [int(left[phone])] if left[phone] >= 0 else self.before[begins_inside]
            exits = {k: self._exits(number, k, ends_inside) if follows[phone, -1] else {} for k in lefts}
            self._add({k: (self._split(number, k, rights), exits[k]) for k in lefts})
        return form.reshape(-1)

    def _split(self, phone: int, left: int, rights: Iterable[int]) -> dict[tuple[int, ...], list[int]]:
        """Senone sequences of a phone -> their right context classes."""
        found: dict[tuple[int, ...], list[int]] = {}
        for right in rights:
            found.setdefault(self._sequence(phone, left, right), []).append(right)
        return found

    def _make_exits(self, phone: int, left: int, inside: bool) -> dict[tuple[int, ...], int]:
        """Senone sequences of the last phone of a word, or of a piece inside a word -> exit."""
        own, rights = int(self.context[phone]), self._split(phone, left, self.following[inside])
        keys = {sequence: (own, tuple(found), inside) for sequence, found in rights.items()}
        return {sequence: self.exits.setdefault(key, len(self.exits)) for sequence, key in keys.items()}

    def _add(self, contexts: dict[int, tuple[dict, dict]]) -> None:
        """Make a form from (sequences -> right classes, sequences -> exit) for each left context class."""
        made: dict[tuple, int] = {}  # states that do not depend on the left context are shared
        begins = {left: self._chains(follow, exits, made) for left, (follow, exits) in contexts.items()}
        form, end = len(self.size), len(made) - 1
        self.size.append(len(made))
        for state, (senone, after, exit, rest) in enumerate(reversed(made)):  # they were made from last to first
            self.states.append((senone, exit, state if rest < 0 else end - rest))
            self.after += [(form, state, end - k if k >= 0 else k) for k in after]
        self.entries.append({left: [end - k for k in states] for left, states in begins.items()})
        self.first += [(form, end - k) for k in dict.fromkeys(k for states in begins.values() for k in states)]

    def _chains(self, follow: dict, exits: dict, made: dict[tuple, int]) -> list[int]:
        """Make a phone's states from last to first; returns the first states.

        A state is (senone, successors, exit, state after it that may be left out or -1); ~k stands for the next phones
        of context class k.
        """
        after = {sequence: [~right for right in follow.get(sequence, [])] for sequence in [*follow, *exits]}
        while () not in after:
            before: dict[tuple[int, ...], list[int]] = {}
            for sequence, states in after.items():
                key = sequence[-1], tuple(states), exits.get(sequence, INSIDE), -1
                if len(sequence) == 2 and self.senones.subsampling > 1:
                    key = sequence[0], *key[1:3], made.setdefault(key, len(made))
                    before.setdefault((), []).append(made.setdefault(key, len(made)))
                    continue
                before.setdefault(sequence[:-1], []).append(made.setdefault(key, len(made)))
            after = before
        return after[()]


def _spell_out(phones: _Phones, forms: _Forms, senones: Any) -> Tree:
    """Arrays of the whole tree, with the form of each phone in its place."""
    form, size = forms.of_phone, np.array(forms.size)
    begin = _starts(size[form])[:-1].astype(np.int64)  # first node of each phone
    phone = np.repeat(np.arange(len(form)), size[form])  # of each node
    state = np.arange(len(phone)) - begin[phone] + _starts(size)[form][phone]
    source, child = _pairs(phones, forms, begin)
    after, table = _entries(phones, forms, begin), _root_table(phones, forms, begin)

    roots = slice(1, phones.roots + 1)
    nodes = np.zeros(len(phone) + 1, NODE)
    nodes["first"] = _starts(np.bincount(source, minlength=len(phone)))
    node = nodes[:-1]
    node["senone"], node["exit"], stay = np.array(forms.states, np.int32)[state].T
    node["stay"] = begin[phone] + stay
    node["look"] = phones.look[phone]
    ends = node["exit"] != INSIDE
    node["leaf_begin"] = np.where(ends, phones.leaf_begin[phone], 0)
    node["leaf_end"] = np.where(ends, phones.leaf_begin[phone + 1], 0)
    entry = links(nodes, _flat(firsts for firsts, *_ in after))
    return Tree(
        roots=phones.roots,
        node=nodes,
        child=links(nodes, child),
        look_parent=phones.look_parent,
        leaf=phones.leaf,
        entry_begin=_starts([len(firsts) for firsts, *_ in after]),
        entry=entry,
        initial=np.unique(entry["senone"]),
        pause=np.array([pause for _, pause, *_ in after]),
        self_loop=senones.self_loop.astype(FLOAT),
        forward=senones.forward.astype(FLOAT),
        exit_left=np.array([left for _, _, left, _ in after], np.int32),
        right_begin=_starts([len(rights) for *_, rights in after]),
        right=_flat(rights for *_, rights in after),
        root_class=np.where(phones.kind[roots] & GOES_ON, -1, forms.context[phones.phone[roots]]).astype(np.int32),
        root_begin=_starts([len(firsts) for firsts in table]),
        root_node=_flat(table),
    )


def _pairs(phones: _Phones, forms: _Forms, begin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and their children, sorted by both; `begin` (Q,) is the first node of each phone."""
    form, above = forms.of_phone, phones.above
    after, first = np.array(forms.after, np.int64).reshape(-1, 3), np.array(forms.first)
    inside, last = after[after[:, 2] >= 0], after[after[:, 2] < 0]
    # within phones
    of, which = _join(form, inside[:, 0])
    within = begin[of] + inside[which, 1], begin[of] + inside[which, 2]
    # from the last states of phones to the first states of their children
    wanting = last[:, 0] * forms.classes + ~last[:, 2]  # form and class of what follows
    order = np.argsort(wanting, kind="stable")
    below = np.arange(phones.roots + 1, len(form))
    wanted = form[above[below]] * forms.classes + forms.context[phones.phone[below]]
    of, which = _join(wanted, wanting[order])
    below = below[of]
    ends = begin[above[below]] + last[order[which], 1]
    of, which = _join(form[below], first[:, 0])
    across = ends[of], begin[below[of]] + first[which, 1]
    source, child = (np.concatenate(both) for both in zip(within, across, strict=True))
    nodes = int(child.max(initial=0)) + 1
    pair = np.sort(source * nodes + child)
    return pair // nodes, (pair % nodes).astype(np.int32)


def _entries(phones: _Phones, forms: _Forms, begin: np.ndarray) -> list[tuple[list[int], bool, int, tuple[int, ...]]]:
    """For each exit the first nodes of the next word, whether silence may follow, and classes left and right of it."""
    found: list[tuple[list[int], bool, int, tuple[int, ...]]] = []
    roots = range(1, phones.roots + 1)
    classes = forms.context[phones.phone[1 : phones.roots + 1]].tolist()
    begins_inside = ((phones.kind[1 : phones.roots + 1] & GOES_ON) > 0).tolist()
    for key in forms.exits:  # an exit without silence differs from the exit of silence: it cannot end the utterance
        own, rights, inside = key or (forms.silence, tuple(forms.following[False]), False)
        nodes = [
            int(begin[root]) + state
            for root, right, continues in zip(roots, classes, begins_inside, strict=True)
            if right in rights and continues == inside
            for state in forms.entries[forms.of_phone[root]][own]
        ]
        pause = key is not None and not inside and forms.silence in rights
        found.append((nodes, pause, own, () if inside else rights))
    return found


def _root_table(phones: _Phones, forms: _Forms, begin: np.ndarray) -> list[list[int]]:
    """The first nodes of each root after each context class."""
    return [
        [int(begin[root]) + state for state in forms.entries[forms.of_phone[root]].get(left, [])]
        for root in range(1, phones.roots + 1)
        for left in range(forms.classes)
    ]


def _flat(rows: Iterable[Iterable[int]]) -> np.ndarray:
    return np.array([value for row in rows for value in row], np.int32)


def _join(keys: np.ndarray, rising: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All pairs (i, j) with keys[i] == rising[j]."""
    begin, end = (np.searchsorted(rising, keys, side) for side in ("left", "right"))
    count = end - begin
    i = np.repeat(np.arange(len(keys)), count)
    return i, np.arange(len(i)) - (np.cumsum(count) - count)[i] + begin[i]


def _starts(lengths: Any) -> np.ndarray:
    return np.append(0, np.cumsum(lengths)).astype(np.int32)
