"""Compile the tables of language model look-ahead and acoustic look-ahead; see docs/internals.md."""

import ctypes
from typing import NamedTuple

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
    leaf = np.append(tree.leaf[tree.leaf["token"] != SILENCE], end)
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
