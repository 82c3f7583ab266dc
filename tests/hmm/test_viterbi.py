import itertools

import numpy as np
import pytest

from asrdistill.hmm.graph import GraphCompiler, UtteranceGraph
from asrdistill.hmm.senones import Senones
from asrdistill.hmm.viterbi import BLOCK, Segment, best_path, phone_segments, word_segments


def random_graph(rng, states=4):
    """Any left-to-right graph: some arcs forward, any state may begin or end an utterance."""
    arcs = [[m for m in range(n) if rng.random() < 0.6] for n in range(states)]
    first = np.concatenate([[0], np.cumsum([len(a) for a in arcs])]).astype(np.int32)
    source = np.array([m for a in arcs for m in a], dtype=np.int32)
    entry, exit = (np.where(rng.random(states) < 0.5, -rng.random(states), -np.inf) for _ in range(2))
    entry[0] = exit[-1] = -0.1
    weight = -rng.random(len(source)).astype(np.float32)
    unit = np.zeros(states, dtype=np.int32)
    senone = rng.permutation(states).astype(np.int32)  # all different, so that no two paths are equal
    return UtteranceGraph(senone, unit, unit[:1], unit[:1], first, source, weight, entry, exit)


def obvious_best_path(loglikes, graph, self_loop, forward):
    """Score of every sequence of states, one by one."""
    arcs = {(n, n): self_loop[graph.senone[n]] for n in range(len(graph.senone))}
    for n in range(len(graph.senone)):
        for a in range(graph.first[n], graph.first[n + 1]):
            m = graph.source[a]
            arcs[m, n] = forward[graph.senone[m]] + graph.weight[a]
    best = (-np.inf, None)
    for path in itertools.product(range(len(graph.senone)), repeat=len(loglikes)):
        score = graph.entry[path[0]] + graph.exit[path[-1]] + forward[graph.senone[path[-1]]]
        score += sum(arcs.get(pair, -np.inf) for pair in itertools.pairwise(path))
        score += sum(loglikes[t, graph.senone[n]] for t, n in enumerate(path))
        best = max(best, (score, path), key=lambda pair: pair[0])
    return best


@pytest.mark.parametrize("seed", range(20))
def test_best_path_equals_exhaustive_search(seed):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    senones = Senones(["x"], {"x": [0, 1, 2, 3]}, np.log(rng.uniform(0.1, 0.9, 4)))
    loglikes = rng.standard_normal((5, 4)).astype(np.float32)
    score, path = best_path(loglikes, graph, senones)
    expected, states = obvious_best_path(loglikes, graph, senones.self_loop, senones.forward)
    assert score == pytest.approx(expected, abs=1e-5)
    assert tuple(path) == states
    reduced, places = graph.senones()
    again, same = best_path(loglikes[:, reduced], graph, senones, places)
    assert again == score
    np.testing.assert_array_equal(same, path)


def planted(senones, phones, frames):
    """Log-likelihoods that favour these phones, with `frames` frames in each state."""
    path = [s for phone in phones for s in senones.states[phone] for _ in range(frames)]
    return np.where(np.arange(senones.count) == np.array(path)[:, None], 0, -10).astype(np.float32)


@pytest.mark.parametrize(
    ("phones", "expected"),
    [(["A", "D"], [(0, 6, "A"), (6, 12, "D")]), (["B", "C", "D"], [(0, 6, "B"), (6, 12, "C"), (12, 18, "D")])],
)
def test_spoken_pronunciation_is_chosen(lang, phones, expected):
    senones = Senones.monophones(lang)
    graph = GraphCompiler(lang, senones)(["either"])
    _, path = best_path(planted(senones, phones, 2), graph, senones)
    assert phone_segments(path, graph) == [Segment(b, e, lang.phones.index(p)) for b, e, p in expected]
    assert word_segments(path, graph) == [Segment(0, expected[-1][1], 0)]


def test_silence_between_words_is_found_where_it_is_and_only_there(lang):
    senones = Senones.monophones(lang)
    graph = GraphCompiler(lang, senones)(["ab", "ab", "dad"])
    phones = ["SIL", "A", "B", "SIL", "A", "B", "D", "A", "D"]
    _, path = best_path(planted(senones, phones, 3), graph, senones)
    assert [lang.phones[segment.name] for segment in phone_segments(path, graph)] == phones
    assert word_segments(path, graph) == [Segment(15, 33, 0), Segment(48, 66, 1), Segment(66, 93, 2)]


@pytest.mark.parametrize(("frames", "aligns"), [(0, False), (8, False), (9, True)])
def test_no_path_in_fewer_frames_than_states(lang, frames, aligns):
    senones = Senones.monophones(lang)
    graph = GraphCompiler(lang, senones)(["cab"])
    score, path = best_path(np.zeros((frames, senones.count), np.float32), graph, senones)
    assert (path is not None) == aligns
    assert np.isfinite(score) == aligns


def test_no_path_through_nan_scores(lang):
    senones = Senones.monophones(lang)
    loglikes = np.full((20, senones.count), np.nan, np.float32)
    assert best_path(loglikes, GraphCompiler(lang, senones)(["cab"]), senones)[1] is None


def test_long_utterances_are_searched_in_blocks_with_the_same_path():
    """Three blocks of frames, against a dense search that keeps all of them."""
    rng, frames = np.random.default_rng(0), 2 * BLOCK + 100
    graph = random_graph(rng, 6)
    senones = Senones(["x"], {"x": list(range(6))}, np.log(rng.uniform(0.1, 0.9, 6)))
    loglikes = rng.standard_normal((frames, 6)).astype(np.float32)
    moves = np.full((6, 6), -np.inf)
    np.fill_diagonal(moves, senones.self_loop[graph.senone])
    for n in range(6):
        for a in range(graph.first[n], graph.first[n + 1]):
            moves[graph.source[a], n] = senones.forward[graph.senone[graph.source[a]]] + graph.weight[a]
    score, back = graph.entry + loglikes[0, graph.senone], np.zeros((frames, 6), int)
    for t in range(1, frames):
        back[t] = (score[:, None] + moves).argmax(axis=0)
        score = (score[:, None] + moves).max(axis=0) + loglikes[t, graph.senone]
    score = score + senones.forward[graph.senone] + graph.exit
    expected = [int(score.argmax())]
    for t in range(frames - 1, 0, -1):
        expected.append(int(back[t, expected[-1]]))
    found, path = best_path(loglikes, graph, senones)
    assert found == pytest.approx(score.max(), abs=0.05)
    assert path.tolist() == expected[::-1]
