"""The compiled search, compared with a plain reference on small random problems."""

from dataclasses import replace

import numpy as np
import pytest

from asrdistill.decode import search
from asrdistill.decode.decoder import Decoder
from asrdistill.decode.options import DecodeOptions
from asrdistill.hmm.senones import SILENCE_STATES, Senones
from asrdistill.lang.lexicon import Lang
from asrdistill.lang.ngram import Level, NGram, train
from tests.decode.reference import search as reference
from tests.refusals import assert_names, refused

WIDE = DecodeOptions(lm_weight=2.0, insertion_penalty=-0.7, beam=1e4, word_end_beam=1e4, max_active=10**6)


def random_problem(seed: int, order: int, frames: int | None = None, contexts: bool = False):
    """Lexicon (homophones, shared prefixes, one-phone words, several pronunciations), senones, n-grams, scores."""
    rng = np.random.default_rng(seed)
    phones = [f"P{i}" for i in range(rng.integers(2, 5))]
    words = [f"w{i}" for i in range(rng.integers(2, 7))]
    pronunciations = {}
    for word in words:
        sounds = {tuple(map(str, rng.choice(phones, size=rng.integers(1, 4)))) for _ in range(rng.integers(1, 3))}
        pronunciations[word] = [(float(rng.uniform(0.3, 1)), sound) for sound in sorted(sounds)]
    lang = Lang.build(pronunciations, phones)
    lang = replace(lang, silence_probability=float(rng.uniform(0.05, 0.95)))
    senones = random_trees(lang, rng) if contexts else Senones.monophones(lang)
    senones.self_loop = np.log(rng.uniform(0.2, 0.9, senones.count))
    sentences = [" ".join(rng.choice(words, size=rng.integers(1, 6))) for _ in range(12)]
    scores = rng.normal(0, 3, (frames or rng.integers(8, 40), senones.count)).astype(np.float32)
    return lang, train(sentences, words, order), senones, scores


def random_trees(lang: Lang, rng: np.random.Generator) -> Senones:
    """One tree for each state of each phone, with random questions about the neighbours; some states are shared."""
    count = SILENCE_STATES

    def tree(depth: int):
        nonlocal count
        if depth == 0 or rng.random() < 0.3:
            if rng.random() < 0.2:  # a senone that there is already, now and then silence's
                return int(rng.integers(count))
            count += 1
            return count - 1
        asked = [phone for phone in lang.phones if rng.random() < 0.5]
        side = str(rng.choice(["left", "right"]))
        return {side: " ".join(asked), "yes": tree(depth - 1), "no": tree(depth - 1)}

    states = {lang.silence: list(range(SILENCE_STATES))}
    states |= {phone: [tree(3) for _ in range(rng.integers(1, 4))] for phone in lang.phones[1:]}
    return Senones(lang.phones, states, np.zeros(count))


def low_frame_rate(lang: Lang, rng: np.random.Generator, states: int) -> Senones:
    """Phones of one state, or of a first one that lasts one frame and a second that may be left out; random trees."""
    count = 0

    def tree(depth: int):
        nonlocal count
        if depth == 0 or rng.random() < 0.3:
            count += 1
            return count - 1
        asked = " ".join(phone for phone in lang.phones if rng.random() < 0.5)
        return {str(rng.choice(["left", "right"])): asked, "yes": tree(depth - 1), "no": tree(depth - 1)}

    trees = {phone: [tree(0 if phone == lang.silence else 2) for _ in range(states)] for phone in lang.phones}
    return Senones(lang.phones, trees, np.log(rng.uniform(0.2, 0.9, count)), subsampling=3)


@pytest.mark.parametrize("states", [1, 2])
@pytest.mark.parametrize("seed", range(12))
def test_low_frame_rate_equals_the_reference(seed, states):
    lang, lm, _, _ = random_problem(seed, 2)
    senones = low_frame_rate(lang, rng := np.random.default_rng(seed), states)
    scores = rng.normal(0, 3, (20, senones.count)).astype(np.float32)
    found = Decoder(lang, lm, senones, WIDE).decode(scores)
    score, words = reference(lang, lm, senones, WIDE, scores)
    assert found.score == pytest.approx(score, rel=1e-5, abs=1e-3)
    assert tuple(found.words) == words
    latticed = Decoder(lang, lm, senones, replace(WIDE, lattice_beam=5.0)).decode(scores)
    assert latticed.words == found.words
    going = Decoder(lang, lm, senones, WIDE).start()
    for begin in range(0, 20, 7):
        going.accept(scores[begin : begin + 7])
        going.partial_traceback()
    assert going.finish().times == found.times


@pytest.mark.parametrize("contexts", [False, True])
@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("seed", [*range(5), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(5, 25))])
def test_wide_beam_equals_the_reference(seed, order, contexts):
    lang, lm, senones, scores = random_problem(100 * order + seed, order, contexts=contexts)
    found = Decoder(lang, lm, senones, WIDE).decode(scores)
    score, words = reference(lang, lm, senones, WIDE, scores)
    assert not found.partial
    assert found.score == pytest.approx(score, rel=1e-5, abs=1e-3)
    assert tuple(found.words) == words


def test_contexts_cross_word_boundaries():
    """A one-phone word sounds as its neighbours make it; scores that favour one sequence of states plant the words."""
    lang = Lang.build({"a": [(1.0, ("A",))], "b": [(1.0, ("B",))], "ba": [(1.0, ("B", "A"))]}, ["A", "B"])
    last = {"right": "B", "yes": 7, "no": {"left": "SIL", "yes": 8, "no": 9}}
    senones = Senones(lang.phones, {"SIL": [0, 1, 2, 3, 4], "A": [5, 6, last], "B": [10]}, np.log(np.full(11, 0.5)))
    lm = train(["a b", "b a", "ba"], lang.words, 1)
    for spoken, path in (
        (["a", "b"], [5, 6, 7, 10]),  # B follows at once
        (["a", "b"], [5, 6, 8, 0, 1, 2, 3, 4, 10]),  # silence between: the A stands alone
        (["b", "a"], [10, 0, 1, 2, 3, 4, 5, 6, 8]),
    ):
        scores = np.full((len(path), 11), -20, np.float32)
        scores[np.arange(len(path)), path] = 0
        found = Decoder(lang, lm, senones, replace(WIDE, lm_weight=0.1, insertion_penalty=0.0)).decode(scores)
        assert found.words == spoken
        lm_score = sum(lm.logprob(word, ("<s>",)) for word in (*spoken, "</s>"))
        choices = 3 * np.log(0.5)  # silence or none: before, between, after
        expected = len(path) * np.log(0.5) + 0.1 * (lm_score + choices)
        assert found.score == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("seed", range(6))
def test_a_word_may_sound_like_silence(seed):
    """As the phone "sil" does where phones are recognised."""
    lang, _, _, _ = random_problem(seed, 2)
    lang = Lang.build(lang.pronunciations | {"hush": [(1.0, ("SIL",))]}, lang.phones[1:])
    senones = random_trees(lang, rng := np.random.default_rng(seed))
    senones.self_loop = np.log(rng.uniform(0.2, 0.9, senones.count))
    lm = train(["hush w0 hush w1 w0", "w1 hush w0 w1 hush"], lang.words, 2)
    scores = rng.normal(0, 3, (24, senones.count)).astype(np.float32)
    found = Decoder(lang, lm, senones, WIDE).decode(scores)
    score, words = reference(lang, lm, senones, WIDE, scores)
    assert found.score == pytest.approx(score, rel=1e-5, abs=1e-3)
    assert tuple(found.words) == words


def test_silence_alone_is_one_silence():
    lang, lm, senones, _ = random_problem(4, 1, contexts=True)
    scores = np.full((SILENCE_STATES, senones.count), -50, np.float32)
    scores[np.arange(SILENCE_STATES), senones.silence] = 0
    found = Decoder(lang, lm, senones, WIDE).decode(scores)
    assert (found.words, found.partial) == ([], False)
    expected = sum(senones.forward[senones.silence])
    expected += 2.0 * (np.log(lang.silence_probability) + lm.logprob("</s>", ("<s>",)))
    assert found.score == pytest.approx(expected, abs=1e-3)


def test_splitting_senones_changes_nothing():
    """Contexts that all sound the same: the words of the monophones."""
    lang, lm, senones, scores = random_problem(8, 2, frames=60)
    column = []

    def split(old: int, side: str):
        column.extend([old, old])
        return {side: "P0 SIL", "yes": len(column) - 2, "no": len(column) - 1}

    column.extend(senones.silence)
    states = {lang.silence: senones.silence}
    states |= {
        p: [split(s, side) for s, side in zip(senones.states[p], ("left", "right", "right"), strict=True)]
        for p in lang.phones[1:]
    }
    more = Senones(lang.phones, states, senones.self_loop[column])
    found, expected = (
        Decoder(lang, lm, more, WIDE).decode(scores[:, column]),
        Decoder(lang, lm, senones, WIDE).decode(scores),
    )
    assert found.times == expected.times
    assert found.score == pytest.approx(expected.score, abs=1e-6)


def test_words_cover_the_frames_in_order_and_scores_add_up():
    lang, lm, senones, scores = random_problem(7, 3, frames=60)
    found = Decoder(lang, lm, senones, WIDE).decode(scores)
    edges = [edge for word in found.times for edge in (word.start, word.end)]
    assert edges == sorted(edges)
    assert edges[0] >= 0
    assert edges[-1] <= 60


def test_planted_words_are_found_with_their_times():
    """Scores that favour one state at each frame: silence, then two words."""
    lang = Lang.build({"ab": [(1.0, ("A", "B"))], "ba": [(1.0, ("B", "A"))]}, ["A", "B"])
    senones = Senones.monophones(lang)
    spoken = [*senones.states["SIL"], *(s for phone in "ABBA" for s in senones.states[phone])]
    scores = np.full((3 * len(spoken), senones.count), -20, np.float32)
    for position, senone in enumerate(spoken):
        scores[3 * position : 3 * position + 3, senone] = 0
    found = Decoder(lang, train(["ab ba"], lang.words, 2), senones, DecodeOptions(lm_weight=1.0)).decode(scores)
    assert [(w.word, w.start, w.end) for w in found.times] == [("ab", 15, 33), ("ba", 33, 51)]


def test_narrower_beams_never_find_better_paths():
    lang, lm, senones, scores = random_problem(3, 3, frames=80)
    wide = Decoder(lang, lm, senones, WIDE)
    exact = wide.decode(scores).score
    for beam in (1, 3, 10):
        narrow = wide.with_options(DecodeOptions(lm_weight=2.0, insertion_penalty=-0.7, beam=beam, max_active=50))
        found = narrow.decode(scores)
        assert found.partial or found.score <= exact + 1e-3


@pytest.mark.parametrize("contexts", [False, True])
def test_growing_buffers_do_not_change_the_result(monkeypatch, contexts):
    lang, lm, senones, scores = random_problem(11, 3, frames=80, contexts=contexts)
    roomy = Decoder(lang, lm, senones, WIDE).decode(scores)
    monkeypatch.setattr(search, "ROOM", 1)
    assert Decoder(lang, lm, senones, WIDE).decode(scores) == roomy


def test_search_without_a_final_state_is_repeated_with_a_wider_beam():
    lost = 0
    for seed in range(20):
        lang, lm, senones, scores = random_problem(seed, 3, frames=40, contexts=True)
        narrow = Decoder(lang, lm, senones, replace(WIDE, beam=0.5, word_end_beam=0.5, max_active=1))
        once = narrow.start()
        once.accept(scores)
        lost += once.finish().partial
        assert not narrow.decode(scores).partial
    assert lost > 0


def test_impossible_senones_are_avoided():
    """Scores of -inf for all senones but those of silence and of one word."""
    lang, lm, senones, _ = random_problem(4, 2)
    phones = lang.pronunciations["w1"][0][1]
    scores = np.full((40, senones.count), -np.inf, np.float32)
    scores[:, [*senones.silence, *(senone for phone in phones for senone in senones.states[phone])]] = 0
    found = Decoder(lang, lm, senones, DecodeOptions(lm_weight=2.0)).decode(scores)
    assert not found.partial
    assert abs(found.score) < 1000


def test_frames_that_end_inside_a_word_give_a_partial_result():
    lang, lm, senones, scores = random_problem(1, 2)
    found = Decoder(lang, lm, senones, WIDE).decode(scores[:1])
    assert found.partial
    assert found.words == []


def test_words_missing_from_the_language_model_are_a_warning(caplog):
    lang, _, senones, scores = random_problem(2, 2)
    lm = train(["w0 w1 w0"], ["w0", "w1", "stranger"], 2)
    with caplog.at_level("WARNING", logger="asrdistill"):
        decoder = Decoder(lang, lm, senones, WIDE)
    assert_names(caplog.text, "stranger")
    assert set(decoder.decode(scores).words) <= {"w0", "w1"}


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda s: s[:0], ["frames"]),
        (lambda s: s[:, :-1], ["(19, 16)", "17 senones"]),
        (lambda s: np.where(np.arange(len(s))[:, None] == 3, np.nan, s), ["frame 3", "NaN"]),
        (lambda s: np.full_like(s, -np.inf), ["frame 0", "-inf"]),
        (lambda s: np.where(np.arange(len(s))[:, None] == 2, np.inf, s), ["frame 2"]),
    ],
)
def test_bad_scores_are_refused(change, names):
    lang, lm, senones, scores = random_problem(5, 2)
    with refused(*names):
        Decoder(lang, lm, senones, WIDE).decode(change(scores))


def test_a_model_without_sentence_ends_is_refused():
    lang, lm, senones, _ = random_problem(5, 1)
    whole = lm.levels[0]
    symbols = [symbol for symbol in whole.symbols if symbol != "</s>"]
    kept = [whole.number[symbol] for symbol in symbols]
    level = Level(None, symbols, np.arange(len(kept)), whole.logprob[kept], whole.backoff[kept])
    with refused("</s>"):
        Decoder(lang, NGram([level]), senones, WIDE)


def test_phones_without_senones_are_refused():
    lang, lm, _, _ = random_problem(5, 1)
    other = Senones.monophones(Lang.build({"x": [(1.0, ("Q",))]}, ["Q"]))
    with refused("P0", "P1", "P2"):
        Decoder(lang, lm, other, WIDE)
