"""Choices of the strength against dense solves, dense traces and SciPy's root finder."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage
from scipy.optimize import brentq

from jxr.optics.operators import LinearOperator, psf_operator, separable_operator
from jxr.restoration import wiener
from jxr.restoration.selection import discrepancy, gcv, on_validation
from jxr.restoration.tikhonov import tikhonov
from jxr.restoration.total_variation import total_variation
from tests.restoration.dense import blur_matrix, gaussian, lopsided_psf

HEIGHT, WIDTH, NOISE = 12, 11, 0.02
PSF = lopsided_psf()
PROFILE = gaussian(0.9, 3)
CANDIDATES = np.array([1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0])


def problem(psf, images=2):
    """Smooth originals, blurred by a dense matrix, with white noise."""
    rng = np.random.default_rng(0)
    originals = ndimage.gaussian_filter(rng.random((images, HEIGHT, WIDTH)), 1.0, axes=(1, 2))
    originals /= originals.std()
    dense = blur_matrix(psf, HEIGHT, WIDTH)
    blurred = (dense @ originals.reshape(images, -1).T).T.reshape(originals.shape)
    blurred += NOISE * rng.standard_normal(blurred.shape)
    return dense, originals[..., None], blurred[..., None]


def dense_filter(dense, ratio):
    return np.linalg.solve(dense.T @ dense + ratio * np.eye(len(dense)), dense.T)


def dense_solver(dense):
    """The same by one decomposition: for choices that solve again and again."""
    squares, vectors = np.linalg.eigh(dense.T @ dense)

    def solver(y, k):
        planes = y.reshape(-1, HEIGHT * WIDTH) @ dense @ vectors / (squares + k)
        return (planes @ vectors.T).reshape(y.shape)

    return solver


def cg_solver(operator):
    return lambda y, k: tikhonov(y, operator, k, tolerance=1e-12)


def test_validation_picks_the_smallest_error_of_dense_solves():
    dense, originals, blurred = problem(PSF)
    flat, wanted = blurred.reshape(2, -1).T, originals.reshape(2, -1).T
    expected = [np.square(dense_filter(dense, k) @ flat - wanted).mean() for k in CANDIDATES]
    assert 0 < np.argmin(expected) < len(CANDIDATES) - 1
    with jax.enable_x64(True):
        solver = cg_solver(psf_operator(jnp.asarray(PSF)))
        best, mses = jax.jit(lambda y, x, c: on_validation(solver, y, x, c))(
            blurred, originals, CANDIDATES
        )
        assert float(best) == CANDIDATES[np.argmin(expected)]
        np.testing.assert_allclose(mses, expected, rtol=1e-7)


def test_a_solver_that_fails_at_a_strength_is_not_chosen_there():
    def solver(blurred, strength):
        return jnp.where(strength == 0.5, jnp.nan, strength) * blurred

    images, strengths = jnp.ones((1, 4, 4, 1)), jnp.asarray([0.2, 0.5, 0.9])
    best, mses = on_validation(solver, images, images, strengths)
    assert float(best) == pytest.approx(0.9)
    np.testing.assert_allclose(mses, [0.64, np.nan, 0.01], rtol=1e-5)
    best, _ = gcv(solver, images, separable_operator(jnp.ones(1)), strengths, jax.random.key(0))
    assert float(best) != 0.5


def test_discrepancy_equals_a_root_of_dense_residuals():
    dense, _, blurred = problem(PSF)

    def excess(log_ratio, planes):
        residual = dense @ dense_filter(dense, np.exp(log_ratio)) @ planes.T - planes.T
        return np.square(residual).mean() - NOISE**2

    planes = blurred.reshape(2, -1)
    pooled = np.exp(brentq(excess, np.log(1e-6), np.log(10), args=(planes,)))
    single = [np.exp(brentq(excess, np.log(1e-6), np.log(10), args=(p[None],))) for p in planes]
    with jax.enable_x64(True):
        operator = psf_operator(jnp.asarray(PSF))

        def choose(y):
            return discrepancy(
                dense_solver(dense), y, operator, NOISE, low=1e-6, high=10.0, bisections=30
            )

        strength, ratio = jax.jit(choose)(blurred)
        assert float(strength) == pytest.approx(pooled, rel=1e-4)
        assert float(ratio) == pytest.approx(1, abs=1e-4)
        strengths, _ = jax.jit(jax.vmap(choose))(blurred)
        np.testing.assert_allclose(strengths, single, rtol=1e-4)
        assert abs(single[0] / single[1] - 1) > 1e-3


def test_discrepancy_says_where_it_cannot_be_met():
    _, _, blurred = problem(PSF)
    operator = psf_operator(jnp.asarray(PSF, jnp.float32))
    blurred = jnp.asarray(blurred, jnp.float32)

    @jax.jit
    def choose(noise_std):
        return discrepancy(
            lambda y, k: tikhonov(y, operator, k), blurred, operator, noise_std, low=0.01, high=1
        )

    strength, ratio = choose(1e-4)
    assert float(strength) == pytest.approx(0.01, rel=1e-3)
    assert ratio > 5
    strength, ratio = choose(100.0)
    assert float(strength) == pytest.approx(1, rel=1e-3)
    assert ratio < 0.1


def dense_scores(dense, blurred):
    planes, scores = blurred.reshape(len(blurred), -1).T, []
    for k in CANDIDATES:
        influence = dense @ dense_filter(dense, k)
        left = 1 - np.trace(influence) / len(dense)
        scores.append(np.square(planes - influence @ planes).mean() / left**2)
    return np.array(scores)


def test_gcv_with_random_signs_comes_close_to_dense_traces():
    dense, _, blurred = problem(PSF, images=40)
    expected = dense_scores(dense, blurred)
    with jax.enable_x64(True):
        operator = psf_operator(jnp.asarray(PSF))
        run = jax.jit(lambda y, c, key: gcv(dense_solver(dense), y, operator, c, key))
        best, scores = run(blurred, CANDIDATES, jax.random.key(0))
        assert float(best) == CANDIDATES[np.argmin(expected)]
        # The freedom left, 1 - tr(H) / n, within four standard errors of Hutchinson's estimate.
        for k, score, wanted in zip(CANDIDATES, scores, expected, strict=True):
            influence = dense @ dense_filter(dense, k)
            left = 1 - np.trace(influence) / len(dense)
            scatter = np.square(influence).sum() - np.square(np.diag(influence)).sum()
            error = np.sqrt(2 * scatter / 40) / len(dense)
            assert error < 0.02
            assert abs(left * np.sqrt(wanted / float(score)) - left) < 4 * error
        _, other = run(blurred, CANDIDATES, jax.random.key(1))
        assert not np.allclose(scores, other, rtol=1e-6)


def test_gcv_is_exact_where_the_derivative_is_diagonal():
    """For x = y / (1 + k) every choice of signs gives the trace itself."""
    images = np.random.default_rng(1).random((2, 5, 6, 1))
    identity = LinearOperator(lambda x: x, lambda x: x)
    with jax.enable_x64(True):
        _, scores = gcv(
            lambda y, k: y / (1 + k),
            jnp.asarray(images),
            identity,
            jnp.asarray(CANDIDATES),
            jax.random.key(0),
        )
        np.testing.assert_allclose(scores, np.square(images).mean(), rtol=1e-10)


def test_gcv_takes_a_method_that_is_not_linear():
    """Total variation: the directional derivative by finite differences along the same signs."""
    _, _, blurred = problem(np.outer(PROFILE, PROFILE), images=1)
    weights, key = np.array([0.003, 0.03]), jax.random.key(3)
    with jax.enable_x64(True):
        operator = separable_operator(jnp.asarray(PROFILE))
        images = jnp.asarray(blurred)

        def solver(y, weight):
            return total_variation(y, operator, weight, iterations=300)

        @jax.jit
        def predicted(y, weight):
            return operator.forward(solver(y, weight))

        _, scores = jax.jit(lambda y, w: gcv(solver, y, operator, w, key))(images, weights)
        signs = jax.random.rademacher(key, images.shape, images.dtype)
        for weight, score in zip(weights, scores, strict=True):
            above, below = (
                np.asarray(predicted(images + h * signs, weight)) for h in (1e-7, -1e-7)
            )
            freedom = 1 - np.mean(np.asarray(signs) * (above - below) / 2e-7)
            residual = np.square(np.asarray(predicted(images, weight)) - blurred).mean()
            assert float(score) == pytest.approx(float(residual / freedom**2), rel=1e-3)


def test_without_originals_the_choices_come_near_their_goals():
    """GCV the least error of prediction, |A x - A truth|; discrepancy the least of restoration."""
    dense, originals, blurred = problem(np.outer(PROFILE, PROFILE), images=8)
    sharp = (dense @ originals.reshape(8, -1).T).T.reshape(originals.shape)
    candidates = np.geomspace(1e-6, 1, 25)
    with jax.enable_x64(True):
        profile, images = jnp.asarray(PROFILE), jnp.asarray(blurred)
        operator = separable_operator(profile)

        def solver(y, k):
            return wiener(y, profile, k)

        by_gcv, _ = jax.jit(lambda y, c: gcv(solver, y, operator, c, jax.random.key(0)))(
            images, candidates
        )
        choose = jax.jit(lambda y: discrepancy(solver, y, operator, NOISE, low=1e-6, high=1.0))
        by_noise, _ = choose(images)
    planes = blurred.reshape(8, -1).T

    def errors(k):
        restored = (dense_filter(dense, float(k)) @ planes).T.reshape(originals.shape)
        predicted = (dense @ restored.reshape(8, -1).T).T.reshape(originals.shape)
        return np.square(predicted - sharp).mean(), np.square(restored - originals).mean()

    prediction, restoration = np.transpose([errors(k) for k in candidates])
    assert errors(by_gcv)[0] < 1.1 * prediction.min()
    assert errors(by_noise)[1] < 1.5 * restoration.min()
    assert errors(by_noise)[1] < 0.5 * np.square(blurred - originals).mean()
