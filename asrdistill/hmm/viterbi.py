"""Exact Viterbi search of an utterance's graph: frames x states, without a beam."""

from typing import NamedTuple

import numba
import numpy as np

from asrdistill.hmm.graph import UtteranceGraph
from asrdistill.hmm.senones import Senones


class Segment(NamedTuple):
    """Frames begin … end - 1 belong to `name`: index of a phone, or position of a word."""

    begin: int
    end: int
    name: int


def best_path(loglikes: np.ndarray, graph: UtteranceGraph, senones: Senones, columns: np.ndarray | None = None):
    """The most probable states: (log-probability, states (T,)), or (-inf, None) when there is no path.

    loglikes  (T, S) log-likelihoods, or log posteriors minus log priors
    columns   (N,) the column of `loglikes` for each state, where it holds some senones only

    There is no path if the utterance has fewer frames than states, or log-likelihoods that are not finite.
    """
    columns = graph.senone if columns is None else columns
    stay, leave = senones.self_loop[graph.senone], senones.forward[graph.senone]
    if len(loglikes) == 0:
        return -np.inf, None
    come = leave[graph.source]
    if (once := senones.once[graph.senone]).any():
        within = graph.unit[graph.source] == np.repeat(graph.unit, np.diff(graph.first))
        come, stay = np.where(within, stay[graph.source], come), np.where(once, -np.inf, stay)
    come = come + graph.weight
    score, path = _viterbi(loglikes, columns, stay, come, graph.first, graph.source, graph.entry, leave + graph.exit)
    return (score, path) if np.isfinite(score) else (-np.inf, None)


@numba.njit(cache=True)
def _viterbi(loglikes, columns, stay, come, first, source, entry, exit):
    frames, states = len(loglikes), len(columns)
    choice = np.empty((frames, states), dtype=np.uint16)  # 0: stayed; k: came by the state's arc k - 1
    score = np.empty(states, dtype=np.float64)
    for n in range(states):
        score[n], choice[0, n] = entry[n] + loglikes[0, columns[n]], 0
    for t in range(1, frames):
        for n in range(states - 1, -1, -1):  # sources are lower, so they still hold frame t - 1
            best, taken = score[n] + stay[n], 0
            for a in range(first[n], first[n + 1]):
                other = score[source[a]] + come[a]
                if other > best:
                    best, taken = other, a - first[n] + 1
            score[n] = best + loglikes[t, columns[n]]
            choice[t, n] = taken
    last, total = 0, -np.inf
    for n in range(states):
        if score[n] + exit[n] > total:
            last, total = n, score[n] + exit[n]
    path = np.empty(frames, dtype=np.int32)
    n = last
    for t in range(frames - 1, -1, -1):
        path[t] = n
        if choice[t, n]:
            n = source[first[n] + choice[t, n] - 1]
    return total, path


def phone_segments(path: np.ndarray, graph: UtteranceGraph) -> list[Segment]:
    """The phones on a path (T,), silences among them."""
    return _segments(graph.unit[path], graph.unit_phone)


def word_segments(path: np.ndarray, graph: UtteranceGraph) -> list[Segment]:
    """The words on a path (T,), without the silences."""
    words = graph.unit_word[graph.unit[path]]
    places = np.arange(words.max(initial=-1) + 1)
    return [segment for segment in _segments(words, np.append(places, -1)) if segment.name >= 0]


def _segments(runs: np.ndarray, names: np.ndarray) -> list[Segment]:
    """Runs of equal values; the value v is reported as names[v]."""
    begins = np.flatnonzero(np.append(True, np.diff(runs)))
    return segments(begins, names[runs[begins]], len(runs))


def segments(begins: np.ndarray, names: np.ndarray, frames: int) -> list[Segment]:
    """Adjacent segments, from the first frame and the name of each."""
    ends = [*begins[1:].tolist(), frames]
    return [Segment(*segment) for segment in zip(begins.tolist(), ends, names.tolist(), strict=True)]
