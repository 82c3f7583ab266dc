import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import norm

from asrdistill.hmm.gmm import FeatureTransform, Gmm, Mixtures, load_gmm
from asrdistill.hmm.senones import Senones
from tests.refusals import refused


def make_mixtures(senones=5, dimension=6, seed=0):
    rng = np.random.default_rng(seed)
    first = np.concatenate([[0], np.cumsum(rng.integers(1, 5, senones))])
    weights = np.concatenate([rng.dirichlet(np.ones(n)) for n in np.diff(first)])
    shape = (first[-1], dimension)
    return Mixtures(np.log(weights), rng.standard_normal(shape), rng.uniform(0.2, 2, shape), first)


def obvious_loglikes(mixtures, x):
    density = norm(mixtures.means, np.sqrt(mixtures.variances)).logpdf(x[:, None]).sum(-1) + mixtures.log_weights
    runs = zip(mixtures.first[:-1], mixtures.first[1:], strict=True)
    return np.stack([logsumexp(density[:, begin:end], axis=1) for begin, end in runs], axis=1)


@pytest.mark.parametrize("frames", [1, 300, 600])
def test_loglikes_equal_scipys(frames):
    mixtures = make_mixtures()
    x = 2 * np.random.default_rng(1).standard_normal((frames, 6)).astype(np.float32)
    expected = obvious_loglikes(mixtures, x)
    found = mixtures.loglikes(x)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(mixtures.loglikes(x, np.array([1, 4])), expected[:, [1, 4]], rtol=1e-4, atol=1e-3)


def test_far_frames_keep_finite_loglikes():
    mixtures = make_mixtures()
    x = np.full((3, 6), 100, dtype=np.float32)
    np.testing.assert_allclose(mixtures.loglikes(x), obvious_loglikes(mixtures, x), rtol=1e-4)


@pytest.fixture
def gmm(lang):
    senones = Senones.monophones(lang)
    return Gmm(make_mixtures(senones.count, 6), senones, {"features": {"type": "cepstra"}}, FeatureTransform(deltas=2))


def test_written_gmm_is_read_again(gmm, tmp_path):
    gmm.write(tmp_path)
    again = load_gmm(tmp_path)
    x = np.random.default_rng(2).standard_normal((20, 2)).astype(np.float32)
    np.testing.assert_array_equal(again.loglikes(x), gmm.loglikes(x))
    assert again.loglikes(x).shape == (20, gmm.senones.count)
    assert again.meta["features"] == {"type": "cepstra"}
    assert again.senones.hash == gmm.senones.hash
    assert again.parameters == gmm.mixtures.gaussians * 13 == again.meta["parameters"]


def test_damaged_or_foreign_folders_are_refused(gmm, tmp_path):
    gmm.write(tmp_path)
    whole = (tmp_path / "gmm.safetensors").read_bytes()
    (tmp_path / "gmm.safetensors").write_bytes(whole[: len(whole) // 2])
    with refused(tmp_path / "gmm.safetensors"):
        load_gmm(tmp_path)
    (tmp_path / "meta.json").write_text('{"kind": "dnn"}')
    with refused("dnn"):
        load_gmm(tmp_path)
