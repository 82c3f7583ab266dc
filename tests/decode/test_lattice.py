"""Lattices, compared with all word sequences on small random problems."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from asrdistill.decode.decoder import Decoder
from asrdistill.decode.lm import compile_grammar
from asrdistill.hmm.senones import Senones
from asrdistill.lang.lexicon import Lang
from asrdistill.lang.ngram import train
from tests.decode.reference import paths
from tests.decode.test_search import WIDE, random_problem

BEAM = 12.0


@dataclass
class WholeHistory:
    """An n-gram model that never forgets a word, so that different words are different histories."""

    lm: Any
    order = 100

    @property
    def vocabulary(self):
        return self.lm.vocabulary

    def logprob(self, word, history):
        return self.lm.logprob(word, history[max(0, len(history) - self.lm.order + 1) :])


def every_sequence(lang, lm, senones, options, scores):
    """(score, words) of everything that can be said in these frames, best first."""
    best: dict[tuple[str, ...], float] = {}
    for score, words in paths(lang, WholeHistory(lm), senones, options, scores):
        best[words] = max(score, best.get(words, -np.inf))
    return sorted(((score, words) for words, score in best.items()), reverse=True)


def lattice_of(seed, order, contexts, frames=None):
    """Few frames: with trees a word may have one state, and each sequence of words is scored."""
    frames = frames or (7 if contexts else 13)
    lang, lm, senones, scores = random_problem(seed, order, frames=frames, contexts=contexts)
    options = replace(WIDE, lattice_beam=BEAM)
    return lang, lm, senones, scores, Decoder(lang, lm, senones, options).decode(scores)


@pytest.mark.slow
@pytest.mark.parametrize("contexts", [False, True])
@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("seed", range(10))
def test_n_best_are_the_best_of_all_word_sequences(seed, order, contexts):
    lang, lm, senones, scores, found = lattice_of(500 * order + seed, order, contexts)
    expected = every_sequence(lang, lm, senones, WIDE, scores)
    within = [entry for entry in expected if entry[0] > expected[0][0] - BEAM * WIDE.lm_weight + 1e-3]
    n_best = found.lattice.n_best(WIDE.lm_weight, WIDE.insertion_penalty, len(within))
    assert len(n_best) == len(within)
    np.testing.assert_allclose([s for s, _ in n_best], [s for s, _ in within], rtol=1e-5, atol=2e-3)
    assert {tuple(words) for _, words in n_best} == {words for _, words in within}


@pytest.mark.parametrize("seed", range(6))
def test_best_path_is_the_hypothesis(seed):
    *_, found = lattice_of(seed, 3, contexts=True, frames=40)
    score, words = found.lattice.best(WIDE.lm_weight, WIDE.insertion_penalty)
    assert score == pytest.approx(found.score, abs=1e-3)
    assert [word[:3] for word in words] == [word[:3] for word in found.times]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_another_language_model_and_other_scales_need_no_search(seed):
    lang, lm, senones, scores, _ = lattice_of(40 + seed, 2, contexts=True)
    longer = train(["w0 w1 w0", "w1 w1 w0 w0", "w0 w0 w1"], lang.words, 3)
    other = replace(WIDE, lm_weight=2.5, insertion_penalty=0.3)
    expected = every_sequence(lang, longer, senones, other, scores)
    wide = Decoder(lang, lm, senones, replace(WIDE, lattice_beam=1e3)).decode(scores).lattice
    rescored = wide.rescored(compile_grammar(longer), longer.levels[0].number)
    n_best = rescored.n_best(other.lm_weight, other.insertion_penalty, 20)
    np.testing.assert_allclose([s for s, _ in n_best], [s for s, _ in expected[:20]], rtol=1e-5, atol=2e-3)
    assert n_best[0][1] == list(expected[0][1])


def test_posteriors_are_the_shares_of_all_paths():
    *_, found = lattice_of(3, 2, contexts=False)
    lattice = found.lattice
    posterior = np.exp(lattice.log_posteriors(2.0, -0.7))
    for node in range(1, len(lattice.time) - 1):  # what comes in goes out
        assert posterior[lattice.target == node].sum() == pytest.approx(posterior[lattice.source == node].sum())
    for cut in range(int(lattice.time.max())):  # one path of the whole crosses each frame
        crossing = (lattice.time[lattice.source] <= cut) & (lattice.time[lattice.target] > cut)
        assert posterior[crossing].sum() == pytest.approx(1)


def test_frames_ending_inside_a_word_have_a_lattice():
    lang, lm, senones, scores = random_problem(9, 2, frames=3)
    scores[:, senones.silence] = -1e3
    found = Decoder(lang, lm, senones, replace(WIDE, lattice_beam=BEAM)).decode(scores[:2])
    assert found.partial
    assert found.lattice.best(2.0, -0.7)[0] == pytest.approx(found.score, abs=1e-3)


def every_path(lattice, scores, node=0):
    """(score, arcs) of every path from a node to the last one."""
    if node == len(lattice.time) - 1:
        yield 0.0, ()
    for arc in np.flatnonzero(lattice.source == node):
        for score, arcs in every_path(lattice, scores, lattice.target[arc]):
            yield scores[arc] + score, (int(arc), *arcs)


def described(lattice, arcs):
    """Arcs by times, word and scores: the numbers of nodes depend on which are kept."""
    columns = (lattice.time[lattice.source], lattice.time[lattice.target], lattice.word)
    scores = (lattice.acoustic, lattice.lm, lattice.pronunciation)
    return Counter((*(int(c[arc]) for c in columns), *(round(float(c[arc]), 2) for c in scores)) for arc in arcs)


@pytest.mark.parametrize("contexts", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_lattice_beam_keeps_exactly_the_arcs_of_paths_within_it(seed, contexts):
    lang, lm, senones, scores, wide = lattice_of(200 + seed, 2, contexts, frames=10)
    whole, beam = wide.lattice, BEAM / 3
    through = np.full(len(whole.source), -np.inf)  # score of the best path over each arc
    for score, arcs in every_path(whole, whole.scores(WIDE.lm_weight, WIDE.insertion_penalty)):
        through[list(arcs)] = np.maximum(through[list(arcs)], score)
    kept = np.flatnonzero(through >= through.max() - beam * WIDE.lm_weight)
    narrow = Decoder(lang, lm, senones, replace(WIDE, lattice_beam=beam)).decode(scores).lattice
    assert 0 < len(kept) < len(whole.source)
    assert described(narrow, range(len(narrow.source))) == described(whole, kept)


def test_best_path_leaves_its_silence_between_the_words():
    lang = Lang.build({"ab": [(1.0, ("A", "B"))], "b": [(1.0, ("B",))]}, ["A", "B"])
    senones, lm = Senones.monophones(lang), train(["ab b", "b ab"], lang.words, 2)
    planted = [s for phone in ("SIL", "A", "B", "SIL", "B", "SIL") for s in senones.states[phone]]
    scores = np.full((len(planted), senones.count), -20.0, np.float32)
    scores[np.arange(len(planted)), planted] = 0.0
    lattice = Decoder(lang, lm, senones, replace(WIDE, lattice_beam=BEAM)).decode(scores).lattice
    score, words = lattice.best(WIDE.lm_weight, WIDE.insertion_penalty)
    assert [word[:3] for word in words] == [("ab", 5, 11), ("b", 16, 19)]
    arc_scores = lattice.scores(WIDE.lm_weight, WIDE.insertion_penalty)
    best, arcs = max(every_path(lattice, arc_scores))
    times = [(lattice.time[lattice.source[arc]], lattice.time[lattice.target[arc]]) for arc in arcs]
    silent = [arc for arc in arcs if lattice.word[arc] < 0]
    assert times == [(0, 5), (5, 11), (11, 16), (16, 19), (19, 24), (24, 24)]  # the last one is the way out
    assert [times[arcs.index(arc)] for arc in silent] == [(0, 5), (11, 16), (19, 24), (24, 24)]
    assert score == pytest.approx(best)
    assert score == pytest.approx(sum(word.score for word in words) + arc_scores[silent].sum())
