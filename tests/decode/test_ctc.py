"""Decoding with CTC units, compared with all word sequences and alignments."""

from itertools import product

import numpy as np
import pytest

from asrdistill.decode.decoder import Decoder
from asrdistill.decode.options import DecodeOptions
from asrdistill.hmm.graph import GraphCompiler
from asrdistill.hmm.senones import Senones
from asrdistill.lang.lexicon import Lang
from asrdistill.lang.ngram import train
from tests.refusals import refused

# the reward for words makes them as many as the blanks allow
WIDE = DecodeOptions(lm_weight=2.0, insertion_penalty=2.0, beam=1e4, word_end_beam=1e4, max_active=10**6)
UNITS = ["a", "b", "<blk>", "c"]
SENONES = Senones.of_ctc(UNITS, "<blk>")


def random_problem(seed: int, order: int):
    """Words of few units, so that equal ones meet within and between words."""
    rng = np.random.default_rng(seed)
    words = [f"w{i}" for i in range(rng.integers(1, 4))]
    pronunciations = {}
    for word in words:
        spellings = {
            tuple(map(str, rng.choice(["a", "b", "c"], rng.integers(1, 4)))) for _ in range(rng.integers(1, 3))
        }
        pronunciations[word] = [(float(rng.uniform(0.3, 1)), spelling) for spelling in sorted(spellings)]
    sentences = [" ".join(rng.choice(words, size=rng.integers(1, 6))) for _ in range(8)]
    scores = rng.normal(0, 3, (rng.integers(1, 7), len(UNITS))).astype(np.float32)
    return Lang.build(pronunciations, ["a", "b", "c"]), train(sentences, words, order), scores


def best_alignment(units: list[int], blank: int, scores: np.ndarray) -> float:
    """Viterbi over the units with blanks around them (Graves et al. 2006), without any search space but this one."""
    states = [blank, *(s for unit in units for s in (unit, blank))]
    path = np.full(len(states), -np.inf)
    path[:2] = 0.0
    path = path + scores[0, states]
    for frame in scores[1:].astype(np.float64):
        skip = [-np.inf, -np.inf] + [
            path[s - 2] if states[s] != states[s - 2] else -np.inf for s in range(2, len(states))
        ]
        step = np.append(-np.inf, path[:-1])
        path = np.maximum(np.maximum(path, step), skip) + frame[states]
    return float(path[-2:].max())


def brute_force(lang, lm, scores: np.ndarray) -> tuple[float, tuple[str, ...]]:
    entries = [
        (word, probability, spelling) for word in lang.words for probability, spelling in lang.pronunciations[word]
    ]
    best = (-np.inf, ())
    for count in range(len(scores) + 1):
        for sequence in product(entries, repeat=count):
            units = [UNITS.index(unit) for _, _, spelling in sequence for unit in spelling]
            if len(units) > len(scores):
                continue
            score, history = best_alignment(units, UNITS.index("<blk>"), scores), ["<s>"]
            for word, probability, _ in sequence:
                score += WIDE.lm_weight * (lm.logprob(word, tuple(history)) + np.log(probability))
                history.append(word)
            score += WIDE.lm_weight * lm.logprob("</s>", tuple(history)) + WIDE.insertion_penalty * count
            best = max(best, (score, tuple(word for word, _, _ in sequence)))
    return best


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("seed", range(15))
def test_words_and_score_equal_those_of_all_sequences(seed, order):
    lang, lm, scores = random_problem(100 * order + seed, order)
    found = Decoder(lang, lm, SENONES, WIDE).decode(scores)
    score, words = brute_force(lang, lm, scores)
    assert not found.partial
    assert found.score == pytest.approx(score, rel=1e-5, abs=1e-3)
    assert tuple(found.words) == words


def test_equal_units_need_a_blank_between_them():
    lang = Lang.build({"aa": [(1.0, ("a", "a"))], "a": [(1.0, ("a",))]}, ["a"])
    lm = train(["aa a", "a aa", "a a"], lang.words, 2)
    decoder = Decoder(lang, lm, SENONES, WIDE)

    def heard(units: str) -> list[str]:
        scores = np.full((len(units), len(UNITS)), -30, np.float32)
        scores[np.arange(len(units)), [UNITS.index(unit if unit != "-" else "<blk>") for unit in units]] = 0
        return decoder.decode(scores).words

    assert heard("--aaaa--") == ["a"]
    assert heard("aa-a") in (["aa"], ["a", "a"])
    assert len("".join(heard("aa-a-a"))) == 3
    assert heard("---") == []


def test_inventory_is_read_again(tmp_path):
    SENONES.write(tmp_path)
    found = Senones.read(tmp_path)
    assert (found.ctc, found.hash, found.phones) == (True, SENONES.hash, ["SIL", "a", "b", "c"])
    assert Senones(found.phones, found.states, found.self_loop).hash != SENONES.hash


def test_missing_blank_and_doubled_units_are_refused():
    for units, name in ((["a", "b"], "<blk>"), (["a", "a", "<blk>"], "unit a"), (["SIL", "<blk>"], "SIL")):
        with refused(name):
            Senones.of_ctc(units, "<blk>")


def test_forced_alignment_with_ctc_units_is_refused():
    with refused("CTC", "HMM"):
        GraphCompiler(random_problem(0, 1)[0], SENONES)
