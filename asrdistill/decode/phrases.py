"""Phrases to favour: an automaton over words (Aho, Corasick 1975) that the search follows beside the language model.

A phrase of n words with weight w adds w / n with each of its words. What was added is taken back where the phrase is
not said to its end. So a sentence's weight is the sum over the phrases in it, each as often as it is said.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from asrdistill.core import pack
from asrdistill.decode.graph import SearchGraph
from asrdistill.decode.lookahead import raise_look
from asrdistill.decode.search import NativePhrases
from asrdistill.decode.tree import SILENCE


@dataclass(frozen=True)
class Phrases:
    """Q states of the automaton; state 0 is outside of all phrases."""

    arc_begin: np.ndarray  # (Q + 1,) int32
    arc_word: np.ndarray  # int32: index of a word, rising within a state
    arc_next: np.ndarray  # int32
    fail: np.ndarray  # (Q,) int32: the state of the longest end of these words that begins a phrase, below the state
    potential: np.ndarray  # (Q,) float64: added so far for phrases that are not complete
    earned: np.ndarray  # (Q,) float64: of the phrases that end here

    def native(self) -> NativePhrases:
        return pack(NativePhrases, states=len(self.fail), **vars(self))


def compile_phrases(phrases: Mapping[tuple[int, ...], float]) -> Phrases:
    """The automaton of phrases, each of one or more indices of words, with their weights."""
    following: list[dict[int, int]] = [{}]
    weights = {0: 0.0}
    prefixes = sorted({phrase[:n] for phrase in phrases for n in range(1, 1 + len(phrase))}, key=lambda p: (len(p), p))
    states: dict[tuple[int, ...], int] = {(): 0}
    for prefix in prefixes:  # breadth first, so that a state's `fail` is below it
        state = states[prefix] = len(states)
        following[states[prefix[:-1]]][prefix[-1]] = state
        following.append({})
        weights[state] = phrases.get(prefix, 0.0)
    fail, potential, earned = np.zeros(len(states), np.int32), np.zeros(len(states)), np.zeros(len(states))
    for prefix, state in list(states.items())[1:]:
        ends = (prefix[n:] for n in range(1, len(prefix) + 1))
        fail[state] = next(states[end] for end in ends if end in states)
        earned[state] = weights[state] + earned[fail[state]]
    for phrase, weight in phrases.items():
        for n in range(1, len(phrase)):
            state = states[phrase[:n]]
            potential[state] = max(potential[state], weight * n / len(phrase))
    for state in range(1, len(states)):
        potential[state] = max(potential[state], potential[fail[state]])
    arcs = [sorted(words.items()) for words in following]
    word, target = np.array([pair for words in arcs for pair in words], np.int32).reshape(-1, 2).T
    begin = np.cumsum([0, *map(len, arcs)], dtype=np.int32)
    return Phrases(begin, word.copy(), target.copy(), fail, potential, earned)


def favoured(graph: SearchGraph, phrases: Phrases) -> SearchGraph:
    """The graph whose look-aheads count what the first words of phrases add, after the empty history."""
    first = slice(phrases.arc_begin[0], phrases.arc_begin[1])
    after = phrases.arc_next[first]
    gain = np.zeros(len(graph.words))
    gain[phrases.arc_word[first]] = phrases.earned[after] + phrases.potential[after]
    leaf = graph.tree.leaf[graph.tree.leaf["word"] != SILENCE]
    leaf = leaf[gain[leaf["word"]] > 0]
    value = graph.grammar.arc_logprob[leaf["token"]] + leaf["logprob"] + gain[leaf["word"]]
    base = np.append(graph.look.base, graph.added.look.base)
    raise_look(base, graph.tree.look_parent, zip(leaf["look"].tolist(), value.tolist(), strict=True))
    one, other = np.split(base, [len(graph.look.base)])
    added = graph.added._replace(look=graph.added.look._replace(base=other))
    return replace(graph, look=graph.look._replace(base=one), added=added)
