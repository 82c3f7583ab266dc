"""The n-gram model in flat arrays.

A language model state is a history that matters: the longest suffix of the words so far from which
the model knows a continuation. Its arcs (the n-grams that begin with it) are sorted by token; what
has no arc backs off to a shorter history, whose probability is multiplied by the back-off weight
(Katz 1987). State 0 is the empty history and has an arc for every token, at the token's own place.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from asrdistill.errors import UserError

NGrams = Mapping[tuple[str, ...], tuple[float, float]]  # words -> log-probability, log back-off weight


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


def levels_of(lm):
    """The n-grams of each order of an :class:`asrdistill.lang.ngram.NGram`, and a number for each of its words."""
    return lm.levels, {words[0]: number for number, words in enumerate(lm.levels[0])}


def compile_grammar(levels: Sequence[NGrams], tokens: Mapping[str, int]) -> Grammar:
    """Flat arrays from the n-grams of each order, unigrams first; `tokens` numbers the vocabulary.

    Histories without arcs and without a back-off weight are no states of their own: they continue
    in their longest suffix that is one. Raises UserError when ``<s>`` or ``</s>`` is missing.
    """
    if missing := sorted({"<s>", "</s>"} - tokens.keys()):
        raise UserError(f"the language model has no unigram for {' and '.join(missing)}; train it on sentences")
    states = _states(levels)
    arcs: list[list[tuple[int, float, int]]] = [[] for _ in states]
    for level in levels:
        for words, (logprob, _) in level.items():
            arcs[states[words[:-1]]].append((tokens[words[-1]], logprob, _longest_suffix(words, states)))
    flat = [arc for outgoing in arcs for arc in sorted(outgoing)]
    weights = {words: backoff for level in levels[:-1] for words, (_, backoff) in level.items()}
    return Grammar(
        start=_longest_suffix(("<s>",), states),
        end=tokens["</s>"],
        arc_begin=np.cumsum([0] + [len(outgoing) for outgoing in arcs], dtype=np.int64),
        arc_token=np.array([token for token, _, _ in flat], np.int32),
        arc_logprob=np.array([logprob for _, logprob, _ in flat], np.float32),
        arc_next=np.array([state for _, _, state in flat], np.int32),
        backoff_logprob=np.array([weights.get(words, 0.0) for words in states], np.float32),
        backoff_state=np.array([_longest_suffix(words[1:], states) for words in states], np.int32),
    )


def _states(levels: Sequence[NGrams]) -> dict[tuple[str, ...], int]:
    """History -> its state, shorter ones first."""
    histories = {words[:-1] for level in levels for words in level}
    histories |= {words for level in levels[:-1] for words, (_, backoff) in level.items() if backoff != 0}
    return {words: number for number, words in enumerate(sorted(histories, key=lambda words: (len(words), words)))}


def _longest_suffix(words: tuple[str, ...], states: Mapping[tuple[str, ...], int]) -> int:
    while words not in states:
        words = words[1:]
    return states[words]
