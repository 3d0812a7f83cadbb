"""Noise by its moments and distribution, quantisation by known grey levels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jxr.optics import add_gaussian_noise, quantise


def test_noise_is_gaussian_with_the_given_deviation():
    images = jnp.full((4, 64, 64, 1), 0.5)
    noisy = jax.jit(add_gaussian_noise)(jax.random.key(0), images, 0.1)
    assert noisy.dtype == jnp.float32
    noise = (np.asarray(noisy, np.float64) - 0.5).ravel()
    assert abs(noise.mean()) < 4 * 0.1 / np.sqrt(noise.size)
    assert noise.std() == pytest.approx(0.1, rel=4 / np.sqrt(2 * noise.size))
    assert stats.kstest(noise / 0.1, "norm").pvalue > 1e-3
    neighbours = np.corrcoef(noise[:-1], noise[1:])[0, 1]
    assert abs(neighbours) < 4 / np.sqrt(noise.size)


def test_noise_is_not_clipped():
    noisy = jax.jit(add_gaussian_noise)(jax.random.key(1), jnp.zeros((1, 32, 32, 1)), 0.1)
    assert 0.4 < float((noisy < 0).mean()) < 0.6


def test_noise_follows_the_key_alone():
    dark, bright = jnp.zeros((1, 32, 32, 1)), jnp.ones((1, 32, 32, 1))
    noise = jax.jit(add_gaussian_noise)
    first = noise(jax.random.key(0), dark, 0.1)
    np.testing.assert_array_equal(first, noise(jax.random.key(0), dark, 0.1))
    np.testing.assert_allclose(first, noise(jax.random.key(0), bright, 0.1) - 1, atol=1e-6)
    other = noise(jax.random.key(1), dark, 0.1)
    assert abs(np.corrcoef(np.ravel(first), np.ravel(other))[0, 1]) < 4 / 32


def test_no_deviation_is_the_identity():
    images = jax.random.uniform(jax.random.key(2), (2, 8, 8, 1))
    np.testing.assert_array_equal(
        jax.jit(add_gaussian_noise)(jax.random.key(0), images, 0.0), images
    )


def test_quantise_known_values():
    values = jnp.array([-0.2, 0.0, 0.4 / 255, 0.6 / 255, 0.3, 0.999, 1.0, 1.7])
    expected = np.array([0, 0, 0, 1, 76, 255, 255, 255], np.float32) / np.float32(255)
    np.testing.assert_array_equal(jax.jit(quantise)(values), expected)
    coarse = jax.jit(lambda x: quantise(x, bits=1))(jnp.array([0.2, 0.5, 0.51, 0.9]))
    np.testing.assert_array_equal(coarse, [0, 0, 1, 1])


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_every_grey_level_is_a_fixed_point(bits):
    levels = np.arange(2**bits, dtype=np.float32) / np.float32(2**bits - 1)
    np.testing.assert_array_equal(jax.jit(lambda x: quantise(x, bits=bits))(levels), levels)


def test_quantise_is_never_off_by_more_than_half_a_level():
    images = jax.random.uniform(jax.random.key(0), (1, 64, 64, 1))
    error = np.asarray(jax.jit(quantise)(images)) - np.asarray(images, np.float64)
    assert np.abs(error).max() <= 0.5 / 255 + 1e-7
    assert np.square(error).mean() == pytest.approx(1 / 255**2 / 12, rel=0.1)


def test_deep_grey_levels_of_half_precision():
    """float16 holds no 65,535, so the levels are computed in float32."""
    levels = quantise(jnp.asarray([0.0, 0.5, 1.0, 2.0], jnp.float16), bits=16)
    assert levels.dtype == jnp.float16
    np.testing.assert_array_equal(levels, [0, 0.5, 1, 1])
