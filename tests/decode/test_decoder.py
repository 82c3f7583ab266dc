"""Streaming decoding: same results as at once, final words, constant memory."""

from dataclasses import replace

import numpy as np
import pytest

from asrdistill.core import copied
from asrdistill.decode import decoder as decoding
from asrdistill.decode import search
from asrdistill.decode.decoder import Decoder
from asrdistill.decode.options import DecodeOptions
from asrdistill.decode.tree import row
from asrdistill.hmm.senones import Senones
from asrdistill.lang.lexicon import Lang
from asrdistill.lang.ngram import train
from tests.decode.reference import search as reference
from tests.refusals import refused

# core_token and core_end of core.h
TOKEN = row(score=np.float64, ahead=np.float32, node=np.uint32, back=np.int32)
END = row(score=np.float64, group=np.int32, exit=np.int32, next=np.int32, record=np.int32)

OPTIONS = DecodeOptions(lm_weight=2.0, insertion_penalty=-0.7, beam=15, word_end_beam=12)
WORDS = {"ab": "A B", "abc": "A B C", "ba": "B A", "c": "C", "cab": "C A B", "kab": "C A B"}
LANG = Lang.build({word: [(1.0, tuple(phones.split()))] for word, phones in WORDS.items()}, ["A", "B", "C"])
SENONES = Senones.monophones(LANG)


RNG = np.random.default_rng(0)
LM = train([" ".join(RNG.choice(list(WORDS), size=RNG.integers(1, 6))) for _ in range(30)], LANG.words, 3)


def build(options: DecodeOptions = OPTIONS) -> Decoder:
    return Decoder(LANG, LM, SENONES, options)


def scores(frames: int, seed: int = 0) -> np.ndarray:
    """Random scores that favour a random path through the phones' states, three frames in each."""
    rng = np.random.default_rng(seed)
    loglikes = rng.normal(0, 2, (frames, SENONES.count)).astype(np.float32)
    path: list[int] = []
    while 3 * len(path) < frames:
        path += SENONES.states[str(rng.choice(LANG.phones))]
    loglikes[np.arange(frames), np.repeat(path, 3)[:frames]] += 5
    return loglikes


def live_paths(going) -> list[list[tuple[int, int]]]:
    """(leaf, frame) of all records of all live paths, slowly."""
    state, paths = going._state, []
    view, records = state.view(), state.records()
    tokens, ends = copied(view.token, view.tokens, TOKEN), copied(view.end, view.ends, END)
    last = [*tokens["back"][tokens["score"] >= view.cutoff].tolist(), *ends["record"].tolist()]
    for record in last:
        path = []
        while record > 0:
            path.append((int(records["leaf"][record]), int(records["end"][record])))
            record = records["back"][record]
        paths.append(path[::-1])
    return paths


@pytest.mark.parametrize("size", [1, 7, 16, 33, 200])
@pytest.mark.parametrize("seed", range(4))
def test_blocks_of_any_size_give_the_same_hypothesis(size, seed):
    decoder, frames = build(), scores(200, seed)
    whole = decoder.decode(frames)
    going = decoder.start()
    for begin in range(0, 200, size):
        going.accept(frames[begin : begin + size])
        going.partial_traceback()
        final = list(going.final)
        assert final == whole.times[: len(final)]  # what is final stays
    if size == 1:
        assert len(final) > 2
    found = going.finish()
    assert found.score == whole.score
    assert found.times == whole.times


@pytest.mark.parametrize("seed", range(4))
def test_final_words_are_the_common_beginning_of_all_live_paths(seed):
    decoder, frames = build(), scores(300, seed)
    settling, keeping = decoder.start(), decoder.start()
    for begin in range(0, 300, 10):
        for going in (settling, keeping):
            going.accept(frames[begin : begin + 10])
        settling.partial_traceback()
        paths = live_paths(keeping)
        common = next(
            (n for n in range(min(map(len, paths))) if any(path[n] != paths[0][n] for path in paths)),
            min(map(len, paths)),
        )
        words = [int(decoder.tree.leaf["word"][leaf]) for leaf, _ in paths[0][:common]]
        assert [word.word for word in settling.final] == [LANG.words[word] for word in words if word >= 0]
        assert settling.final + settling.partial == keeping.partial
    assert len(settling.final) > 5
    assert len(settling._state.records()) < len(keeping._state.records()) / 2


def test_memory_does_not_grow_with_the_stream(monkeypatch):
    monkeypatch.setattr(search, "ROOM", 64)
    going, forgetful = build().start(), build().start()
    for piece in range(400):
        frames = scores(50, piece)
        going.accept(frames)
        for begin in range(0, 50, 10):
            forgetful.accept(frames[begin : begin + 10])
            forgetful.partial_traceback()
        if piece == 40:
            early = forgetful._state.view().bytes
            assert len(forgetful.scores) < decoding.BLOCK + decoding.BEYOND
    assert forgetful._state.view().bytes == early
    assert len(going._state.records()) > 10 * len(forgetful._state.records())
    assert forgetful.finish() == going.finish()


@pytest.mark.slow
@pytest.mark.parametrize("block", [(1, 1), (3, 2), (5, 40)])
@pytest.mark.parametrize("frames", [1, 2, 5, 29, 30, 31])
def test_blocks_of_any_size_find_the_best_path(block, frames, monkeypatch):
    wide = replace(OPTIONS, beam=1e4, word_end_beam=1e4, max_active=10**6)
    monkeypatch.setattr(decoding, "BLOCK", block[0])
    monkeypatch.setattr(decoding, "BEYOND", block[1])
    decoder, loglikes = build(wide), scores(frames)
    found = decoder.decode(loglikes)
    best = reference(LANG, LM, SENONES, wide, loglikes)
    assert found.partial == (best is None)
    if best:
        assert (tuple(found.words), found.score) == (best[1], pytest.approx(best[0], rel=1e-5, abs=1e-3))


def test_searches_of_one_decoder_are_independent():
    decoder, frames, others = build(), scores(100, 1), scores(100, 2)
    wanted = decoder.decode(frames), decoder.decode(others)
    scaled = decoder.with_options(replace(decoder.options, lm_weight=3.0, insertion_penalty=0.0))
    scaled_wanted = scaled.decode(frames)
    first, second = decoder.start(), decoder.start()
    for begin in range(0, 100, 20):
        first.accept(frames[begin : begin + 20])
        second.accept(others[begin : begin + 20])
        assert scaled.decode(frames) == scaled_wanted
    assert (first.finish(), second.finish()) == wanted


def test_bad_scores_are_refused_with_their_frame_in_the_stream():
    going, frames = build().start(), scores(100)
    going.accept(frames)
    frames[13, 2] = np.nan
    with refused("frame 113", "NaN"):
        going.accept(frames)


def test_lattice_of_a_stream_equals_that_of_the_whole():
    decoder, frames = build(replace(OPTIONS, lattice_beam=5.0)), scores(100)
    whole, going = decoder.decode(frames), decoder.start()
    for begin in range(0, 100, 7):
        going.accept(frames[begin : begin + 7])
        going.partial_traceback()
    found = going.finish()
    assert found.times == whole.times
    assert len(whole.lattice.source) > len(whole.times)
    for one, other in zip(found.lattice, whole.lattice, strict=True):
        np.testing.assert_array_equal(one, other)
