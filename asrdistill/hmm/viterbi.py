"""Exact Viterbi search of an utterance's graph: frames x states, without a beam.

How states were reached is kept for one block of frames; earlier blocks are searched again from the scores before them.
"""

from typing import NamedTuple

import numba
import numpy as np

from asrdistill.hmm.graph import UtteranceGraph
from asrdistill.hmm.senones import Senones

BLOCK = 1024  # frames


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
    blocks = (frames + BLOCK - 2) // BLOCK  # of the frames after the first
    choice = np.empty((min(frames, BLOCK), states), dtype=np.uint16)  # 0: stayed; k: came by the state's arc k - 1
    before = np.empty((blocks, states), dtype=np.float64)  # scores of the frame before each block
    score = np.empty(states, dtype=np.float64)
    for n in range(states):
        score[n] = entry[n] + loglikes[0, columns[n]]
    for b in range(blocks):
        before[b] = score
        _advance(score, choice, loglikes[1 + b * BLOCK : 1 + (b + 1) * BLOCK], columns, stay, come, first, source)
    n, total = 0, -np.inf
    for k in range(states):
        if score[k] + exit[k] > total:
            n, total = k, score[k] + exit[k]
    path = np.empty(frames, dtype=np.int32)
    path[frames - 1] = n
    for b in range(blocks - 1, -1, -1):
        block = loglikes[1 + b * BLOCK : 1 + (b + 1) * BLOCK]
        if b + 1 < blocks:  # the choices of the last block are still there
            _advance(before[b], choice, block, columns, stay, come, first, source)
        for t in range(len(block) - 1, -1, -1):
            if choice[t, n]:
                n = source[first[n] + choice[t, n] - 1]
            path[b * BLOCK + t] = n
    return total, path


@numba.njit(cache=True)
def _advance(score, choice, loglikes, columns, stay, come, first, source):
    """Take the scores (N,) over the next frames (T, S); `choice` (T, N) gets how each state was reached."""
    for t in range(len(loglikes)):
        for n in range(len(score) - 1, -1, -1):  # sources are lower, so they still hold the frame before
            best, taken = score[n] + stay[n], 0
            for a in range(first[n], first[n + 1]):
                other = score[source[a]] + come[a]
                if other > best:
                    best, taken = other, a - first[n] + 1
            score[n] = best + loglikes[t, columns[n]]
            choice[t, n] = taken


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
