"""Keyword spotting, compared with a slow search of all begins, and planted keywords."""

import numpy as np
import pytest

from asrdistill.decode.keywords import LEAST, PHONE, KeywordDecoder, threshold
from asrdistill.hmm.senones import Senones
from asrdistill.lang.lexicon import Lang
from tests.decode.test_search import low_frame_rate, random_problem, random_trees
from tests.refusals import refused


def chains(senones: Senones, phones: list[int], left: int | None) -> list[tuple[set[int], bool, bool, float]]:
    """(senones, lasts one frame, may be left out, ln P) of each state of phones after a class (None: any)."""
    classes, found = range(senones.table.shape[1]), []
    for place, phone in enumerate(phones):
        before = [senones.contexts[phones[place - 1]]] if place else classes if left is None else [left]
        after = [senones.contexts[phones[place + 1]]] if place + 1 < len(phones) else classes
        length = int(senones.lengths[phone])
        short = senones.subsampling > 1 and length == 2
        for state in range(length):
            named = {int(senones.table[phone, one, other, state]) for one in before for other in after}
            found.append((named, short and state == 0, short and state == 1, 0.0 if state else PHONE))
    return found


def step(scores: list[float], states, entry: float, frame: np.ndarray) -> list[float]:
    made = []
    for place, (senones, once, _, cost) in enumerate(states):
        ways = [scores[place]] if not once else []
        ways += [entry + cost] if place == 0 else [scores[place - 1] + cost]
        if place >= 2 and states[place - 1][2]:
            ways.append(scores[place - 2] + cost)
        made.append(max(ways) + max(frame[senone] for senone in senones))
    return made


def best_end(scores: list[float], states) -> float:
    return max([scores[-1], *([scores[-2]] if states[-1][2] else [])])


def slow_scores(senones: Senones, phones: list[int], loglikes: np.ndarray) -> np.ndarray:
    """The keyword's score in each of its last states with each end (E, T): of the begin with the best whole ratio."""
    classes = range(senones.table.shape[1])
    loop = {(p, left): chains(senones, [p], left) for p in range(len(senones.phones)) for left in classes}
    state = {key: [-np.inf] * len(chain) for key, chain in loop.items()}
    background = [0.0]
    for number, frame in enumerate(loglikes):
        ended = dict.fromkeys(classes, -np.inf)
        for (phone, left), scores in state.items():
            own = senones.contexts[phone]
            ended[own] = max(ended[own], best_end(scores, loop[phone, left]))
        state = {
            (phone, left): step(scores, loop[phone, left], ended[left] if number else 0.0, frame)
            for (phone, left), scores in state.items()
        }
        background.append(max(max(scores) for scores in state.values()))
    states, count = chains(senones, phones, None), len(loglikes)
    ends = [len(states) - 1] + [len(states) - 2] * states[-1][2]
    found = np.full((len(ends), count, count), -np.inf)
    for begin in range(len(loglikes)):
        scores = [-np.inf] * len(states)
        for end in range(begin, len(loglikes)):
            scores = step(scores, states, 0.0 if end == begin else -np.inf, loglikes[end])
            found[:, begin, end] = np.array(scores)[ends] - (background[end + 1] - background[begin])
    begin = found.argmax(1)
    return found.max(1) / (np.arange(count) + 1 - begin)


def problem(seed: int, kind: str):
    lang, _, senones, _ = random_problem(seed, 1, contexts=kind == "contexts")
    if kind == "low rate":
        senones = low_frame_rate(lang, np.random.default_rng(seed), 1 + seed % 2)
    rng = np.random.default_rng(seed)
    return senones, rng.normal(0, 2, (14, senones.count)).astype(np.float32)


@pytest.mark.parametrize("kind", ["plain", "contexts", "low rate"])
@pytest.mark.parametrize("seed", range(8))
def test_the_best_detection_is_that_of_the_slow_search(seed, kind):
    senones, loglikes = problem(seed, kind)
    rng = np.random.default_rng(seed)
    phones = rng.integers(1, len(senones.phones), 2).tolist()
    wanted = slow_scores(senones, phones, loglikes.astype(np.float64))
    spoken = [[tuple(senones.phones[phone] for phone in phones)]]
    search = KeywordDecoder(senones, {"word": spoken}, [-1e6], 1.0).start()
    search.accept(loglikes)
    found = {word.end: word.score for word in search.finish().times}
    assert found
    for end, score in found.items():
        assert np.abs(wanted[:, end - 1] - score).min() < 1e-4
    assert max(found.values()) == pytest.approx(wanted[wanted > -np.inf].max(), abs=1e-4)


@pytest.mark.parametrize("size", [1, 5, 40])
def test_planted_keywords_are_found_in_pieces_of_any_size(size):
    lang = Lang.build({"ab": [(1.0, ("A", "B"))], "ba": [(1.0, ("B", "A"))]}, ["A", "B", "C"])
    senones = Senones.monophones(lang)
    rng = np.random.default_rng(0)
    said = ["SIL", "A", "B", "C", "B", "A", "SIL", "A", "B", "SIL"]
    path = [senone for phone in said for state in senones.states[phone] for senone in [state] * 4]
    loglikes = rng.normal(0, 0.5, (len(path), senones.count)).astype(np.float32)
    loglikes[np.arange(len(path)), path] += 6
    keywords = {"ab": [[("A", "B")]], "b then a": [[("B",)], [("C",)], [("B",)]], "c": [[("C",)], [("A",)]]}
    search = KeywordDecoder(senones, keywords, [0.0] * 3, 1.0).start()
    for begin in range(0, len(path), size):
        search.accept(loglikes[begin : begin + size])
        search.partial_traceback()
    early = len(search.final)
    found = search.finish().times
    assert sorted(word.word for word in found) == ["ab", "ab", "b then a"]
    assert early == len(found) or size == 40
    ends = {round(np.mean([word.start, word.end])) for word in found if word.word == "ab"}
    assert len(ends) == 2


def test_threshold_lets_no_more_false_alarms_through():
    scores = [0.1, 0.5, 0.3, 0.2, -0.4]
    for hours, per_hour in ((1.0, 0.0), (1.0, 1.0), (2.0, 1.0), (0.5, 4.0), (0.5, 1.0)):
        least = threshold(scores, hours, per_hour)
        assert sum(score >= least for score in scores) == int(hours * per_hour)
    assert threshold(scores, 10.0, 1.0) == LEAST


def test_no_frames_are_refused():
    senones = random_trees(Lang.build({"a": [(1.0, ("A",))]}, ["A"]), np.random.default_rng(0))
    search = KeywordDecoder(senones, {"a": [[("A",)]]}, [0.0], 1.0).start()
    with refused("frames"):
        search.finish()
