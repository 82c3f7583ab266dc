"""Compile the tables of language model look-ahead and acoustic look-ahead; see docs/internals.md."""

import ctypes
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from asrdistill.core import FLOATS_OUT, HANDLE, INTS, LONGS, LONGS_OUT, SIZE, Kernel, copied, read
from asrdistill.decode.lm import Grammar
from asrdistill.decode.search import native_grammar
from asrdistill.decode.tree import AFTER_SILENCE, INSIDE, LEAF, SILENCE, Tree


class _Entries(ctypes.Structure):
    _fields_ = (("count", SIZE), ("room", SIZE), ("node", HANDLE), ("value", HANDLE))


_build = Kernel(
    *("core_look_build", ctypes.POINTER(_Entries), HANDLE, SIZE, INTS, LONGS, read(LEAF), LONGS_OUT, FLOATS_OUT)
)
_free = Kernel("core_entries_free", None, ctypes.POINTER(_Entries))


class LmLookahead(NamedTuple):
    """Best log-probability ahead for (state, look-ahead class); E entries of longer histories."""

    begin: np.ndarray  # (H + 1,) int64: entries of a state
    node: np.ndarray  # (E,) int32: look-ahead class, rising within a state
    value: np.ndarray  # (E,) float32
    base: np.ndarray  # (A,) float32: values of the empty history, for every class


def compile_lm_lookahead(tree: Tree, grammar: Grammar) -> LmLookahead:
    """Look-ahead tables of every state over the tree's classes; ``</s>`` counts as a word of the root."""
    end = np.array((SILENCE, grammar.end, 0, 0), LEAF)
    return _compile(tree, grammar, np.append(tree.leaf[tree.leaf["token"] != SILENCE], end))


def _compile(tree: Tree, grammar: Grammar, leaf: np.ndarray) -> LmLookahead:
    leaf = leaf[np.argsort(leaf["token"], kind="stable")]
    first = np.searchsorted(leaf["token"], np.arange(grammar.arc_begin[1] + 1))
    classes, states = len(tree.look_parent), len(grammar.backoff_state)
    begin, base = np.empty(states + 1, np.int64), np.empty(classes, np.float32)
    native = native_grammar(grammar)
    found = _build(ctypes.byref(native), classes, tree.look_parent, first, leaf, begin, base)
    if not found:
        raise MemoryError("the look-ahead of the language model needs more memory than there is; prune the model")
    entries = found.contents
    node = copied(entries.node, entries.count, np.int32)
    value = copied(entries.value, entries.count, np.float32)
    _free(found)
    return LmLookahead(begin, node, value, base)


class AddedLook(NamedTuple):
    """Look-ahead of added words with R roots and A classes; those of one token, <unk>, share its probability."""

    look: LmLookahead  # of the other words
    roots: int
    token: int
    unknown: np.ndarray  # (A,) float32: best log-probability ahead of words with the token, without the token's


NOTHING = LmLookahead(np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0, np.float32))
NO_WORDS = AddedLook(NOTHING, 0, 0, NOTHING.base)


def compile_added_look(tree: Tree, grammar: Grammar, token: int) -> AddedLook:
    """Look-ahead of a tree of added words."""
    unknown = np.full(len(tree.look_parent), -np.inf, np.float32)
    leaf = tree.leaf[tree.leaf["token"] != SILENCE]
    raise_look(unknown, tree.look_parent, leaf[leaf["token"] == token][["look", "logprob"]].tolist())
    rest = leaf[leaf["token"] != token]
    states = len(grammar.backoff_state)
    look = LmLookahead(np.zeros(states + 1, np.int64), *NOTHING[1:3], np.full_like(unknown, -np.inf))
    return AddedLook(_compile(tree, grammar, rest) if len(rest) else look, tree.roots, token, unknown)


def raise_look(values: np.ndarray, parent: np.ndarray, leaves: Iterable[tuple[int, float]]) -> None:
    """Raise the values of classes (A,) to those of leaves (class, value) ahead of them."""
    for look, value in leaves:
        while look >= 0 and values[look] < value:
            values[look], look = value, parent[look]


class Successors(NamedTuple):
    """Which senones may follow which, from the tree, and those that begin and end words."""

    begin: np.ndarray  # (S + 1,) int32: after senone s may come target[begin[s]] … target[begin[s + 1] - 1]
    target: np.ndarray  # int32: senones, self loops left out
    start: np.ndarray  # int32: senones that a word (or silence) begins with
    end: np.ndarray  # int32: senones that it ends with
    final: np.ndarray  # int32: senones that the utterance may end with
    once: np.ndarray  # int32: senones that last one frame, once for each of
    rest: np.ndarray  # int32: the senones that their self loops lead to


def compile_successors(tree: Tree, senones: int) -> Successors:
    """The pairs of neighbouring senones in the tree."""
    node = tree.node[:-1]
    source = np.repeat(node["senone"], np.diff(tree.node["first"])).astype(np.int64)
    before, after = np.divmod(np.unique(source * senones + tree.child["senone"]), senones)
    ends = node["exit"] != INSIDE
    second = node["senone"][node["stay"]]
    once, rest = np.divmod(np.unique(node["senone"].astype(np.int64) * senones + second), senones)
    final = ends & (tree.pause[node["exit"]] | (node["exit"] == AFTER_SILENCE))  # beyond the end stands silence
    return Successors(
        begin=np.searchsorted(before, np.arange(senones + 1)).astype(np.int32),
        target=after.astype(np.int32),
        start=np.append(tree.initial, node["senone"][0]),
        end=np.unique(node["senone"][ends]),
        final=np.unique(node["senone"][final]),
        once=once[once != rest].astype(np.int32),
        rest=rest[once != rest].astype(np.int32),
    )


def join_successors(one: Successors, other: Successors) -> Successors:
    """What one or the other allows."""
    senones = len(one.begin) - 1

    def pairs(firsts: Any, seconds: Any) -> list[np.ndarray]:
        both = [first.astype(np.int64) * senones + second for first, second in zip(firsts, seconds, strict=True)]
        return [part.astype(np.int32) for part in np.divmod(np.unique(np.concatenate(both)), senones)]

    begins = [np.repeat(np.arange(senones), np.diff(each.begin)) for each in (one, other)]
    before, target = pairs(begins, (one.target, other.target))
    once, rest = pairs((one.once, other.once), (one.rest, other.rest))
    others = {name: np.union1d(getattr(one, name), getattr(other, name)) for name in ("start", "end", "final")}
    begin = np.searchsorted(before, np.arange(senones + 1)).astype(np.int32)
    return Successors(begin=begin, target=target, once=once, rest=rest, **others)
