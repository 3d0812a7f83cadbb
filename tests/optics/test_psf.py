"""Gaussian kernels against closed forms in NumPy float64 and SciPy's error function."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ndtr

from jxr.optics import (
    cut_profile,
    effective_sigma,
    gaussian_profile,
    gaussian_psf,
    kernel_radius,
)

SETTINGS = [(c, s) for c in ("standard", "report") for s in ("point", "integrated")]


def closed_form(sigma, radius, convention, sampling):
    """The kernel as written in the docs: no shared factors with the code under test."""
    x = np.arange(-radius, radius + 1, dtype=np.float64)
    if sampling == "point":
        exponent = x**2 / (2 * sigma**2) if convention == "standard" else x**2 / sigma**2
        weights = np.exp(-exponent)
    else:
        std = sigma if convention == "standard" else sigma / np.sqrt(2)
        weights = ndtr((x + 0.5) / std) - ndtr((x - 0.5) / std)
    return weights / weights.sum()


@pytest.mark.parametrize(("convention", "sampling"), SETTINGS)
@pytest.mark.parametrize("sigma", [0.3, 1.0, 2.5])
def test_profile_equals_the_closed_form(sigma, convention, sampling):
    def profile(sigma):
        return gaussian_profile(sigma, radius=7, convention=convention, sampling=sampling)

    expected = closed_form(sigma, 7, convention, sampling)
    single = jax.jit(profile)(sigma)
    assert single.dtype == jnp.float32
    np.testing.assert_allclose(single, expected, rtol=3e-5, atol=1e-7)
    with jax.enable_x64(True):
        double = np.asarray(jax.jit(profile)(sigma))
    assert double.dtype == np.float64
    np.testing.assert_allclose(double, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("convention", "sampling"), SETTINGS)
def test_psf_is_the_two_dimensional_gaussian(convention, sampling):
    psf = jax.jit(
        lambda sigma: gaussian_psf(sigma, radius=5, convention=convention, sampling=sampling)
    )(1.3)
    line = closed_form(1.3, 5, convention, sampling)
    np.testing.assert_allclose(psf, line[:, None] * line[None, :], rtol=3e-5, atol=1e-8)
    np.testing.assert_allclose(psf.sum(), 1, atol=1e-6)


def test_standard_deviation_follows_the_convention():
    x = np.arange(-20, 21)
    for convention, variance in (("standard", 4.0), ("report", 2.0)):
        profile = gaussian_profile(2.0, radius=20, convention=convention)
        np.testing.assert_allclose((profile * x**2).sum(), variance, rtol=1e-5)
        np.testing.assert_allclose(effective_sigma(2.0, convention) ** 2, variance, rtol=1e-12)
    # Integration over a pixel adds the variance of the pixel, 1/12.
    integrated = gaussian_profile(2.0, radius=20, sampling="integrated")
    np.testing.assert_allclose((integrated * x**2).sum(), 4 + 1 / 12, rtol=1e-5)


@pytest.mark.parametrize(("convention", "sampling"), SETTINGS)
@pytest.mark.parametrize("sigma", [0.0, 1e-30, 1e-3])
def test_no_width_is_the_identity_with_a_zero_gradient(sigma, convention, sampling):
    def profile(sigma):
        return gaussian_profile(sigma, radius=3, convention=convention, sampling=sampling)

    identity = np.array([0, 0, 0, 1, 0, 0, 0], np.float32)
    np.testing.assert_array_equal(jax.jit(profile)(sigma), identity)
    np.testing.assert_array_equal(jax.jit(jax.jacrev(profile))(sigma), np.zeros(7))
    np.testing.assert_array_equal(jax.jit(jax.jacfwd(profile))(sigma), np.zeros(7))
    with jax.enable_x64(True):
        np.testing.assert_array_equal(jax.jit(profile)(sigma), identity)


@pytest.mark.parametrize("sigma", [0.3, 0.4, 0.5])
def test_integration_is_nearer_to_the_true_transfer_of_narrow_kernels(sigma):
    alternating = (-1.0) ** np.arange(-3, 4)
    true = np.exp(-((sigma * np.pi) ** 2) / 2)  # of the continuous Gaussian at Nyquist
    point = float(gaussian_profile(sigma, radius=3) @ alternating)
    integrated = float(gaussian_profile(sigma, radius=3, sampling="integrated") @ alternating)
    assert true < integrated < point
    assert integrated - true < 0.5 * (point - true)


@pytest.mark.parametrize(("convention", "sampling"), SETTINGS)
def test_gradient_equals_finite_differences(convention, sampling):
    with jax.enable_x64(True):
        gradient = jax.jit(
            jax.jacrev(
                lambda sigma: gaussian_profile(
                    sigma, radius=6, convention=convention, sampling=sampling
                )
            )
        )(1.5)
        gradient = np.asarray(gradient)
    step = 1e-6
    above, below = (closed_form(1.5 + s, 6, convention, sampling) for s in (step, -step))
    np.testing.assert_allclose(gradient, (above - below) / (2 * step), atol=1e-9)


def test_kernel_radius():
    assert [kernel_radius(s) for s in (0, 0.1, 0.25, 1.0, 2.0, 2.01)] == [1, 1, 1, 4, 8, 9]
    assert [kernel_radius(s, "report") for s in (0.25, 1.0, 2.0)] == [1, 3, 6]


@pytest.mark.parametrize("sigma", [0.0, 0.2, 0.7, 1.25, 3.0])
def test_a_cut_profile_equals_that_of_its_own_radius(sigma):
    wide = gaussian_profile(sigma, radius=20)
    found = jax.jit(cut_profile)(wide, jnp.asarray(sigma))
    radius = kernel_radius(sigma)
    expected = np.pad(closed_form(max(sigma, 0.01), radius, "standard", "point"), 20 - radius)
    np.testing.assert_allclose(found, expected, atol=1e-7)
    assert np.count_nonzero(found) <= 2 * radius + 1


@pytest.mark.parametrize("sigma", [29.0, 31.0, 100.0, 1e5, 1e8, 1e15])
def test_wide_kernels_integrated_over_pixels(sigma):
    """In float32 too, where the differences of the error function are all rounding."""
    x = np.arange(-60, 61)
    exact = np.exp(-(x**2) / (2 * sigma**2)) * (1 + ((x / sigma) ** 2 - 1) / (24 * sigma**2))
    profile = jax.jit(lambda s: gaussian_profile(s, radius=60, sampling="integrated"))
    np.testing.assert_allclose(profile(sigma), exact / exact.sum(), rtol=2e-5)
    assert np.isfinite(jax.jacfwd(profile)(sigma)).all()
