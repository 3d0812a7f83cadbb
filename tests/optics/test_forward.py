"""The forward model against SciPy's blur and NumPy's rounding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage
from scipy.special import ndtr

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


@pytest.mark.parametrize(
    ("options", "std", "mode"),
    [
        ({"convention": "report"}, np.sqrt(0.5), "reflect"),
        ({"boundary": "zero"}, 1.0, "constant"),
        ({"boundary": "edge"}, 1.0, "nearest"),
    ],
)
def test_convention_and_boundary_are_those_asked_for(options, std, mode):
    expected = ndimage.gaussian_filter(
        IMAGES.astype(np.float64), std, mode=mode, radius=4, axes=(1, 2)
    )
    np.testing.assert_allclose(run(**options), expected, atol=3e-7)


def test_the_kernel_may_be_integrated_over_pixels():
    masses = np.diff(ndtr(np.arange(-4, 6) - 0.5))
    expected = IMAGES.astype(np.float64)
    for axis in (1, 2):
        expected = ndimage.convolve1d(expected, masses / masses.sum(), axis=axis)
    np.testing.assert_allclose(run(sampling="integrated"), expected, atol=3e-7)


@pytest.mark.parametrize(("convention", "reach"), [("standard", 12), ("report", 8)])
def test_a_kernel_that_is_cut_ends_at_four_of_its_own_standard_deviations(convention, reach):
    impulse = jnp.zeros((1, 31, 31, 1)).at[0, 15, 15].set(1)
    keys = jax.random.split(jax.random.key(0), 1)
    options = {"radius": 14, "noise": 0.0, "eight_bit": False, "cut": True}
    spread = jax.jit(lambda x: degrade(x, 2.8, keys, convention=convention, **options))(impulse)
    touched = np.flatnonzero(np.asarray(spread)[0, 15, :, 0])
    np.testing.assert_array_equal(touched, np.arange(15 - reach, 16 + reach))


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
