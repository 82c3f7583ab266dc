import numpy as np
import pytest

from asrdistill.hmm.estimate import precisions, weighted_products
from asrdistill.hmm.gmm import Mixtures
from asrdistill.hmm.transforms import Scatter, fmllr, lda, mllt


def fmllr_objective(transform: np.ndarray, products: np.ndarray, pulls: np.ndarray, frames: float) -> float:
    """frames · log |det A| − ½ Σ_d w_d G_d w_dᵀ + Σ_d w_d · k_d: the speaker's log-likelihood but for a constant."""
    _, determinant = np.linalg.slogdet(transform[:, :-1])
    quadratic = np.einsum("di,dij,dj", transform, products, transform)
    return float(frames * determinant - 0.5 * quadratic + np.sum(transform * pulls))


def test_lda_finds_the_discriminative_direction():
    rng = np.random.default_rng(0)
    senone = rng.integers(0, 3, 6000)
    x = rng.standard_normal((6000, 5)) * [1, 5, 1, 3, 1]
    x[:, 2] += 4 * senone
    parts = Scatter.collect(x[:999], senone[:999], 3) + Scatter.collect(x[999:], senone[999:], 3)
    (direction,) = lda(parts, 1)
    assert abs(direction[2]) > 30 * np.abs(np.delete(direction, 2)).max()
    projected = x @ lda(parts, 5).T
    within = np.mean([np.cov(projected[senone == s].T) for s in range(3)], axis=0)
    np.testing.assert_allclose(within, np.eye(5), atol=0.03)


def test_weighted_products_equal_their_sums():
    rng = np.random.default_rng(1)
    weight, x = rng.random((5000, 2)), rng.standard_normal((5000, 3))
    np.testing.assert_allclose(weighted_products(weight, x), np.einsum("td,ti,tj->dij", weight, x, x), rtol=1e-9)


def test_mllt_undoes_a_rotation():
    rng = np.random.default_rng(2)
    mix = np.array([[1.0, 0.8, 0], [0, 1, -0.5], [0.3, 0, 1]])
    variances = np.array([[1, 9, 1], [4, 1, 1], [1, 1, 16.0]])
    frames, products = 0, np.zeros((3, 3, 3))
    for variance in variances:  # three Gaussians, diagonal before they were mixed
        x = (rng.standard_normal((4000, 3)) * np.sqrt(variance)) @ mix.T
        products += np.einsum("ti,tj->ij", x, x)[None] / x.var(0)[:, None, None]
        frames += len(x)

    def objective(a):
        return frames * np.linalg.slogdet(a)[1] - 0.5 * np.einsum("di,dij,dj", a, products, a)

    best = mllt(products, frames)
    assert objective(best) > objective(np.eye(3))
    for _ in range(20):
        assert objective(best + 0.01 * rng.standard_normal((3, 3))) < objective(best)


@pytest.fixture
def speaker():
    """Frames of a speaker whose vectors were moved by a known transform, their senones and the model."""
    rng = np.random.default_rng(3)
    mixtures = Mixtures(
        np.log(np.full(8, 0.5)), 3 * rng.standard_normal((8, 3)), 0.5 + rng.random((8, 3)), np.arange(0, 9, 2)
    )
    gaussian = rng.integers(0, 8, 20000)
    x = mixtures.means[gaussian] + np.sqrt(mixtures.variances[gaussian]) * rng.standard_normal((20000, 3))
    a, b = np.array([[1.2, 0.3, 0], [-0.1, 0.8, 0], [0, 0.2, 1.1]]), np.array([0.5, -0.4, 0.2])
    moved = (x - b) @ np.linalg.inv(a).T  # so that a · moved + b = x
    return mixtures, moved.astype(np.float32), gaussian // 2, np.hstack([a, b[:, None]])


def statistics(mixtures, x, senone):
    weight, pull = precisions(mixtures, x, senone)
    extended = np.hstack([x, np.ones((len(x), 1))])
    return weighted_products(weight, extended), pull.T @ extended, len(x)


def test_fmllr_finds_the_planted_transform(speaker):
    mixtures, x, senone, truth = speaker
    moved, found = x, np.eye(3, 4)
    for _ in range(8):  # posteriors improve with the transform
        step = fmllr(*statistics(mixtures, moved, senone))
        found = np.hstack([step[:, :3] @ found[:, :3], step[:, :3] @ found[:, 3:] + step[:, 3:]])
        moved = x @ found[:, :3].T.astype(np.float32) + found[:, 3].astype(np.float32)
    np.testing.assert_allclose(found, truth, atol=0.05)


def test_fmllr_is_a_stationary_point_of_its_objective(speaker):
    products, pulls, frames = statistics(*speaker[:3])
    best = fmllr(products, pulls, frames)
    height = fmllr_objective(best, products, pulls, frames)
    assert height > fmllr_objective(np.eye(3, 4), products, pulls, frames)
    for place in np.ndindex(best.shape):  # finite differences
        step = np.zeros_like(best)
        step[place] = 1e-4
        up, down = (fmllr_objective(best + sign * step, products, pulls, frames) for sign in (1, -1))
        curvature = (2 * height - up - down) / 1e-8
        assert abs(up - down) / 2e-4 < 1e-3 * curvature
