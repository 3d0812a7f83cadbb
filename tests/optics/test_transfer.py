"""Blur in the frequency domain against analytic blur and convolution on a finer grid."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.fft import dctn, idctn
from scipy.ndimage import gaussian_filter1d

from jxr.optics import gaussian_blur
from jxr.optics.transfer import (
    compose,
    gaussian_transfer,
    lorentzian_transfer,
    pixel_transfer,
    transfer_blur,
)


def cosine(n, k, oversampling=1):
    """The k-th half-sample symmetric cosine on n pixels, or on a finer grid within them."""
    return np.cos(np.pi * k * (np.arange(n * oversampling) + 0.5) / (n * oversampling))


@pytest.mark.parametrize("sigma", [0.0, 0.1, 0.7, 3.0])
@pytest.mark.parametrize(("j", "k"), [(0, 0), (5, 0), (3, 11), (19, 23)])
def test_a_cosine_is_attenuated_by_what_the_formula_says(sigma, j, k):
    image = np.outer(cosine(20, j), cosine(24, k))[..., None]
    squared = (np.pi * j / 20) ** 2 + (np.pi * k / 24) ** 2
    with jax.enable_x64(True):
        blurred = jax.jit(lambda x: transfer_blur(x, gaussian_transfer(sigma)))(image)
    np.testing.assert_allclose(blurred, np.exp(-(sigma**2) * squared / 2) * image, atol=1e-13)


@pytest.mark.parametrize("sigma", [0.1, 0.3, 1.0])
def test_equals_convolution_on_a_finer_grid(sigma):
    """A band-limited image, blurred 31 times finer, then sampled at the pixel centres."""
    fine = 31
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(16, 16))
    basis = {f: np.stack([cosine(16, k, f) for k in range(16)]) for f in (1, fine)}
    coarse, dense = (np.einsum("ab,ai,bj->ij", weights, basis[f], basis[f]) for f in (1, fine))
    for axis in (0, 1):
        dense = gaussian_filter1d(dense, sigma * fine, axis, mode="reflect", truncate=9)
    centres = slice(fine // 2, None, fine)
    with jax.enable_x64(True):
        blurred = jax.jit(lambda x: transfer_blur(x, gaussian_transfer(sigma)))(coarse[..., None])
    np.testing.assert_allclose(blurred[..., 0], dense[centres, centres], atol=1e-10)


def test_an_even_transfer_multiplies_the_cosine_spectrum():
    image = np.random.default_rng(1).random((2, 10, 13, 3))
    fy, fx = np.meshgrid(np.arange(10) / 20 / 0.2, np.arange(13) / 26 / 0.3, indexing="ij")
    gain = 1 / (1 + (fy**2 + fx**2) / 1.1**2)
    spectrum = dctn(image, axes=(1, 2), norm="ortho")
    expected = idctn(spectrum * gain[..., None], axes=(1, 2), norm="ortho")
    blur = jax.jit(lambda x: transfer_blur(x, lorentzian_transfer(1.1), (0.2, 0.3)))
    with jax.enable_x64(True):
        found = blur(jnp.asarray(image))
    np.testing.assert_allclose(found, expected, atol=1e-13)
    single = blur(jnp.asarray(image, jnp.float32))
    assert single.dtype == jnp.float32
    np.testing.assert_allclose(single, expected, atol=2e-6)


@pytest.mark.parametrize("boundary", ["reflect", "circular"])
def test_equals_a_kernel_where_a_kernel_is_wide_enough(boundary):
    image = np.random.default_rng(2).random((1, 40, 36, 1))
    with jax.enable_x64(True):

        @jax.jit
        def both(x):
            found = transfer_blur(x, gaussian_transfer(2.5), boundary=boundary)
            return found, gaussian_blur(x, 2.5, radius=18, boundary=boundary)

        found, expected = both(image)
    np.testing.assert_allclose(found, expected, atol=1e-8)


def test_an_uneven_transfer_shifts_the_right_way():
    """A whole pixel down and two right, as a convolution with that kernel would."""
    image = np.random.default_rng(4).random((8, 9, 1)).astype(np.float32)
    padded = np.pad(image, ((2, 2), (2, 2), (0, 0)), mode="symmetric")

    def shift(fy, fx):
        return jnp.exp(-2j * jnp.pi * (fy * 1 + fx * 2))

    moved = jax.jit(lambda x: transfer_blur(x, shift))(image)
    np.testing.assert_allclose(moved, padded[1:9, 0:9], atol=1e-5)


def test_stages_multiply():
    image = jnp.asarray(np.random.default_rng(5).random((1, 12, 12, 1)), jnp.float32)
    stages = (gaussian_transfer(0.2), lorentzian_transfer(3.0), pixel_transfer(0.15))

    @jax.jit
    def both(image):
        at_once = transfer_blur(image, compose(*stages), 0.15)
        for stage in stages:
            image = transfer_blur(image, stage, 0.15)
        return at_once, image

    np.testing.assert_allclose(*both(image), atol=1e-6)


def test_pixel_transfer_is_that_of_a_box():
    """A cosine of 0.21 cycles per pixel, averaged over each pixel by brute force."""
    n, fine = 50, 400
    k = 21
    averaged = cosine(n, k, fine).reshape(n, fine).mean(1)
    image = jnp.asarray(np.repeat(cosine(n, k)[:, None], 4, 1)[..., None], jnp.float32)
    blurred = np.asarray(jax.jit(lambda x: transfer_blur(x, pixel_transfer(0.5), 0.5))(image))
    np.testing.assert_allclose(blurred[:, 0, 0], averaged, atol=1e-5)


def test_pixels_may_differ_in_height_and_width():
    fy, fx = jnp.array([[0.7, 0.7]]), jnp.array([[0.0, 1.1]])
    found = pixel_transfer((0.5, 0.2))(fy, fx)
    expected = np.sinc(0.35) * np.array([[1.0, np.sinc(0.22)]])
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_known_values_of_the_lorentzian():
    fy, fx = jnp.array([[0.0, 3.0]]), jnp.array([[0.0, 4.0]])
    np.testing.assert_allclose(lorentzian_transfer(5.0)(fy, fx), [[1.0, 0.5]])


def test_traced_over_sigma():
    image = jnp.asarray(np.random.default_rng(6).random((1, 9, 9, 1)), jnp.float32)

    def blur(sigma):
        return transfer_blur(image, gaussian_transfer(sigma))

    sigmas = jnp.array([0.0, 0.2, 1.0])
    together, alone = jax.jit(jax.vmap(blur))(sigmas), jax.jit(blur)
    for sigma, one in zip(sigmas, together, strict=True):
        np.testing.assert_allclose(one, alone(sigma), atol=1e-6)
    np.testing.assert_allclose(together[0], image, atol=1e-6)
    with jax.enable_x64(True):
        exact = jnp.asarray(np.asarray(image, np.float64))
        score = jax.jit(lambda s: (transfer_blur(exact, gaussian_transfer(s)) ** 3).sum())
        numeric = (float(score(0.5 + 1e-6)) - float(score(0.5 - 1e-6))) / 2e-6
        assert float(jax.jit(jax.grad(score))(0.5)) == pytest.approx(numeric, rel=1e-6)
