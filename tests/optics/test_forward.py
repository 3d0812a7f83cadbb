"""The forward model against SciPy's blur and NumPy's rounding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from jxr.optics import degrade

IMAGES = np.random.default_rng(0).random((3, 24, 20, 1)).astype(np.float32)


def run(**changes):
    options = {"radius": 4, "noise": 0.0, "eight_bit": False, **changes}
    keys = jax.random.split(jax.random.key(0), len(IMAGES))
    return np.asarray(jax.jit(lambda x: degrade(x, 1.0, keys, **options))(jnp.asarray(IMAGES)))


def scipy_blur():
    return ndimage.gaussian_filter(
        IMAGES.astype(np.float64), 1.0, mode="reflect", radius=4, axes=(1, 2)
    )


def test_without_noise_it_is_the_blur():
    np.testing.assert_allclose(run(), scipy_blur(), atol=3e-7)


def test_noise_is_added_after_the_blur():
    noise = run(noise=0.1) - scipy_blur()
    assert noise.std() == pytest.approx(0.1, rel=0.05)
    # White: blurred noise would be correlated between neighbours (0.78 for this kernel).
    neighbours = np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1]
    assert abs(neighbours) < 0.1
    assert np.abs(np.corrcoef(noise.reshape(3, -1)) - np.eye(3)).max() < 0.15


def test_eight_bits_round_the_noisy_image_within_its_range():
    noisy = run(noise=0.5)
    assert noisy.min() < 0
    assert noisy.max() > 1
    expected = np.round(noisy.astype(np.float64).clip(0, 1) * 255)
    np.testing.assert_array_equal(run(noise=0.5, eight_bit=True), (expected / 255).astype("f4"))
