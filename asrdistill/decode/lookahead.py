"""What lies ahead of a token, in words and in sound: both guide the pruning and leave scores exact.

Words (Ortmanns, Ney, Eiden 1996): the probability of the best word that can still be reached from
a node of the tree, given the language model state. It is stored sparsely: the empty history has a
value for every look-ahead class, a longer history only where one of its own arcs beats backing off.

Sound: the score of the best sequence of senones to the end of the frames, of all sequences that the
pronunciations allow in any order of words (a simple model run backwards first, as in Austin,
Schwartz, Placeway 1991). A token whose next frames do not fit is dropped before it multiplies.
"""

from typing import NamedTuple

import numba
import numpy as np

from asrdistill.decode.lm import Grammar, find
from asrdistill.decode.tree import SILENCE, Tree


class LookAhead(NamedTuple):
    """Best log-probability ahead for (state, look-ahead class); E entries of longer histories."""

    begin: np.ndarray  # (H + 1,) int64: entries of a state
    node: np.ndarray  # (E,) int32: look-ahead class, rising within a state
    value: np.ndarray  # (E,) float32
    base: np.ndarray  # (A,) float32: values of the empty history, for every class


@numba.njit(cache=True)
def look_ahead(grammar, look, state, first, count, out):
    """out[k] = best log-probability ahead of class first + k after `state`, for k < count."""
    weight = 0.0
    out[:count] = -np.inf
    while state != 0:
        end = look.begin[state + 1]
        entry = find(look.node, look.begin[state], end, first)
        while entry < end and look.node[entry] < first + count:
            place = look.node[entry] - first
            out[place] = max(out[place], weight + look.value[entry])
            entry += 1
        weight += grammar.backoff_logprob[state]
        state = grammar.backoff_state[state]
    for k in range(count):
        out[k] = max(out[k], weight + look.base[first + k])


def compile_look_ahead(tree: Tree, grammar: Grammar) -> LookAhead:
    """Look-ahead tables of every state over the tree's classes; ``</s>`` counts as a word of the root."""
    leaf_look = np.repeat(tree.look, np.diff(tree.leaf_begin))
    spoken = tree.leaf_token != SILENCE
    token = np.append(tree.leaf_token[spoken], np.int32(grammar.end))
    leaf_look = np.append(leaf_look[spoken], np.int32(0))
    logprob = np.append(tree.leaf_logprob[spoken], np.float32(0))
    order = np.argsort(token, kind="stable")
    begin = np.searchsorted(token[order], np.arange(len(grammar.arc_token[: grammar.arc_begin[1]]) + 1))
    return LookAhead(*_fill(grammar, tree.look_parent, begin, leaf_look[order], logprob[order]))


@numba.njit(cache=True)
def _fill(grammar, parent, leaf_begin, leaf_look, leaf_logprob):
    """Spread each arc's probability from the leaves of its token towards the root, keeping the best."""
    classes, states = len(parent), len(grammar.backoff_state)
    base = np.full(classes, -np.inf, np.float32)
    for token in range(grammar.arc_begin[1]):
        for leaf in range(leaf_begin[token], leaf_begin[token + 1]):
            value, node = grammar.arc_logprob[token] + leaf_logprob[leaf], leaf_look[leaf]
            while node >= 0 and base[node] < value:
                base[node] = value
                node = parent[node]
    best = np.full(classes, -np.inf, np.float32)
    touched = np.empty(classes, np.int32)
    begin = np.zeros(states + 1, np.int64)
    nodes, values = np.empty(1024, np.int32), np.empty(1024, np.float32)
    look = LookAhead(begin, nodes, values, base)
    backed_off = np.empty(1, np.float32)
    for state in range(1, states):  # shorter histories first, so the one to back off to is ready
        count = 0
        for arc in range(grammar.arc_begin[state], grammar.arc_begin[state + 1]):
            token = grammar.arc_token[arc]
            for leaf in range(leaf_begin[token], leaf_begin[token + 1]):
                value, node = grammar.arc_logprob[arc] + leaf_logprob[leaf], leaf_look[leaf]
                while node >= 0 and best[node] < value:
                    if best[node] == -np.inf:
                        touched[count] = node
                        count += 1
                    best[node] = value
                    node = parent[node]
        end = begin[state]
        if end + count > len(nodes):
            nodes = np.append(nodes, np.empty(len(nodes) + count, np.int32))
            values = np.append(values, np.empty(len(values) + count, np.float32))
            look = LookAhead(begin, nodes, values, base)
        touched[:count].sort()
        for node in touched[:count]:
            look_ahead(grammar, look, grammar.backoff_state[state], node, 1, backed_off)
            if best[node] > grammar.backoff_logprob[state] + backed_off[0]:
                nodes[end], values[end] = node, best[node]
                end += 1
            best[node] = -np.inf
        begin[state + 1] = end
    return begin, nodes[: begin[states]].copy(), values[: begin[states]].copy(), base


class Successors(NamedTuple):
    """Which senones may follow which, from the tree: P pairs, and those that begin and end words."""

    source: np.ndarray  # (P,) int32
    target: np.ndarray  # (P,) int32
    start: np.ndarray  # int32: senones that a word (or silence) begins with
    end: np.ndarray  # int32: senones that it ends with
    self_loop: np.ndarray  # (S,) float32
    forward: np.ndarray  # (S,) float32


def compile_successors(tree: Tree, senones: int) -> Successors:
    """The pairs of neighbouring senones in the tree, self loops left out."""
    children = np.diff(tree.child_begin)
    source, target = np.repeat(tree.senone, children), tree.senone[tree.roots :]
    pairs = np.unique(np.stack([source, target]), axis=1)
    self_loop, forward = np.full(senones, -np.inf, np.float32), np.full(senones, -np.inf, np.float32)
    self_loop[tree.senone], forward[tree.senone] = tree.self_loop, tree.forward
    ends = tree.senone[np.diff(tree.leaf_begin) > 0]
    return Successors(pairs[0], pairs[1], np.unique(tree.senone[: tree.roots]), np.unique(ends), self_loop, forward)


@numba.njit(cache=True)
def outlook(successors, loglikes):
    """Look-ahead in sound for loglikes (T, S): (T, S) after being in a senone, (T,) after the end of a word.

    Both float32, relative to the frame's best senone.
    """
    frames, senones = loglikes.shape
    ahead, between = np.zeros((frames, senones), np.float32), np.zeros(frames, np.float32)
    best = np.empty(senones)
    for t in range(frames - 2, -1, -1):
        word = -np.inf
        for s in successors.start:
            word = max(word, loglikes[t + 1, s] + ahead[t + 1, s])
        for s in range(senones):
            best[s] = -np.inf
        for s in successors.end:
            best[s] = word
        for k in range(len(successors.source)):
            s, following = successors.source[k], successors.target[k]
            best[s] = max(best[s], loglikes[t + 1, following] + ahead[t + 1, following])
        top = -np.inf
        for s in range(senones):
            stay = successors.self_loop[s] + loglikes[t + 1, s] + ahead[t + 1, s]
            best[s] = max(stay, successors.forward[s] + best[s])
            top = max(top, best[s])
        for s in range(senones):
            ahead[t, s] = best[s] - top
        between[t] = word - top
    return ahead, between
