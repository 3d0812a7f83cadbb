"""The filter by one real FFT against SciPy's cosine transforms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.fft import dctn, idctn

from jxr.restoration.cosine_filter import filter_cosines


def by_scipy(images, gain):
    spectrum = dctn(images.astype(np.float64), axes=(-3, -2), norm="ortho")
    return idctn(gain[..., None] * spectrum, axes=(-3, -2), norm="ortho")


@pytest.mark.parametrize(
    "shape", [(6, 8), (5, 7), (6, 7), (7, 6), (2, 2), (1, 5), (4, 1), (1, 1), (3, 2)]
)
def test_every_parity_of_sizes(shape):
    rng = np.random.default_rng(0)
    images, gain = rng.random((2, 3, *shape, 2)), rng.standard_normal(shape)
    with jax.enable_x64(True):
        filtered = np.asarray(jax.jit(filter_cosines)(images, gain))
    assert filtered.dtype == np.float64
    np.testing.assert_allclose(filtered, by_scipy(images, gain), atol=1e-13)


def test_every_single_coefficient_gets_its_own_gain():
    images = np.random.default_rng(0).random((1, 5, 6, 1))
    gains = np.eye(30).reshape(30, 5, 6)
    with jax.enable_x64(True):
        by_gain = jax.vmap(filter_cosines, (None, 0))
        filtered = np.asarray(by_gain(jnp.asarray(images), jnp.asarray(gains)))
    expected = np.stack([by_scipy(images, gain) for gain in gains])
    np.testing.assert_allclose(filtered, expected, atol=1e-14)


def test_float32_is_as_exact_as_the_transforms_of_jax():
    """With gains of a strong deblurring, where rounding is amplified."""
    rng = np.random.default_rng(0)
    images = rng.random((2, 64, 80, 1)).astype(np.float32)
    gain = np.exp(rng.uniform(0, 8, (64, 80)))
    expected = by_scipy(images, gain)
    ours = np.asarray(jax.jit(filter_cosines)(images, gain.astype(np.float32)))
    assert ours.dtype == np.float32

    @jax.jit
    def theirs(images, gain):
        spectrum = jax.scipy.fft.dctn(images, axes=(1, 2), norm="ortho")
        return jax.scipy.fft.idctn(gain[..., None] * spectrum, axes=(1, 2), norm="ortho")

    error = np.abs(ours - expected).std()
    assert error < 1e-6 * gain.max()
    assert error < 1.2 * np.abs(theirs(images, gain.astype(np.float32)) - expected).std()


def test_the_filter_is_its_own_transpose():
    """A gain of real numbers is a symmetric matrix; reverse mode goes through the same FFTs."""
    rng = np.random.default_rng(1)
    gain, x, y = rng.random((3, 5, 8))
    x, y = x[None, ..., None], y[None, ..., None]
    with jax.enable_x64(True):
        _, pull = jax.vjp(lambda images: filter_cosines(images, jnp.asarray(gain)), jnp.asarray(x))
        back = np.asarray(pull(jnp.asarray(y))[0])
    np.testing.assert_allclose(back, by_scipy(y, gain), atol=1e-14)


def test_no_images_are_no_images():
    assert filter_cosines(jnp.zeros((0, 5, 6, 1)), jnp.ones((5, 6))).shape == (0, 5, 6, 1)
