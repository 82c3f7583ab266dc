"""Adds the blanks of CTC topology (Graves, Fernández, Gomez, Schmidhuber 2006) to the lexicon tree."""

import numpy as np

from asrdistill.decode.tree import AFTER_SILENCE, INSIDE, NODE, START, Tree, links


def with_blanks(tree: Tree) -> Tree:
    """The tree, in which each unit is one node, with the blanks of the CTC topology.

    The search scores a path by the sum of its frames' scores, its words' and those of the language model.
    """
    nodes, count = tree.node[:-1], len(tree.child)
    parent = np.repeat(np.arange(len(nodes)), np.diff(tree.node["first"]))
    blank = np.arange(len(nodes), len(nodes) + count)  # one before each child
    ways = np.stack([tree.child["node"], blank], axis=1)
    open_ways = np.stack([tree.child["senone"] != nodes["senone"][parent], np.full(count, True)], axis=1)
    children = np.bincount(parent, open_ways.sum(1), minlength=len(nodes))
    grown = np.zeros(len(nodes) + count + 1, NODE)
    grown[: len(nodes)] = nodes
    grown["first"] = np.cumsum([0, *children, *np.ones(count)])
    blanks = grown[len(nodes) : -1]
    blanks["stay"] = blank
    blanks["senone"], blanks["exit"] = nodes["senone"][0], INSIDE
    blanks["look"] = tree.child["look"]  # the words ahead of a blank are those of its child
    child = links(grown, np.concatenate([ways[open_ways], tree.child["node"]]))
    free, none = np.zeros_like(tree.self_loop), np.empty(0, np.int32)
    tree = tree._replace(node=grown, child=child, self_loop=free, forward=free, root_class=none, root_begin=none)
    return with_exits(tree._replace(root_node=none, exit_left=none, right_begin=none, right=none))


def with_exits(tree: Tree) -> Tree:
    """After a unit every word may come that does not begin with it; at the start and after a blank any."""
    node = tree.node[:-1]
    words = (node["exit"] != INSIDE) & (node["exit"] != AFTER_SILENCE)
    last = np.unique(node["senone"][words])
    node["exit"][words] = AFTER_SILENCE + 1 + np.searchsorted(last, node["senone"][words])
    first = tree.entry[tree.entry_begin[START] : tree.entry_begin[START + 1]]
    entries = [first, first, *(first[first["senone"] != unit] for unit in last)]
    return tree._replace(
        entry_begin=np.cumsum([0, *map(len, entries)], dtype=np.int32),
        entry=np.concatenate(entries),
        pause=np.arange(len(entries)) != AFTER_SILENCE,
    )
