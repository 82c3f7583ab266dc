"""N-gram model in flat arrays.

A state is the longest history from which the model knows a continuation. What has no arc backs off to a shorter
history (Katz 1987). State 0 is the empty history and has an arc for every token, at the token's own place.
"""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from asrdistill.errors import UserError


class Grammar(NamedTuple):
    """H states and the arcs of all of them, M in number. Log-probabilities are natural."""

    start: int  # the state after <s>
    end: int  # the token </s>
    arc_begin: np.ndarray  # (H + 1,) int64
    arc_token: np.ndarray  # (M,) int32, rising within a state
    arc_logprob: np.ndarray  # (M,) float32
    arc_next: np.ndarray  # (M,) int32: the state that the arc leads to
    backoff_logprob: np.ndarray  # (H,) float32
    backoff_state: np.ndarray  # (H,) int32: the history without its first word


def compile_grammar(lm: Any) -> Grammar:
    """Flat arrays from an :class:`asrdistill.lang.ngram.NGram`; tokens are the numbers of its words.

    Histories without arcs and without a back-off weight are no states of their own: they continue
    in their longest suffix that is one. Raises UserError when ``<s>`` or ``</s>`` is missing.
    """
    levels, number = lm.levels, lm.levels[0].number
    if missing := sorted({"<s>", "</s>"} - number.keys()):
        raise UserError(f"the language model has no unigram for {' and '.join(missing)}; train it on sentences")
    states = _states(levels)
    suffixes = _suffixes(levels)
    arc_state = np.concatenate([state[level.history] for state, level in zip(states, levels, strict=False)])
    nexts = [_longest([*shorter, np.arange(len(shorter[0]))], states) for shorter in suffixes]
    backoffs = [_longest(shorter, states)[state >= 0] for shorter, state in zip(suffixes, states[1:], strict=False)]
    weights = [level.backoff[state >= 0] for level, state in zip(levels, states[1:], strict=False)]
    return Grammar(
        start=int(nexts[0][number["<s>"]]),
        end=number["</s>"],
        arc_begin=np.append(0, np.cumsum(np.bincount(arc_state, minlength=1 + sum(map(len, weights))))),
        arc_token=np.concatenate([level.last for level in levels]).astype(np.int32),
        arc_logprob=np.concatenate([level.logprob for level in levels]).astype(np.float32),
        arc_next=np.concatenate(nexts).astype(np.int32),
        backoff_logprob=np.concatenate([[0.0], *weights]).astype(np.float32),
        backoff_state=np.concatenate([np.zeros(1, np.int32), *backoffs]),
    )


def _states(levels: Sequence[Any]) -> list[np.ndarray]:
    """For the empty history and the n-grams of each length but the highest the state, -1 where it is none."""
    states, count = [np.zeros(1, np.int32)], 1
    for level, longer in itertools.pairwise(levels):
        is_state = level.backoff != 0
        is_state[longer.history] = True
        states.append(np.where(is_state, count + np.cumsum(is_state) - 1, -1).astype(np.int32))
        count += int(is_state.sum())
    return states


def _suffixes(levels: Sequence[Any]) -> list[list[np.ndarray]]:
    """For the n-grams of each length the numbers of their last 0, 1, … n - 1 words, -1 where these are no n-gram."""
    suffixes: list[list[np.ndarray]] = []
    for level in levels:
        histories = [place[level.history] for place in suffixes[-1]] if suffixes else []
        ends = [shorter.find(place, level.last) for shorter, place in zip(levels, histories, strict=False)]
        suffixes.append([np.zeros(len(level), np.int64), *ends])
    return suffixes


def _longest(suffixes: Sequence[np.ndarray], states: Sequence[np.ndarray]) -> np.ndarray:
    """(G,) int32: the state of the longest suffix that is one; the empty one always is."""
    found = np.zeros(len(suffixes[0]), np.int32)
    for place, state in zip(suffixes, states, strict=False):
        known = np.append(state, -1)[place]
        found = np.where(known >= 0, known, found)
    return found
