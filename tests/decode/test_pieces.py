"""Decoding with subwords: comparison with the reference, joined words, planted words."""

from dataclasses import replace

import numpy as np
import pytest

from asrdistill.decode.decoder import Decoder
from asrdistill.decode.options import DecodeOptions
from asrdistill.decode.words import Word, join
from asrdistill.hmm.senones import Senones
from asrdistill.lang.lexicon import LINK, Lang
from asrdistill.lang.ngram import train
from tests.decode.reference import search as reference
from tests.decode.test_search import WIDE, random_trees

UNITS = ["w", "v", f"a{LINK}", f"b{LINK}", f"{LINK}c{LINK}", f"{LINK}d", f"{LINK}e"]


def together(units) -> list[str]:
    """The words of units, as text is joined."""
    return " ".join(units).replace(f"{LINK} {LINK}", "").split()


def random_problem(seed: int, order: int, units: list[str]):
    rng = np.random.default_rng(seed)
    phones = [f"P{i}" for i in range(rng.integers(2, 5))]
    pronunciations = {}
    for unit in units:
        sounds = {tuple(map(str, rng.choice(phones, size=rng.integers(1, 4)))) for _ in range(rng.integers(1, 3))}
        pronunciations[unit] = [(float(rng.uniform(0.3, 1)), sound) for sound in sorted(sounds)]
    lang = replace(Lang.build(pronunciations, phones), silence_probability=float(rng.uniform(0.05, 0.95)))
    senones = random_trees(lang, rng)
    senones.self_loop = np.log(rng.uniform(0.2, 0.9, senones.count))
    sentences = [" ".join(rng.choice(units, size=rng.integers(1, 6))) for _ in range(12)]
    scores = rng.normal(0, 3, (rng.integers(12, 40), senones.count)).astype(np.float32)
    return lang, train(sentences, units, order), senones, scores


@pytest.mark.parametrize("seed", [*range(5), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(5, 30))])
def test_wide_beam_equals_the_reference(seed):
    lang, lm, senones, scores = random_problem(seed, 1 + seed % 3, UNITS)
    found = Decoder(lang, lm, senones, WIDE).decode(scores)
    score, units = reference(lang, lm, senones, WIDE, scores)
    assert not found.partial
    assert found.score == pytest.approx(score, rel=1e-5, abs=1e-3)
    assert found.words == together(units)


def test_reference_uses_pieces():
    units = [
        reference(*random_problem(seed, 1, UNITS)[:3], WIDE, random_problem(seed, 1, UNITS)[3]) for seed in range(6)
    ]
    assert sum(LINK in " ".join(words) for _, words in units) >= 3


@pytest.mark.parametrize("units", [["w", f"a{LINK}"], ["w", f"{LINK}d"], ["w", f"{LINK}c{LINK}"]])
def test_incomplete_pieces_are_not_recognised(units):
    for seed in range(5):
        lang, lm, senones, scores = random_problem(seed, 2, units)
        found = Decoder(lang, lm, senones, WIDE).decode(scores)
        score, words = reference(lang, lm, senones, WIDE, scores)
        assert set(found.words) == set(words) == {"w"}
        assert found.score == pytest.approx(score, rel=1e-5, abs=1e-3)


def test_lattices_of_pieces_hold_the_best_path():
    lang, lm, senones, scores = random_problem(3, 2, UNITS)
    found = Decoder(lang, lm, senones, replace(WIDE, lattice_beam=8.0)).decode(scores)
    score, words = found.lattice.best(WIDE.lm_weight, WIDE.insertion_penalty)
    assert score == pytest.approx(found.score)
    assert together(word.word for word in words) == found.words
    assert all(0 <= word.confidence <= 1 for word in found.times)


@pytest.mark.parametrize("seed", range(8))
def test_words_are_final_only_when_complete(seed):
    lang, lm, senones, scores = random_problem(seed, 2, UNITS)
    options = replace(WIDE, beam=12, word_end_beam=10)
    decoder, scores = Decoder(lang, lm, senones, options), np.concatenate([scores] * 8)
    whole, going = decoder.decode(scores), decoder.start()
    for begin in range(0, len(scores), 5):
        going.accept(scores[begin : begin + 5])
        going.partial_traceback()
        assert going.final == whole.times[: len(going.final)]
        assert not any(LINK in word.word for word in [*going.final, *going.partial])
    assert going.finish().times == whole.times


def test_joined_pieces_have_summed_scores():
    units = [Word("w", 0, 3, 1.0, 0.9), Word(f"a{LINK}", 4, 6, 2.0, 0.5), Word(f"{LINK}c{LINK}", 6, 8, 3.0, 0.4)]
    units += [Word(f"{LINK}d", 8, 9, 4.0, 0.7), Word("v", 9, 10, 5.0, 0.8)]
    assert join(units) == [Word("w", 0, 3, 1.0, 0.9), Word("acd", 4, 9, 9.0, 0.4), Word("v", 9, 10, 5.0, 0.8)]
    assert join([Word(f"a{LINK}", 0, 2, 1.0)]) == [Word("a", 0, 2, 1.0)]  # cut off inside a word
    assert join([]) == []


def test_a_word_that_no_lexicon_holds_is_spelled():
    """`cab` is unknown; scores that favour its phones plant it between known words."""
    pieces = {f"c{LINK}": "K", f"{LINK}a{LINK}": "AE", f"{LINK}b": "B", f"{LINK}t": "T", f"b{LINK}": "B"}
    spoken = {"cat": "K AE T", "bat": "B AE T", "at": "AE T", **pieces}
    lang = Lang.build({unit: [(1.0, tuple(phones.split()))] for unit, phones in spoken.items()}, ["AE", "B", "K", "T"])
    senones = Senones.monophones(lang)
    lm = train(["cat at bat", "bat at cat", f"at c{LINK} {LINK}a{LINK} {LINK}t at", f"b{LINK} {LINK}b"], lang.words, 2)
    path = [state for phone in ["AE", "T", "K", "AE", "B", "AE", "T"] for state in senones.states[phone]]
    scores = np.full((2 * len(path), senones.count), -6, np.float32)
    scores[np.arange(len(scores)), np.repeat(path, 2)] = 0
    options = DecodeOptions(lm_weight=1.0)
    assert Decoder(lang, lm, senones, options).decode(scores).words == ["at", "cab", "at"]
    closed = Lang.build({word: lang.pronunciations[word] for word in ("cat", "bat", "at")}, lang.phones[1:])
    assert "cab" not in Decoder(closed, lm, senones, options).decode(scores).words
