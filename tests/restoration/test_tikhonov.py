"""Tikhonov by conjugate gradients against dense solves and the Wiener filter."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jxr.optics import gaussian_profile
from jxr.optics.operators import psf_operator, separable_operator
from jxr.restoration import wiener
from jxr.restoration.tikhonov import tikhonov
from tests.restoration.dense import blur_matrix, gaussian, gradient_matrices, lopsided_psf

HEIGHT, WIDTH = 7, 10


def random_images(*shape):
    return np.random.default_rng(0).random(shape)


def dense_solution(dense, blurred, ratio, penalty="identity"):
    """Of flattened planes, one a row."""
    down, along = gradient_matrices(HEIGHT, WIDTH)
    rough = np.eye(HEIGHT * WIDTH) if penalty == "identity" else down.T @ down + along.T @ along
    return np.linalg.solve(dense.T @ dense + ratio * rough, dense.T @ blurred.T).T


@pytest.mark.parametrize(
    ("boundary", "penalty"),
    [("reflect", "identity"), ("reflect", "gradient"), ("edge", "gradient"), ("zero", "identity")],
)
def test_equals_the_dense_solution(penalty, boundary):
    psf, images = lopsided_psf(), random_images(2, HEIGHT, WIDTH, 3)
    dense = blur_matrix(psf, HEIGHT, WIDTH, boundary)
    planes = np.moveaxis(images, -1, 1).reshape(6, -1)
    solution = dense_solution(dense, planes, 0.01, penalty).reshape(2, 3, HEIGHT, WIDTH)
    expected = np.moveaxis(solution, 1, -1)

    def run(images, psf, **options):
        operator = psf_operator(psf, boundary=boundary)
        return tikhonov(images, operator, 0.01, penalty=penalty, **options)

    with jax.enable_x64(True):
        exact = jax.jit(lambda images, psf: run(images, psf, tolerance=1e-12))
        double = np.asarray(exact(images, psf))
    np.testing.assert_allclose(double, expected, atol=1e-9)
    if boundary == "reflect":
        single = jax.jit(run)(images.astype(np.float32), psf.astype(np.float32))
        assert single.dtype == jnp.float32
        np.testing.assert_allclose(single, expected, atol=1e-3)


def test_equals_the_wiener_filter():
    images = random_images(2, 24, 20, 1)

    @jax.jit
    def both(images, profile):
        restored = tikhonov(images, separable_operator(profile), 1e-3, tolerance=1e-12)
        return restored, wiener(images, profile, 1e-3)

    with jax.enable_x64(True):
        restored, expected = both(images, gaussian(1.0, 4))
        np.testing.assert_allclose(restored, expected, atol=1e-8)
        assert np.abs(np.asarray(expected) - images).max() > 0.5


def test_each_image_converges_on_its_own():
    """One residual for both would be met before the dark image has been touched."""
    images = random_images(2, HEIGHT, WIDTH, 1) * np.array([1, 1e-6])[:, None, None, None]
    psf = lopsided_psf()
    expected = dense_solution(blur_matrix(psf, HEIGHT, WIDTH), images.reshape(2, -1), 1e-3)
    with jax.enable_x64(True):
        operator = psf_operator(jnp.asarray(psf))
        run = jax.jit(lambda images: tikhonov(images, operator, 1e-3, tolerance=1e-10))
        restored = np.asarray(run(images))
    for image, wanted in zip(restored.reshape(2, -1), expected, strict=True):
        np.testing.assert_allclose(image, wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())


def test_the_first_iteration_is_the_steepest_descent():
    images, psf, ratio = random_images(1, HEIGHT, WIDTH, 1), lopsided_psf(), 0.01
    dense = blur_matrix(psf, HEIGHT, WIDTH)
    slope = dense.T @ images.ravel()
    normal = dense.T @ dense + ratio * np.eye(slope.size)
    expected = slope * (slope @ slope) / (slope @ normal @ slope)
    with jax.enable_x64(True):
        operator = psf_operator(jnp.asarray(psf))
        run = jax.jit(lambda images: tikhonov(images, operator, ratio, iterations=1))
        restored = np.asarray(run(images))
    np.testing.assert_allclose(restored.ravel(), expected, rtol=1e-10)


@pytest.mark.parametrize("penalty", ["identity", "gradient"])
def test_gradients_by_sigma_ratio_and_image(penalty):
    blurred = random_images(1, HEIGHT, WIDTH, 1)

    def dense_energy(sigma, ratio, blurred):
        psf = np.outer(gaussian(sigma, 3), gaussian(sigma, 3))
        dense = blur_matrix(psf, HEIGHT, WIDTH)
        return np.square(dense_solution(dense, blurred.reshape(1, -1), ratio, penalty) - 1).sum()

    def energy(sigma, ratio, blurred):
        operator = separable_operator(gaussian_profile(sigma, radius=3))
        restored = tikhonov(blurred, operator, ratio, penalty=penalty, tolerance=1e-13)
        return jnp.sum((restored - 1) ** 2)

    sigmas, ratios, step = np.array([0.6, 1.0]), np.array([0.05, 0.02]), 1e-5
    with jax.enable_x64(True):
        slopes = jax.jit(jax.vmap(jax.grad(energy, argnums=(0, 1, 2)), in_axes=(0, 0, None)))
        by_sigma, by_ratio, by_image = (
            np.asarray(g) for g in slopes(sigmas, ratios, jnp.asarray(blurred))
        )
    for n, (s, r) in enumerate(zip(sigmas, ratios, strict=True)):
        change = dense_energy(s + step, r, blurred) - dense_energy(s - step, r, blurred)
        assert by_sigma[n] == pytest.approx(change / (2 * step), rel=1e-5)
        change = dense_energy(s, r + step, blurred) - dense_energy(s, r - step, blurred)
        assert by_ratio[n] == pytest.approx(change / (2 * step), rel=1e-5)
        nudge = np.zeros_like(blurred)
        nudge[0, 2, 3, 0] = step
        change = dense_energy(s, r, blurred + nudge) - dense_energy(s, r, blurred - nudge)
        assert by_image[n][0, 2, 3, 0] == pytest.approx(change / (2 * step), rel=1e-5)
