"""Look-ahead of the language model, compared with a plain search through all words."""

import numpy as np
import pytest

from asrdistill.decode.graph import SearchGraph, compile_graph
from asrdistill.decode.tree import SILENCE
from tests.decode.test_search import random_problem


def classes_above(graph: SearchGraph, look: int) -> list[int]:
    found = []
    while look >= 0:
        found.append(look)
        look = int(graph.tree.look_parent[look])
    return found


def plain(graph: SearchGraph) -> np.ndarray:
    """(H, A): the best ln P of a word's pronunciation ahead of a class, along the histories to back off to."""
    grammar, leaves = graph.grammar, graph.tree.leaf[graph.tree.leaf["token"] != SILENCE]
    table = np.full((len(grammar.backoff_state), len(graph.tree.look_parent)), -np.inf)
    for state, row in enumerate(table):
        weight, here = 0.0, state
        while True:
            for arc in range(grammar.arc_begin[here], grammar.arc_begin[here + 1]):
                value = weight + grammar.arc_logprob[arc]
                for leaf in leaves[leaves["token"] == grammar.arc_token[arc]]:
                    above = classes_above(graph, int(leaf["look"]))
                    row[above] = np.maximum(row[above], value + leaf["logprob"])
                if grammar.arc_token[arc] == grammar.end:
                    row[0] = max(row[0], value)
            if here == 0:
                break
            weight, here = weight + grammar.backoff_logprob[here], int(grammar.backoff_state[here])
    return table


def compiled(graph: SearchGraph) -> np.ndarray:
    """The same from the table: entries of a state, and what it backs off to."""
    look, grammar = graph.look, graph.grammar
    table = [look.base.astype(float)]
    for state in range(1, len(grammar.backoff_state)):
        row = grammar.backoff_logprob[state] + table[grammar.backoff_state[state]]
        entries = slice(look.begin[state], look.begin[state + 1])
        row[look.node[entries]] = np.maximum(row[look.node[entries]], look.value[entries])
        table.append(row)
    return np.array(table)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_lookahead_is_the_best_word_ahead(seed: int, order: int) -> None:
    lang, lm, senones, _ = random_problem(seed, order, contexts=bool(seed % 2))
    graph = compile_graph(lang, lm, senones)
    np.testing.assert_allclose(compiled(graph), plain(graph), atol=1e-5)
    assert (np.diff(graph.look.begin) >= 0).all()
