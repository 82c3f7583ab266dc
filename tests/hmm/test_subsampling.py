"""Alignments and trees of a low frame rate."""

import itertools

import numpy as np
import pytest

from asrdistill import cli
from asrdistill.data.archive import FrameArchive, ShardWriter, finish
from asrdistill.hmm.align import PARTS
from asrdistill.hmm.fmllr import adapt
from asrdistill.hmm.graph import GraphCompiler
from asrdistill.hmm.options import FmllrOptions
from asrdistill.hmm.senones import SIDES, Senones, begins, leaves
from asrdistill.hmm.subsampling import extend, relabel
from asrdistill.hmm.tree import TreeStatistics, grow_tree
from asrdistill.hmm.viterbi import best_path
from tests.hmm.conftest import write_features
from tests.hmm.test_graph import obvious_paths
from tests.hmm.test_tree import PHONES, SOUND
from tests.refusals import assert_refused, refused
from tests.trees import between

EVERY = 3


def low_rate(phones, rng, trees=False, two=True):
    """Inventory of phones of one or two states, with one question about the left phone where `trees`."""
    number = itertools.count()

    def tree(phone):
        if not trees or phone == phones[0]:
            return next(number)
        return {"left": " ".join(phones[1:3]), "yes": next(number), "no": next(number)}

    states = {phone: [tree(phone) for _ in range(1 + two)] for phone in phones}
    count = next(number)
    return Senones(list(phones), states, np.log(rng.uniform(0.2, 0.9, count)), subsampling=EVERY)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([5, 1, 9], [5, 3, 7]),  # from the longer neighbour
        ([9, 1, 5], [7, 3, 5]),
        ([1, 1, 7], [3, 3, 3]),  # both short: those between move
        ([3, 2, 3, 8], [3, 3, 3, 7]),
        ([4, 3, 12], [4, 3, 12]),
        ([2, 3, 3], None),
    ],
)
def test_short_segments_are_extended(before, after):
    found = extend(np.array(before), EVERY)
    assert (None if found is None else found.tolist()) == after


@pytest.mark.parametrize("every", [2, 3, 4])
@pytest.mark.parametrize("states", [1, 2])
def test_every_shift_is_an_alignment_of_the_same_phones(every, states):
    rng = np.random.default_rng(every)
    extended = left_out = 0
    for _ in range(200):
        count = rng.integers(1, 9)
        said, lengths = rng.integers(0, 4, count), rng.geometric(0.22, count)
        for k in np.flatnonzero(lengths[:-1] == 1):  # equal neighbours are told apart by their states
            said[k + 1] += said[k + 1] == said[k]
        three = np.minimum(np.concatenate([np.arange(n) for n in lengths]), 2)  # as of an HMM that may skip its end
        found = relabel(three, np.repeat(said, lengths), every, states)
        if found is None:
            left_out += 1
            assert lengths.sum() < every * count
            continue
        extended += found.extended
        assert len(found.triphones) == lengths.sum()
        assert found.extended == (lengths < every).sum()
        for shift in range(every):
            left, phone, right, state = found.triphones[shift::every].T
            begin = state == 0
            if states == 1:  # equal neighbours cannot be told apart
                begin = np.append(True, np.diff(phone) != 0)
                assert phone[begin].tolist() == [key for key, _ in itertools.groupby(said)]
                continue
            assert phone[begin].tolist() == said.tolist()  # each phone once, in order, its first state for one row
            assert left[begin].tolist() == [0, *said[:-1]]
            assert right[begin].tolist() == [*said[1:], 0]
            assert np.all(phone[1:][~begin[1:]] == phone[:-1][~begin[1:]])
            last = np.append(begin[1:], True)
            np.testing.assert_array_equal(found.goes_on[shift::every], ~last)
    assert extended > 100
    assert left_out > 0


def paths_by_definition(lang, senones, words, loglikes):
    """(log-probability, senones) of every pronunciation and every way to divide the frames among its phones."""
    frames = len(loglikes)
    for chain, weight in obvious_paths(lang, senones, words):
        pairs = [chain[k : k + 2] for k in range(0, len(chain), 2)]
        for cuts in itertools.combinations(range(1, frames), len(pairs) - 1):
            score, path = weight, []
            for (first, rest), length in zip(pairs, np.diff([0, *cuts, frames]), strict=True):
                own = [first, *[rest] * (length - 1)]
                score += sum(senones.self_loop[s] for s in own[:-1]) + senones.forward[own[-1]]
                path += own
            yield score + sum(loglikes[t, s] for t, s in enumerate(path)), path


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("words", [["ab"], ["either"], ["ab", "dad"]])
def test_best_path_through_phones_whose_second_state_is_optional(lang, words, seed):
    rng = np.random.default_rng(seed)
    senones = low_rate(lang.phones, rng, trees=seed % 2 == 1)
    loglikes = rng.standard_normal((7, senones.count)).astype(np.float32)
    score, path = best_path(loglikes, graph := GraphCompiler(lang, senones)(words), senones)
    expected, senone = max(paths_by_definition(lang, senones, words, loglikes))
    assert score == pytest.approx(expected, abs=1e-4)
    assert graph.senone[path].tolist() == senone
    shortest = sum(len(lang.pronunciations[word][0][1]) for word in words)
    assert best_path(loglikes[:shortest], graph, senones)[1] is not None
    assert best_path(loglikes[: shortest - 1], graph, senones)[1] is None


def planted(rng):
    """Rows of random phones; the first state of A depends on whether B or C stood before, its second on E after it."""
    said = np.append(0, rng.integers(0, 6, 4000))
    found = relabel(np.zeros(7 * len(said), int), np.repeat(said, 7), EVERY, 2)
    left, phone, right, state = found.triphones.T
    mean = np.stack([np.array(SOUND)[phone], 10.0 * state, 8.0 * ((phone == 1) & (state == 0) & np.isin(left, [2, 3]))])
    mean = np.concatenate([mean, 8.0 * ((phone == 1) & (state == 1) & (right == 5))[None]])
    return found.triphones, mean.T + rng.standard_normal((len(phone), 4))


@pytest.mark.parametrize("right", [False, True])
def test_planted_contexts_are_found_on_the_sides_that_are_asked_about(right):
    stats = TreeStatistics.collect(*planted(np.random.default_rng(0)))
    sides = SIDES if right else ("left", "centre")
    senones = grow_tree(stats, PHONES, np.full(6, 2), 12 + 1 + right, sides)
    for left, after in itertools.product(PHONES[1:], repeat=2):
        first, second = between(senones, left, "A", after)
        assert (first == between(senones, "B", "A", "D")[0]) == (left in ("B", "C"))
        assert (second == between(senones, "D", "A", "E")[1]) == (after == "E" or not right)


@pytest.fixture
def alignment(world, tmp_path):
    """The world's true alignment; the middle of every ninth phone lasts for a single row."""
    return write_alignment(world, tmp_path / "ali", lambda number, length: 1 if number % 9 == 4 else length)


def write_alignment(world, folder, length_of):
    folder.mkdir()
    writer = ShardWriter(folder, 0, PARTS)
    for utterance, truth in world.truth.items():
        phone = world.senones.phone[truth]
        first = np.flatnonzero(begins(world.senones.state[truth], phone))
        lengths = np.diff(first, append=len(truth))
        lengths[:] = [length_of(*pair) for pair in enumerate(lengths)]
        lengths[0] += len(truth) - lengths.sum()
        own = [world.senones.states[world.senones.phones[p]] for p in phone[first]]
        senone = [s[t * len(s) // n] for s, n in zip(own, lengths, strict=True) for t in range(n)]
        writer.write(utterance, frames=np.array(senone), phones=np.repeat(phone[first], lengths))
    finish(folder, "alignment", PARTS, [writer.close()], senones=world.senones.hash, frame_shift=0.01)
    world.senones.write(folder)
    return folder


def run(*arguments):
    return cli.main(["ali", "expand", *map(str, arguments), "--jobs", "1"])


@pytest.mark.parametrize("states", [1, 2])
def test_an_alignment_is_converted_and_its_trees_serve_another_set(world, alignment, tmp_path, states):
    features, out, other = world.root / "cepstra", tmp_path / "low", tmp_path / "other"
    options = ["--frame-subsampling", 3, "--states", states, "--leaves", 5 * states]
    assert run(alignment, features, out, *options) == 0
    assert run(alignment, features, other, "--tree", out) == 0
    low, again, before = FrameArchive(out, "alignment"), FrameArchive(other), FrameArchive(alignment)
    senones = Senones.read(out)
    assert (senones.subsampling, senones.count) == (3, 5 * states)
    assert low.hash == again.hash
    assert low.meta["senones"] == senones.hash == again.meta["senones"]
    assert low.meta["extended"] > 50
    assert (low.utterances, low.total_rows) == (before.utterances, before.total_rows)
    goes_on, seen = np.zeros(senones.count), np.zeros(senones.count)
    for utterance in low:
        senone, phone = low[utterance], low.part(utterance, "phones")
        np.testing.assert_array_equal(senones.phone[senone], phone)
        for shift in range(3 if states == 2 else 0):
            rows = senone[shift::3]
            begin = np.append(senones.state[rows] == 0, True)
            goes_on += np.bincount(rows[~begin[1:]], minlength=senones.count)
            seen += np.bincount(rows, minlength=senones.count)
    if states == 2:
        np.testing.assert_allclose(np.exp(senones.self_loop), np.clip(goes_on / seen, 0.01, 0.99))
        np.testing.assert_array_equal(Senones.read(other).self_loop, senones.self_loop)


def test_a_low_frame_rate_is_another_inventory(tmp_path, lang):
    low = low_rate(lang.phones, np.random.default_rng(0))
    full = Senones(low.phones, low.states, low.self_loop)
    assert low.hash != full.hash
    low.write(tmp_path)
    read = Senones.read(tmp_path)
    assert (read.hash, read.subsampling) == (low.hash, 3)
    first = {leaf for trees in low.states.values() for leaf in leaves(trees[0])}
    assert set(np.flatnonzero(read.once)) == first
    assert not full.once.any()
    assert not low_rate(lang.phones, np.random.default_rng(0), two=False).once.any()


def test_what_cannot_be_is_refused(world, alignment, tmp_path):
    features, low, out = world.root / "cepstra", tmp_path / "low", tmp_path / "out"
    assert run(alignment, features, low, "--frame-subsampling", 3) == 0
    expand = ["ali", "expand", alignment, features, out]
    assert_refused(["ali", "expand", low, features, out, "--frame-subsampling", 3], low)
    assert_refused([*expand, "--leaves", 100], "--leaves", "--frame-subsampling")
    assert_refused([*expand, "--frame-subsampling", 0], "--frame-subsampling")
    assert_refused([*expand, "--frame-subsampling", 3, "--tree", low], "--tree")
    assert_refused([*expand, "--tree", alignment], alignment)
    assert_refused([*expand, "--frame-subsampling", 12], "80", "--max-left-out")
    assert_refused([*expand, "--frame-subsampling", 99], alignment, "--frame-subsampling")
    broken = {utterance: np.ones((len(truth), 4)) for utterance, truth in world.truth.items()}
    (tmp_path / "broken").mkdir()
    write_features(tmp_path / "broken", broken)
    np.lib.format.open_memmap(tmp_path / "broken/frames.0.npy", "r+")[:] = np.nan
    assert_refused(["ali", "expand", alignment, tmp_path / "broken", out, "--frame-subsampling", 3], "broken", "utt00")
    lang = world.root / "lang"
    assert_refused(["gmm", "tri", features, low, world.root / "data", lang, out], low)
    with refused(low):
        adapt(out, features, low, {}, out, FmllrOptions(), 1)
