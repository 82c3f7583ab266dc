"""Words added to a compiled graph: the words and scores of a graph that was compiled with them."""

from dataclasses import replace

import numpy as np
import pytest

from asrdistill.decode.bounds import check_bounds
from asrdistill.decode.decoder import Decoder
from asrdistill.decode.extend import extend
from asrdistill.decode.graph import PARTS, SearchGraph, compile_graph
from asrdistill.hmm.senones import Senones
from asrdistill.lang.lexicon import Lang
from asrdistill.lang.ngram import read_arpa, train
from tests.decode.reference import search as reference
from tests.decode.test_search import WIDE, low_frame_rate, random_problem
from tests.refusals import refused


def without(lang: Lang, dropped: set[str]) -> Lang:
    """The lexicon without some words; the phones stay."""
    kept = {word: entries for word, entries in lang.pronunciations.items() if word not in dropped}
    return replace(lang, words=sorted(kept), pronunciations=kept)


def problem(seed: int, kind: str):
    """(lang, words that are added, language model of some words and <unk>, senones, scores)."""
    lang, _, senones, _ = random_problem(seed, 2, contexts=kind == "contexts")
    rng = np.random.default_rng(seed)
    if kind == "low rate":
        senones = low_frame_rate(lang, rng, 1 + seed % 2)
    if kind == "ctc":
        senones = Senones.of_ctc(lang.phones, lang.phones[0])
    dropped = set(rng.choice(lang.words, size=rng.integers(1, len(lang.words)), replace=False).tolist())
    spoken = sorted(set(lang.words) - dropped) + sorted(dropped)[:1]  # one that the model knows
    lm = train([" ".join(rng.choice([*spoken, "other"], size=rng.integers(1, 6))) for _ in range(12)], spoken, 2)
    scores = rng.normal(0, 3, (int(rng.integers(8, 40)), senones.count)).astype(np.float32)
    return lang, dropped, lm, senones, scores


def extended(lang, dropped, lm, senones) -> SearchGraph:
    shares = max(1, len(dropped - lm.levels[0].number.keys()))  # of <unk>, if there is one
    times = {
        word: shares if "<unk>" in lm.levels[0].number and word not in lm.levels[0].number else 1 for word in dropped
    }
    added = {w: [(times[w] * p, sounds) for p, sounds in lang.pronunciations[w]] for w in sorted(dropped)}
    return extend(compile_graph(without(lang, dropped), lm, senones), senones, added)


@pytest.mark.parametrize("kind", ["plain", "contexts", "low rate", "ctc"])
@pytest.mark.parametrize("seed", range(12))
def test_added_words_are_found_as_if_compiled_with_the_others(seed, kind):
    lang, dropped, lm, senones, scores = problem(seed, kind)
    graph = extended(lang, dropped, lm, senones)
    look = graph.look._replace(base=np.append(graph.look.base, graph.added.unknown))  # a value for each class
    check_bounds({part: getattr(graph, part) for part in PARTS} | {"look": look}, len(graph.words), senones.count)
    for options in (WIDE, replace(WIDE, lattice_beam=6.0)):
        found = Decoder.of(graph, options).decode(scores)
        whole = Decoder(lang, lm, senones, options).decode(scores)
        assert found.words == whole.words
        assert found.score == pytest.approx(whole.score, rel=1e-6, abs=1e-4)
        assert [word[1:3] for word in found.times] == [word[1:3] for word in whole.times]
    assert len(found.lattice.source) == len(whole.lattice.source)
    if kind != "ctc":
        assert found.score == pytest.approx(reference(lang, lm, senones, WIDE, scores)[0], rel=1e-5, abs=1e-3)


@pytest.mark.parametrize("seed", range(6))
def test_words_of_the_graph_keep_their_scores(seed):
    """Added words that nothing sounds like change nothing."""
    lang, dropped, lm, senones, scores = problem(seed, "contexts")
    graph = compile_graph(without(lang, dropped), lm, senones)
    added = {word: [(1e-300, sounds) for _, sounds in lang.pronunciations[word]] for word in sorted(dropped)}
    found = Decoder.of(extend(graph, senones, added), WIDE).decode(scores)
    plain = Decoder.of(graph, WIDE).decode(scores)
    assert (found.words, found.score) == (plain.words, pytest.approx(plain.score, abs=1e-4))


def test_more_pronunciations_of_a_known_word():
    lang, lm, senones, scores = random_problem(5, 2)
    word = next(word for word in lang.words if len(lang.pronunciations[word]) == 2)
    first, second = ([entry] for entry in lang.pronunciations[word])
    fewer = replace(lang, pronunciations={**lang.pronunciations, word: first})
    graph = extend(compile_graph(fewer, lm, senones), senones, {word: second})
    found, whole = Decoder.of(graph, WIDE).decode(scores), Decoder(lang, lm, senones, WIDE).decode(scores)
    assert graph.words == lang.words
    assert (found.words, found.score) == (whole.words, pytest.approx(whole.score, abs=1e-4))


def write_arpa(unigrams: list[str], path):
    path.write_text("\n".join(["\\data\\", f"ngram 1={len(unigrams)}", "", "\\1-grams:", *unigrams, "", "\\end\\", ""]))
    return path


def test_without_unk_an_added_word_is_as_rare_as_the_rarest(tmp_path):
    lang = Lang.build({"a": [(1.0, ("A",))], "b": [(1.0, ("B",))], "c": [(1.0, ("C",))]}, ["A", "B", "C"])
    senones = Senones.monophones(lang)
    lm = read_arpa(write_arpa(["-99 <s> 0", "-0.2 a 0", "-0.9 b 0", "-0.6 </s>"], tmp_path / "lm.arpa"))
    graph = extended(lang, {"c"}, lm, senones)
    scores = np.full((9, senones.count), -20, np.float32)
    scores[np.arange(9), [*senones.states["C"], *senones.states["A"], *senones.states["C"]]] = 0
    found = Decoder.of(graph, replace(WIDE, insertion_penalty=0.0)).decode(scores)
    assert found.words == ["c", "a", "c"]
    lm_score = np.log(10) * (-0.9 - 0.2 - 0.9 - 0.6) + 4 * np.log(0.5)  # and four times no silence
    assert found.score == pytest.approx(9 * np.log(0.25) + 2.0 * lm_score, abs=1e-3)


def test_phones_that_the_senones_lack_are_refused():
    lang, lm, senones, _ = random_problem(1, 2)
    with refused("QQ"):
        extend(compile_graph(lang, lm, senones), senones, {"new": [(1.0, ("QQ",))]})
