"""Words added to a compiled search graph: a second lexicon tree beside the first, entered from the same exits.

The first tree is copied, not compiled again. Scores are those of a graph that was compiled with all words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from asrdistill.decode.ctc import with_blanks, with_exits
from asrdistill.decode.graph import SearchGraph
from asrdistill.decode.lm import Grammar
from asrdistill.decode.lookahead import compile_added_look, compile_successors, join_successors
from asrdistill.decode.tree import INSIDE, SILENCE, START, Tree, build_tree, links
from asrdistill.lang.lexicon import Lang, Pronunciation

UNKNOWN = "<unk>"
NEVER = -100.0  # ln P of what only begins sentences, as <s>
KEYS = ("exit_left", "right_begin", "right")  # of a tree, that name an exit


def extend(graph: SearchGraph, senones: Any, words: Mapping[str, Sequence[Pronunciation]]) -> SearchGraph:
    """The graph, to which nothing was added yet, with more words or more pronunciations of its words.

    Words that the language model lacks share the probability of its ``<unk>`` in equal parts; if it has none, each is
    as rare as its rarest word.
    Raises UserError for phones that the senones lack.
    """
    fresh = [word for word in words if word not in graph.number]
    number = {word: graph.number[word] for word in words if word in graph.number}
    number |= {word: index for index, word in enumerate(fresh, len(graph.words))}
    known, said = np.full(len(graph.words) + len(fresh), SILENCE), graph.tree.leaf[graph.tree.leaf["word"] != SILENCE]
    known[said["word"]] = said["token"]
    tokens = {word: int(known[number[word]]) for word in words if known[number[word]] != SILENCE}
    tokens |= {word: graph.unspoken[word] for word in words if word in graph.unspoken and word not in tokens}
    grammar, unspoken = graph.grammar, graph.unspoken
    shares = max(1, len(words) - len(tokens)) if UNKNOWN in unspoken else 1
    if len(tokens) < len(words) and UNKNOWN not in unspoken:
        grammar, unspoken = _with_unknown(grammar), {**unspoken, UNKNOWN: int(grammar.arc_begin[1])}
    spoken = {word: tokens.get(word, unspoken.get(UNKNOWN, SILENCE)) for word in words}
    phones = {phone for entries in words.values() for _, sounds in entries for phone in sounds}
    entries = {
        word: [(probability / (1 if word in tokens else shares), sounds) for probability, sounds in pronunciations]
        for word, pronunciations in words.items()
    }
    silence = senones.phones[0]
    lang = Lang([silence, *sorted(phones - {silence})], sorted(words), silence, entries)
    added = build_tree(lang, senones, spoken)
    added.leaf["word"][1:] = np.array([number[word] for word in lang.words])[added.leaf["word"][1:]]
    tree = _join(graph.tree, with_blanks(added) if senones.ctc else added, senones.ctc)
    successors = join_successors(graph.successors, compile_successors(added, senones.count))
    successors = successors._replace(start=np.union1d(tree.initial, tree.node["senone"][:1]).astype(np.int32))
    if senones.ctc:
        successors = compile_successors(tree, senones.count)
    look = compile_added_look(added, grammar, unspoken.get(UNKNOWN, 0))
    graph = replace(graph, words=[*graph.words, *fresh], unspoken=unspoken, folder=None, added=look)
    return replace(graph, tree=tree, grammar=grammar, successors=successors)


def _with_unknown(grammar: Grammar) -> Grammar:
    """The model with one more token, as probable as its rarest word and the end of every history."""
    place = int(grammar.arc_begin[1])
    unigrams = grammar.arc_logprob[:place]
    rarest = unigrams[unigrams > NEVER].min(initial=0.0)
    return grammar._replace(
        arc_begin=grammar.arc_begin + (np.arange(len(grammar.arc_begin)) > 0),
        arc_token=np.insert(grammar.arc_token, place, place),
        arc_logprob=np.insert(grammar.arc_logprob, place, rarest),
        arc_next=np.insert(grammar.arc_next, place, 0),
    )


def _keys(tree: Tree) -> list[tuple[int, tuple[int, ...], bool]]:
    """What tells exits apart: classes to the left, to the right, and whether silence may follow."""
    left, begin, right = (getattr(tree, name).tolist() for name in KEYS)
    ends = zip(left, begin, begin[1:], tree.pause.tolist(), strict=False)
    return [(own, tuple(right[first:last]), pause) for own, first, last, pause in ends]


def _join(one: Tree, other: Tree, ctc: bool) -> Tree:
    """Both trees in one: nodes, leaves and classes of the second follow those of the first."""
    nodes, leaves = len(one.node) - 1, len(one.leaf)
    node, leaf = np.concatenate([one.node[:-1], other.node]), np.concatenate([one.leaf, other.leaf])
    new = node[nodes:]
    new["first"] += len(one.child)
    new["look"] += len(one.look_parent)
    new["stay"] += nodes
    for name in ("leaf_begin", "leaf_end"):
        new[name] += leaves
    leaf["look"][leaves:] += len(one.look_parent)
    parent = np.append(one.look_parent, other.look_parent + len(one.look_parent))
    parent[len(one.look_parent)] = -1
    child = np.concatenate([one.child, other.child])
    child["node"][len(one.child) :] += nodes
    child["look"][len(one.child) :] += len(one.look_parent)
    made = one._replace(node=node, child=child, look_parent=parent, leaf=leaf)
    if ctc:
        first = [each.entry[slice(*each.entry_begin[START : START + 2])]["node"] for each in (one, other)]
        entry = links(node, np.concatenate([first[0], first[1] + nodes]))
        initial = np.union1d(one.initial, other.initial)
        return with_exits(made._replace(entry=entry, entry_begin=np.array([0, len(entry)], np.int32), initial=initial))
    keys = _keys(one)
    number = {key: index for index, key in enumerate(keys)}
    keys += [key for key in _keys(other) if key not in number]
    number = {key: index for index, key in enumerate(keys)}
    new["exit"] = np.append([number[key] for key in _keys(other)], INSIDE)[new["exit"]]
    first = np.split(one.entry["node"], one.entry_begin[1:-1])
    ways = [_after(one, 0, key) if k >= len(one.pause) else first[k] for k, key in enumerate(keys)]
    entries = [np.concatenate([way, _after(other, nodes, key)]) for way, key in zip(ways, keys, strict=True)]
    entry = links(node, np.concatenate(entries))
    return made._replace(
        entry=entry,
        initial=np.unique(entry["senone"]).astype(np.int32),
        entry_begin=np.cumsum([0, *map(len, entries)], dtype=np.int32),
        pause=np.array([pause for *_, pause in keys]),
        exit_left=np.array([left for left, *_ in keys], np.int32),
        right_begin=np.cumsum([0, *(len(rights) for _, rights, _ in keys)], dtype=np.int32),
        right=np.array([right for _, rights, _ in keys for right in rights], np.int32),
    )


def _after(tree: Tree, offset: int, key: tuple[int, tuple[int, ...], bool]) -> np.ndarray:
    """The first nodes of the tree's words after an exit."""
    left, rights, _ = key
    classes = (len(tree.root_begin) - 1) // max(1, len(tree.root_class))
    rows = np.flatnonzero(np.isin(tree.root_class, rights)) * classes + left
    nodes = [tree.root_node[tree.root_begin[row] : tree.root_begin[row + 1]] for row in rows.tolist()]
    return np.concatenate([*nodes, np.empty(0, np.int32)]).astype(np.uint32) + np.uint32(offset)
