"""The tree of a CTC model's units (Graves, Fernández, Gomez, Schmidhuber 2006): blanks where they may and must stand.

Between two units of a word the blank is optional, between equal ones it is compulsory:

    A ─┬──────────► B          A ─► blank ─► A
       └► blank ─►─┘

So each unit within a word gets a blank before it. Before and after words the blank takes the place
of silence; words end in an exit that knows their last unit, with which no word may go on at once.
There are no transition probabilities. The search is the same as for HMM states.
"""

import numpy as np

from asrdistill.decode.tree import AFTER_SILENCE, INSIDE, START, Tree


def with_blanks(tree: Tree) -> Tree:
    """The tree, in which each unit is one node, with the blanks of the CTC topology.

    The search scores a path by the sum of its frames' scores, its words' and those of the language model.
    """
    nodes, links = len(tree.senone), len(tree.child)
    parent = np.repeat(np.arange(nodes), np.diff(tree.child_begin))
    blank = np.arange(nodes, nodes + links, dtype=np.int32)  # one before each child
    ways = np.stack([tree.child, blank], axis=1)
    open_ways = np.stack([tree.senone[tree.child] != tree.senone[parent], np.full(links, True)], axis=1)
    count = np.bincount(parent, open_ways.sum(1), minlength=nodes)
    child = np.concatenate([ways[open_ways], tree.child])
    senone = np.append(tree.senone, np.full(links, tree.senone[0]))
    look = np.append(tree.look, tree.look[tree.child])  # the words ahead of a blank are those of its child
    inside = np.zeros(links, np.int32)
    return _with_exits(
        tree._replace(
            senone=senone,
            self_loop=np.zeros(nodes + links, np.float32),
            forward=np.zeros(nodes + links, np.float32),
            child_begin=np.cumsum([0, *count, *np.ones(links)], dtype=np.int32),
            child=child,
            child_senone=senone[child],
            child_look=look[child],
            look=look,
            leaf_begin=np.append(tree.leaf_begin, inside),
            leaf_end=np.append(tree.leaf_end, inside),
            exit=np.append(tree.exit, inside + INSIDE),
        )
    )


def _with_exits(tree: Tree) -> Tree:
    """After a unit every word may come that does not begin with it; at the start and after a blank any."""
    words = (tree.exit != INSIDE) & (tree.exit != AFTER_SILENCE)
    last = np.unique(tree.senone[words])
    exit = tree.exit.copy()
    exit[words] = AFTER_SILENCE + 1 + np.searchsorted(last, tree.senone[words])
    first = tree.entry[tree.entry_begin[START] : tree.entry_begin[START + 1]]
    entries = [first, first, *(first[tree.senone[first] != unit] for unit in last)]
    entry = np.concatenate(entries)
    return tree._replace(
        exit=exit,
        entry_begin=np.cumsum([0, *map(len, entries)], dtype=np.int32),
        entry=entry,
        entry_senone=tree.senone[entry],
        entry_look=tree.look[entry],
        pause=np.arange(len(entries)) != AFTER_SILENCE,
    )
