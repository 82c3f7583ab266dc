import itertools

import numpy as np
import pytest

from asrdistill.hmm.graph import GraphCompiler
from asrdistill.hmm.senones import Senones
from asrdistill.lang.lexicon import Lang
from tests.refusals import refused
from tests.trees import between


def paths(graph):
    """All ways through a graph without self loops: (senones, log weight)."""
    followers = {n: [] for n in range(len(graph.senone))}
    for n in followers:
        for a in range(graph.first[n], graph.first[n + 1]):
            followers[graph.source[a]].append((n, graph.weight[a]))
    stack = [([n], graph.entry[n]) for n in followers if np.isfinite(graph.entry[n])]
    while stack:
        states, weight = stack.pop()
        if np.isfinite(graph.exit[states[-1]]):
            yield tuple(graph.senone[states]), weight + graph.exit[states[-1]]
        stack += [([*states, n], weight + w) for n, w in followers[states[-1]]]


def obvious_paths(lang, senones, words):
    """The same from the definition: each pronunciation, with and without each silence."""
    for chosen in itertools.product(*(lang.pronunciations[word] for word in words)):
        for silences in itertools.product([True, False], repeat=len(words) + 1):
            phones = [lang.silence] * silences[0]
            for (_, pronunciation), silence in zip(chosen, silences[1:], strict=True):
                phones += [*pronunciation, *[lang.silence] * silence]
            weight = np.prod([probability for probability, _ in chosen])
            weight *= np.prod(np.where(silences, lang.silence_probability, 1 - lang.silence_probability))
            beside = zip([lang.silence, *phones], phones, [*phones[1:], lang.silence], strict=False)
            yield tuple(s for context in beside for s in between(senones, *context)), np.log(weight)


def triphones(lang, seed):
    """Trees of random questions, two deep, for every state but silence's."""
    rng = np.random.default_rng(seed)
    leaves = itertools.count(5)

    def tree(depth):
        if depth == 0:
            return next(leaves)
        asked = " ".join(rng.choice(lang.phones, 2, replace=False))
        return {rng.choice(["left", "right"]): asked, "yes": tree(depth - 1), "no": tree(depth - 1)}

    states = {phone: [tree(2) for _ in range(3)] for phone in lang.phones[1:]}
    return Senones(lang.phones, {lang.silence: [0, 1, 2, 3, 4], **states}, np.full(next(leaves), np.log(0.6)))


@pytest.mark.parametrize(
    "words", [["ab"], ["either"], ["either", "either"], ["cab", "either", "dad"], ["a", "a", "ab"]]
)
@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_graph_holds_every_pronunciation_with_and_without_silences(lang, words, seed):
    pronunciations = {**lang.pronunciations, "a": [(1.0, ("A",))]}
    lang = Lang(lang.phones, [*lang.words, "a"], lang.silence, pronunciations, 0.3)
    senones = Senones.monophones(lang) if seed is None else triphones(lang, seed)
    found = sorted(paths(GraphCompiler(lang, senones)(words)))
    expected = sorted(obvious_paths(lang, senones, words))
    assert [states for states, _ in found] == [states for states, _ in expected]
    np.testing.assert_allclose([w for _, w in found], [w for _, w in expected], rtol=1e-5)
    assert sum(np.exp(w) for _, w in found) == pytest.approx(1, rel=1e-5)


def test_states_carry_their_phone_and_word(lang):
    graph = GraphCompiler(lang, Senones.monophones(lang))(["either", "ab"])
    phones = [lang.phones[p] for p in graph.unit_phone]
    assert phones == ["SIL", "A", "D", "B", "C", "D", "SIL", "A", "B", "SIL"]
    assert graph.unit_word.tolist() == [-1, 0, 0, 0, 0, 0, -1, 1, 1, -1]
    assert np.bincount(graph.unit).tolist() == [5, 3, 3, 3, 3, 3, 5, 3, 3, 5]
    found, places = graph.senones()
    np.testing.assert_array_equal(found[places], graph.senone)


def test_no_words_are_one_silence(lang):
    senones = Senones.monophones(lang)
    assert GraphCompiler(lang, senones)([]).senone.tolist() == senones.silence


def test_flat_path_is_the_first_pronunciation_between_silences(lang):
    senones = Senones.monophones(lang)
    phones = ["SIL", "A", "D", "SIL"]
    assert list(GraphCompiler(lang, senones).flat_path(["either"])) == [
        s for phone in phones for s in senones.states[phone]
    ]


def test_flat_path_adds_no_silence_where_every_silence_is_a_word():
    lang = Lang.of_phones(["aa", "t", "sil"], "sil")
    senones = Senones.monophones(lang)
    expected = [s for phone in ("SIL", "aa", "SIL") for s in senones.states[phone]]
    assert list(GraphCompiler(lang, senones).flat_path(["sil", "aa", "sil"])) == expected


def test_a_lexicon_of_other_phones_is_refused(lang):
    senones = Senones.monophones(Lang.build({"ab": lang.pronunciations["ab"]}, ["A", "B", "D"]))
    with refused("C"):
        GraphCompiler(lang, senones)
