"""The Wiener filter against dense matrices of the blur, built with NumPy alone."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage
from scipy.fft import dctn

from jxr.restoration import choose_noise_to_signal, transfer_function, wiener

HEIGHT, WIDTH = 7, 10
PROFILE = np.array([0.03, 0.12, 0.2, 0.3, 0.2, 0.12, 0.03])


def blur_matrix(n, profile=PROFILE):
    """The dense one-dimensional blur, each tap added where the mirrored index falls."""
    matrix = np.zeros((n, n))
    radius = len(profile) // 2
    for i in range(n):
        for offset in range(-radius, radius + 1):
            j = i + offset
            j = -1 - j if j < 0 else 2 * n - 1 - j if j >= n else j
            matrix[i, j] += profile[offset + radius]
    return matrix


def gaussian(sigma, radius):
    x = np.arange(-radius, radius + 1)
    weights = np.exp(-(x**2) / (2 * sigma**2))
    return weights / weights.sum()


def random_images(*shape):
    return np.random.default_rng(0).random(shape)


def test_transfer_function_holds_the_eigenvalues_of_the_dense_blur():
    with jax.enable_x64(True):
        transfer = np.asarray(
            jax.jit(lambda p: transfer_function(p, HEIGHT, WIDTH))(jnp.asarray(PROFILE))
        )
    assert transfer[0, 0] == pytest.approx(1)
    dense = np.kron(blur_matrix(HEIGHT), blur_matrix(WIDTH))
    np.testing.assert_allclose(np.sort(transfer.ravel()), np.linalg.eigvalsh(dense), atol=1e-13)
    # The order too: blur in the image domain is a product in the cosine domain.
    image = random_images(HEIGHT, WIDTH)
    blurred = blur_matrix(HEIGHT) @ image @ blur_matrix(WIDTH).T
    np.testing.assert_allclose(
        dctn(blurred, norm="ortho"), transfer * dctn(image, norm="ortho"), atol=1e-13
    )


def test_transfer_function_in_float32_is_as_exact_as_its_sum():
    profile = gaussian(2.0, 8)
    expected = np.linalg.eigvalsh(blur_matrix(128, profile))[::-1]
    transfer = jax.jit(lambda p: transfer_function(p, 128, 1))(jnp.asarray(profile, jnp.float32))
    assert transfer.dtype == jnp.float32
    np.testing.assert_allclose(np.sort(transfer[:, 0])[::-1], expected, atol=3e-7)


@pytest.mark.parametrize("ratio", [1e-4, 1e-2, 1.0])
def test_wiener_equals_the_dense_tikhonov_solution(ratio):
    images = random_images(2, HEIGHT, WIDTH, 3)
    dense = np.kron(blur_matrix(HEIGHT), blur_matrix(WIDTH))
    normal = dense.T @ dense + ratio * np.eye(HEIGHT * WIDTH)
    expected = np.empty_like(images)
    for n, c in np.ndindex(2, 3):
        solution = np.linalg.solve(normal, dense.T @ images[n, ..., c].ravel())
        expected[n, ..., c] = solution.reshape(HEIGHT, WIDTH)
    single = jax.jit(wiener)(images.astype(np.float32), PROFILE.astype(np.float32), ratio)
    assert single.dtype == jnp.float32
    np.testing.assert_allclose(single, expected, atol=2e-4)
    with jax.enable_x64(True):
        double = np.asarray(jax.jit(wiener)(images, PROFILE, ratio))
    assert double.dtype == np.float64
    np.testing.assert_allclose(double, expected, atol=1e-11)


def test_a_vanishing_ratio_inverts_a_mild_blur():
    images = random_images(2, 24, 20, 1)
    profile = gaussian(0.7, 3)
    blurred = ndimage.convolve1d(ndimage.convolve1d(images, profile, axis=1), profile, axis=2)
    assert np.abs(blurred - images).max() > 0.1
    with jax.enable_x64(True):
        restored = np.asarray(jax.jit(wiener)(blurred, profile, 1e-14))
    np.testing.assert_allclose(restored, images, atol=1e-8)


def test_leading_axes_are_independent():
    images = random_images(2, 3, HEIGHT, WIDTH, 2).astype(np.float32)
    profile = jnp.asarray(PROFILE, jnp.float32)
    together = jax.jit(wiener)(images, profile, 0.01)
    assert together.shape == images.shape
    alone = jax.jit(wiener)(images[1, 2, :, :, 1:], profile, 0.01)
    np.testing.assert_allclose(together[1, 2, :, :, 1:], alone, atol=1e-5)


def test_vmap_and_gradient_by_the_ratio():
    blurred = random_images(1, HEIGHT, WIDTH, 1)
    ratios = np.array([0.01, 0.1])
    dense = np.kron(blur_matrix(HEIGHT), blur_matrix(WIDTH))

    def energy(ratio):
        normal = dense.T @ dense + ratio * np.eye(HEIGHT * WIDTH)
        return np.square(np.linalg.solve(normal, dense.T @ blurred.ravel())).sum()

    with jax.enable_x64(True):
        value_and_grad = jax.value_and_grad(
            lambda ratio: jnp.square(
                wiener(jnp.asarray(blurred), jnp.asarray(PROFILE), ratio)
            ).sum()
        )
        values, gradients = jax.jit(jax.vmap(value_and_grad))(jnp.asarray(ratios))
        values, gradients = np.asarray(values), np.asarray(gradients)
    np.testing.assert_allclose(values, [energy(r) for r in ratios], rtol=1e-10)
    step = 1e-6
    expected = [(energy(r + step) - energy(r - step)) / (2 * step) for r in ratios]
    np.testing.assert_allclose(gradients, expected, rtol=1e-6)


def test_precision_is_the_highest():
    jaxpr = str(jax.make_jaxpr(lambda p: transfer_function(p, 8, 8))(jnp.ones(3) / 3))
    precisions = re.findall(r"\bprecision=(\([^)]*\)|\S+)", jaxpr)
    assert precisions
    assert all("HIGHEST" in p and "DEFAULT" not in p for p in precisions)


def test_the_best_candidate_wins():
    """Errors of all candidates from dense solves; the winner lies inside the range."""
    rng = np.random.default_rng(1)
    originals = ndimage.gaussian_filter(rng.random((3, HEIGHT, WIDTH, 1)), 1.0, axes=(1, 2))
    rows, columns = blur_matrix(HEIGHT), blur_matrix(WIDTH)
    blurred = np.einsum("ih,nhwc,jw->nijc", rows, originals, columns)
    blurred += 0.01 * rng.standard_normal(blurred.shape)
    candidates = np.array([1.0, 1e-5, 1e-2, 1e-1, 1e-7])
    dense = np.kron(rows, columns)
    expected = []
    for ratio in candidates:
        normal = dense.T @ dense + ratio * np.eye(HEIGHT * WIDTH)
        restored = np.linalg.solve(normal, dense.T @ blurred.reshape(3, -1).T).T
        expected.append(np.square(restored - originals.reshape(3, -1)).mean())
    assert np.argmin(expected) in (2, 3)
    with jax.enable_x64(True):
        best, mses = jax.jit(choose_noise_to_signal)(blurred, originals, PROFILE, candidates)
        best, mses = float(best), np.asarray(mses)
    assert best == candidates[np.argmin(expected)]
    np.testing.assert_allclose(mses, expected, rtol=1e-6)
