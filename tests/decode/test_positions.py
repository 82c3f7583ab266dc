"""Position-dependent phones."""

import numpy as np
import pytest

from asrdistill.decode.decoder import Decoder
from asrdistill.decode.options import DecodeOptions
from asrdistill.hmm.graph import GraphCompiler
from asrdistill.hmm.senones import Senones
from asrdistill.lang.lexicon import Lang
from asrdistill.lang.ngram import train
from tests.decode.reference import search as reference

WIDE = DecodeOptions(lm_weight=2.0, beam=1e4, word_end_beam=1e4, max_active=10**6)
LANG = Lang.build({"a": [(1.0, ("A",))], "ab": [(1.0, ("A", "B"))], "bab": [(1.0, ("B", "A", "B"))]}, ["A", "B"])


def scores(senones: Senones, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 3, (30, senones.count)).astype(np.float32)


def test_positions_with_shared_senones_change_nothing():
    lm = train(["a ab bab", "bab a", "ab ab"], LANG.words, 2)
    plain, placed = Senones.monophones(LANG), Senones.monophones(LANG.positioned())
    assert placed.count == plain.count
    for seed in range(5):
        one = Decoder(LANG, lm, plain, WIDE).decode(scores(plain, seed))
        other = Decoder(LANG.positioned(), lm, placed, WIDE).decode(scores(placed, seed))
        assert (one.words, one.score) == (other.words, pytest.approx(other.score))
    graphs = [GraphCompiler(LANG, plain)(["bab", "a"]), GraphCompiler(LANG.positioned(), placed)(["bab", "a"])]
    assert graphs[0].senone.tolist() == graphs[1].senone.tolist()


def test_trees_may_ask_for_the_position():
    lang = LANG.positioned()
    lm = train(["a ab bab", "bab a", "ab ab"], lang.words, 2)
    shared = Senones.monophones(lang)
    first = shared.states["A"][0]
    shared.states["A"][0] = {"centre": "A_B A_S", "yes": first, "no": {"left": "B_B", "yes": shared.count, "no": first}}
    senones = Senones(lang.phones, shared.states, np.full(shared.count + 1, np.log(0.6)))
    for seed in range(5):
        found = Decoder(lang, lm, senones, WIDE).decode(scores(senones, seed))
        score, words = reference(lang, lm, senones, WIDE, scores(senones, seed))
        assert (tuple(found.words), found.score) == (words, pytest.approx(score, rel=1e-5))
    graph = GraphCompiler(lang, senones)(["bab"])
    assert shared.count in graph.senone
