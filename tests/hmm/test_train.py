import numpy as np
import pytest

from asrdistill import cli
from asrdistill.data.archive import FrameArchive
from asrdistill.hmm import train
from asrdistill.hmm.estimate import Statistics, accumulate, count_transitions, grow, self_loops, update
from asrdistill.hmm.gmm import Mixtures, load_gmm
from asrdistill.hmm.options import MonoOptions
from asrdistill.hmm.train import mono_alignment, train_mono
from tests.refusals import refused


def single(means):
    """One Gaussian of unit variance for each senone."""
    means = np.asarray(means, float)
    return Mixtures(np.zeros(len(means)), means, np.ones_like(means), np.arange(len(means) + 1))


@pytest.fixture
def frames():
    """Two senones of two clusters each: x (T, 3) and the senone of each frame."""
    rng = np.random.default_rng(0)
    senone = rng.integers(0, 2, 4000)
    centre = np.array([[[-4, 0, 0], [4, 0, 0]], [[0, 6, 1], [0, -2, 1]]])[senone, rng.integers(0, 2, 4000)]
    return (centre + rng.standard_normal((4000, 3))).astype(np.float32), senone.astype(np.int32)


def test_statistics_of_single_gaussians_are_sums(frames):
    x, senone = frames
    stats = accumulate(single([[0, 0, 0], [0, 2, 1]]), x, senone)
    for s in range(2):
        assert stats.occupancy[s] == pytest.approx(np.sum(senone == s))
        np.testing.assert_allclose(stats.sums[s, :3], x[senone == s].sum(0), rtol=1e-3, atol=0.5)
        np.testing.assert_allclose(stats.sums[s, 3:], (x[senone == s] ** 2).sum(0), rtol=1e-4)
    expected = single([[0, 0, 0], [0, 2, 1]]).loglikes(x)[np.arange(len(x)), senone].sum()
    assert stats.loglike == pytest.approx(expected, rel=1e-5)


def test_statistics_of_parts_add_up(frames):
    x, senone = frames
    mixtures = grow(single([[0, 0, 0], [0, 2, 1]]), np.array([2000, 2000]), 4, np.random.default_rng(0))
    whole = accumulate(mixtures, x, senone)
    parts = accumulate(mixtures, x[:1500], senone[:1500]) + accumulate(mixtures, x[1500:], senone[1500:])
    np.testing.assert_allclose(parts.sums, whole.sums, rtol=1e-3, atol=0.5)
    assert parts.loglike == pytest.approx(whole.loglike, rel=1e-5)


def test_em_never_lowers_the_likelihood_and_finds_the_clusters(frames):
    x, senone = frames
    start = np.array([[-1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 3, 0]], float)
    mixtures = Mixtures(np.log(np.full(4, 0.5)), start, np.full((4, 3), 9.0), np.array([0, 2, 4]))
    history = []
    for _ in range(40):
        stats = accumulate(mixtures, x, senone)
        history.append(stats.loglike / len(x))
        mixtures = update(mixtures, stats, np.full(3, 1e-3))
    assert np.all(np.diff(history) > -1e-5)
    assert history[-1] > history[0] + 0.3
    np.testing.assert_allclose(mixtures.means, [[-4, 0, 0], [4, 0, 0], [0, -2, 1], [0, 6, 1]], atol=0.15)
    np.testing.assert_allclose(mixtures.variances, 1, atol=0.15)


def test_tiny_gaussians_are_removed_but_one_per_senone():
    mixtures = Mixtures(
        np.log([0.5, 0.5, 0.5, 0.5]), np.arange(8.0).reshape(4, 2), np.ones((4, 2)), np.array([0, 2, 4])
    )
    stats = Statistics.zeros(mixtures)
    stats.occupancy[:] = [100, 2, 3, 1]
    stats.sums[0] = [100, 200, 200, 500]
    after = update(mixtures, stats, np.full(2, 0.01))
    assert after.first.tolist() == [0, 1, 2]
    np.testing.assert_allclose(after.log_weights, 0, atol=1e-12)
    np.testing.assert_allclose(after.means, [[1, 2], [4, 5]])  # re-estimated; kept as it was
    np.testing.assert_allclose(after.variances, [[1, 1], [1, 1]])


def test_variances_stay_above_the_floor():
    mixtures = single([[0.0, 0.0]])
    stats = accumulate(mixtures, np.tile(np.array([[1.0, 2.0]], np.float32), (50, 1)), np.zeros(50, np.int32))
    np.testing.assert_allclose(update(mixtures, stats, np.array([0.1, 0.2])).variances, [[0.1, 0.2]])


def test_growth_reaches_its_target_and_favours_the_frequent():
    before = single(np.zeros((3, 2)))
    after = grow(before, np.array([10_000, 1000, 15]), 12, np.random.default_rng(0))
    sizes = np.diff(after.first)
    assert after.gaussians == 12
    assert sizes[0] > sizes[1] > sizes[2] == 1
    np.testing.assert_allclose(np.bincount(after.senone, np.exp(after.log_weights)), 1)
    assert grow(before, np.array([15, 15, 15]), 12, np.random.default_rng(0)).gaussians == 3
    assert before.gaussians == 3


def test_transitions_are_counted():
    stays, leaves = count_transitions(np.array([0, 0, 0, 1, 2, 2]), 4)
    assert stays.tolist() == [2, 0, 1, 0]
    assert leaves.tolist() == [1, 1, 1, 0]
    stays, leaves = np.array([90.0, 3, 50]), np.array([10.0, 2, 0])
    np.testing.assert_allclose(np.exp(self_loops(stays, leaves, np.log([0.5, 0.5, 0.5]))), [0.9, 0.5, 0.99])


def test_schedule():
    rounds = [mono_alignment(n) for n in range(40)]
    assert rounds[0] == "equal"
    assert [n for n, how in enumerate(rounds) if how == "viterbi"] == [*range(1, 11), *range(12, 40, 2)]


OPTIONS = MonoOptions(gaussians=40, iterations=20)


def run(world, out, *flags):
    folders = [world.root / "cepstra", world.root / "data", world.root / "lang", out]
    flags = ["--gaussians", "40", "--iterations", "20", *flags]
    return cli.main(["gmm", "mono", *map(str, folders), *flags])


@pytest.fixture(scope="module")
def trained(world, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "mono"
    assert run(world, out, "--jobs", "1") == 0
    return out


def same_files(a, b):
    names = sorted(path.name for path in a.iterdir() if path.name != ".done")
    assert names == ["front.safetensors", "gmm.safetensors", "meta.json", "senones.json"]
    return all((a / name).read_bytes() == (b / name).read_bytes() for name in names)


def test_flat_start_finds_the_planted_phones(world, trained, lang, tmp_path):
    gmm = load_gmm(trained)
    assert gmm.meta["features"] == {"type": "planted"}
    assert gmm.mixtures.gaussians == 40
    folders = [trained, world.root / "cepstra", world.root / "data", world.root / "lang", tmp_path / "ali"]
    assert cli.main(["ali", "make", *map(str, folders), "--jobs", "1"]) == 0
    archive = FrameArchive(tmp_path / "ali")
    phone = np.empty(world.senones.count, int)
    for index, states in enumerate(world.senones.states.values()):
        phone[states] = index
    right = [phone[archive[utterance]] == phone[truth] for utterance, truth in world.truth.items()]
    assert np.mean(np.concatenate(right)) > 0.9


@pytest.mark.slow
def test_any_number_of_jobs_gives_the_same_bytes(world, trained, tmp_path):
    assert run(world, tmp_path / "mono", "--jobs", "2") == 0
    assert same_files(trained, tmp_path / "mono")


def test_an_interrupted_run_ends_with_the_same_bytes(world, trained, tmp_path, monkeypatch):
    rounds = []

    def interrupted(*args):
        rounds.append(1)
        if len(rounds) == 7:
            raise KeyboardInterrupt
        return update(*args)

    with monkeypatch.context() as patch:
        patch.setattr(train.estimate, "update", interrupted)
        assert run(world, tmp_path / "mono", "--jobs", "1") == 130
    assert not (tmp_path / "mono").exists()
    assert run(world, tmp_path / "mono", "--jobs", "1") == 0
    assert same_files(trained, tmp_path / "mono")


def test_too_few_gaussians_are_refused(world, lang, tmp_path):
    with refused("17 senones", 5):
        train_mono(world.root / "cepstra", [("utt00", ["ab"])], lang, tmp_path, MonoOptions(gaussians=5), 1)


def test_corpus_of_short_utterances_is_refused(world, lang, tmp_path):
    said = [("utt00", ["ab"] * 500)]
    with refused("1 of 1", "utt00"):
        train_mono(world.root / "cepstra", said, lang, tmp_path, OPTIONS, 1)


def test_too_many_short_utterances_are_refused(world, lang, tmp_path):
    said = [(utterance, words * 50 if n < 8 else words) for n, (utterance, words) in enumerate(world.words.items())]
    with refused("8 of 80", "10.0 %", "utt00"):
        train_mono(world.root / "cepstra", said, lang, tmp_path, OPTIONS, 1)
