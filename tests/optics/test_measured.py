"""Known widths from simulated edges and slits, with noise and without."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ndtr

from jxr.optics.focal_spots import GaussianSpot
from jxr.optics.gaussian_fits import GaussianMixture, fit_edge, fit_slit
from jxr.optics.geometric_psf import psf_at
from jxr.optics.geometry import Geometry
from jxr.optics.measured import (
    isotropic_transfer,
    line_spread_from_edge,
    line_spread_from_slit,
    modulation_transfer,
    separable_psf,
    spot_from_slits,
    width_at,
)
from jxr.optics.transfer import transfer_blur

SPACING = 0.02
X = np.arange(400) * SPACING - 4.013
CORE = ((0.7, 0.12), (0.3, 0.5))


def edge_profile(parts, falling=False):
    edge = sum(w * ndtr(X / s) for w, s in parts)
    return 100 + 900 * (1 - edge if falling else edge)


def slit_profile(parts):
    density = sum(w * np.exp(-((X / s) ** 2) / 2) / s for w, s in parts)
    return 37 + 500 * density


@pytest.mark.parametrize("falling", [False, True])
def test_line_spread_of_an_edge(falling):
    line = line_spread_from_edge(edge_profile([(1.0, 0.2)], falling), SPACING)
    middle = X[:-1] + SPACING / 2
    density = np.exp(-((middle / 0.2) ** 2) / 2) / (0.2 * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(line, density, atol=2e-3)
    assert line.sum() * SPACING == pytest.approx(1)


def test_line_spread_of_a_slit_and_its_width():
    line = line_spread_from_slit(slit_profile([(1.0, 0.2)]), SPACING)
    assert line.sum() * SPACING == pytest.approx(1)
    assert width_at(line, SPACING) == pytest.approx(0.2 * 2 * np.sqrt(2 * np.log(1 / 0.15)), 1e-3)
    assert width_at(line, SPACING, 0.5) == pytest.approx(0.2 * 2.35482, 1e-3)


def test_the_background_of_a_slit_is_the_mean_of_both_its_ends():
    """A quarter of 20 samples is five at each end; the least is one."""
    slit = np.array([3.0, 1, 2, 4, 5, *[8.0] * 10, 7, 6, 9, 8, 5])
    for ends, background in ((0.25, (15 + 35) / 10), (0.01, (3 + 5) / 2)):
        above = slit - background
        line = line_spread_from_slit(slit, 0.5, ends=ends)
        np.testing.assert_allclose(line, above / (0.5 * above.sum()))


def test_the_width_is_that_between_the_outermost_crossings():
    line = np.array([0.0, 0, 0, 1, 0, 0, 0, 0.5, 0, 0])
    assert width_at(line, 0.1, 0.25) == pytest.approx(0.1 * (7.5 - 2.25))


def test_an_mtf_is_1_at_zero_though_it_rise_beyond():
    """Of a line with overshoots, as of a processed edge: 1.5 - 0.5 cos(2 pi f spacing)."""
    line = np.zeros(16)
    line[7:10] = -0.25, 1.5, -0.25
    frequencies, mtf = modulation_transfer(line, 0.5, differenced=False)
    assert (frequencies[0], frequencies[-1]) == (0, 1)
    np.testing.assert_allclose(mtf, 1.5 - 0.5 * np.cos(np.pi * frequencies), atol=1e-12)


def test_a_measured_transfer_is_isotropic_and_constant_beyond_its_last_frequency():
    transfer = isotropic_transfer(np.array([0.0, 1.0, 2.0]), np.array([1.0, 0.8, 0.5]))
    found = transfer(jnp.array([[0.0, 0.9, 3.0]]), jnp.array([[0.0, 1.2, 4.0]]))
    np.testing.assert_allclose(found, [[1.0, 0.65, 0.5]], rtol=1e-6)


def test_smoothing_adds_its_variance():
    line = line_spread_from_edge(edge_profile([(1.0, 0.2)]), SPACING, smoothing_mm=0.15)
    middle = X[:-1] + SPACING / 2
    assert np.sqrt(line @ middle**2 * SPACING) == pytest.approx(0.25, rel=2e-3)


@pytest.mark.parametrize("source", ["edge", "slit"])
def test_mtf_is_the_transform_of_the_blur(source):
    if source == "edge":
        line = line_spread_from_edge(edge_profile(CORE), SPACING)
    else:
        line = line_spread_from_slit(slit_profile(CORE), SPACING)
    f, mtf = modulation_transfer(line, SPACING, differenced=source == "edge")
    expected = sum(w * np.exp(-2 * (np.pi * s * f) ** 2) for w, s in CORE)
    np.testing.assert_allclose(mtf, expected, atol=1e-6)


@pytest.mark.parametrize("fit", [fit_edge, fit_slit])
@pytest.mark.parametrize("sigma", [0.05, 0.2, 0.6])
def test_one_gaussian_is_recovered(fit, sigma):
    profile = (edge_profile if fit is fit_edge else slit_profile)([(1.0, sigma)])
    found = fit(profile, SPACING)
    assert found.sigmas_mm[0] == pytest.approx(sigma, rel=1e-6)
    assert found.centre_mm == pytest.approx(4.013, abs=1e-6)
    assert found.weights == (1.0,)


@pytest.mark.parametrize("fit", [fit_edge, fit_slit])
def test_core_and_tail_are_recovered(fit):
    profile = (edge_profile if fit is fit_edge else slit_profile)(CORE)
    found = fit(profile, SPACING, components=2)
    np.testing.assert_allclose(found.weights, [0.7, 0.3], rtol=1e-5)
    np.testing.assert_allclose(found.sigmas_mm, [0.12, 0.5], rtol=1e-5)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_noisy_profiles_are_fitted(seed):
    """Noise of 1 % of the step: widths within a few per cent, where differences drown."""
    rng = np.random.default_rng(seed)
    noisy = edge_profile(CORE) + rng.normal(0, 9, X.size)
    found = fit_edge(noisy, SPACING, components=2)
    np.testing.assert_allclose(found.sigmas_mm, [0.12, 0.5], rtol=0.15)
    f = np.linspace(0, 4, 30)
    expected = sum(w * np.exp(-2 * (np.pi * s * f) ** 2) for w, s in CORE)
    fitted = np.asarray(found.transfer(jnp.asarray(f[None]), jnp.zeros((1, 30))))[0]
    assert np.abs(fitted - expected).max() < 0.03
    line = line_spread_from_edge(noisy, SPACING)
    frequencies, mtf = modulation_transfer(line, SPACING, differenced=True)
    raw = np.interp(f, frequencies, mtf)
    assert np.abs(raw - expected).max() > 2 * np.abs(fitted - expected).max()


def test_psf_of_a_fit_is_the_integral_over_pixels():
    found = fit_edge(edge_profile(CORE), SPACING, components=2)
    edges = (np.arange(-12, 14) - 0.5) * 0.3
    expected = sum(w * np.outer(*[np.diff(ndtr(edges / s))] * 2) for w, s in CORE)
    np.testing.assert_allclose(found.psf(0.3, 12), expected, atol=1e-5)


@pytest.mark.parametrize("radius", [1, 4])
def test_tails_beyond_the_radius_do_not_fatten_the_core(radius):
    found = GaussianMixture((0.8, 0.2), (0.1, 0.6), 0.0)
    edges = (np.arange(-radius, radius + 2) - 0.5) * 0.1
    parts = zip(found.weights, found.sigmas_mm, strict=True)
    expected = sum(w * np.outer(*[np.diff(ndtr(edges / s))] * 2) for w, s in parts)
    np.testing.assert_allclose(found.psf(0.1, radius), expected / expected.sum(), atol=1e-6)


def test_a_measured_transfer_has_a_derivative_by_the_pitch():
    transfer = isotropic_transfer(np.linspace(0, 20, 41), np.exp(-np.linspace(0, 2, 41)))
    image = np.random.default_rng(0).random((12, 12, 1))

    def energy(pitch):
        return jnp.sum(transfer_blur(jnp.asarray(image), transfer, pitch) ** 2)

    with jax.enable_x64(True):
        expected = (energy(0.1037 + 1e-7) - energy(0.1037 - 1e-7)) / 2e-7
        assert float(jax.grad(energy)(0.1037)) == pytest.approx(float(expected), rel=1e-4)


def test_isotropic_transfer_blurs_as_the_fit_does():
    """The radial slice of a measured MTF against the two-dimensional Gaussians themselves."""
    line = line_spread_from_edge(edge_profile(CORE), SPACING)
    measured = isotropic_transfer(*modulation_transfer(line, SPACING, differenced=True))
    found = fit_edge(edge_profile(CORE), SPACING, components=2)
    image = jnp.asarray(np.random.default_rng(0).random((1, 24, 24, 1)), jnp.float32)
    one = transfer_blur(image, measured, 0.15)
    other = transfer_blur(image, found.transfer, 0.15)
    np.testing.assert_allclose(one, other, atol=4e-3)
    assert np.abs(one - image).max() > 0.2


def test_separable_psf_of_two_slits():
    lines = [line_spread_from_slit(slit_profile([(1.0, s)]), SPACING) for s in (0.2, 0.35)]
    edges = (np.arange(-4, 6) - 0.5) * 0.25
    expected = np.outer(*[np.diff(ndtr(edges / s)) for s in (0.2, 0.35)])
    expected /= expected.sum()
    np.testing.assert_allclose(separable_psf(*lines, SPACING, 0.25, 4), expected, atol=5e-4)


def test_a_slit_camera_gives_the_spot_of_a_geometry():
    """Line spreads of a known Gaussian spot, enlarged by 2, lead back to its PSF."""
    deviation = 0.5 / np.sqrt(-2 * np.log(0.15))
    wide, narrow = (
        line_spread_from_slit(slit_profile([(1.0, 2 * f * deviation)]), SPACING)[::2]
        for f in (1.2, 0.8)
    )
    spot, extent = spot_from_slits(wide, narrow, 2 * SPACING, 2.0)
    np.testing.assert_allclose(extent, 4.0)
    known = Geometry((1.2, 0.8), 12.0, 1800.0, 1500.0, 0.04, GaussianSpot())
    measured = replace(known, focal_spot_mm=extent, shape=spot)

    def at(geometry):
        return jax.jit(lambda y: psf_at(geometry, y, -2500.0, 9))(3000.0)

    assert np.abs(at(measured) - at(known)).sum() / 2 < 2e-3


def test_a_slit_camera_s_axes_are_kept_apart_and_noise_below_zero_is_dropped():
    along, across = np.array([-1.0, 3.0, 1.0, -2.0]), np.array([1.0, 2.0, -0.5, 1.0, 4.0, 0.0])
    spot, extent = spot_from_slits(along, across, 0.3, 1.5)
    np.testing.assert_allclose(extent, (4 * 0.2, 6 * 0.2))
    expected = np.outer([0, 3, 1, 0], [1, 2, 0, 1, 4, 0])
    np.testing.assert_allclose(spot.picture, expected / expected.sum())


def test_bad_profiles_are_refused():
    with pytest.raises(ValueError, match="finite"):
        line_spread_from_edge(np.array([0.0] * 9 + [np.nan]), 0.1)
    with pytest.raises(ValueError, match="invert"):
        line_spread_from_slit(-slit_profile(CORE), SPACING)
    with pytest.raises(ValueError, match="8 or more"):
        line_spread_from_edge(np.arange(7.0), 0.1)
    np.testing.assert_allclose(line_spread_from_edge(np.arange(8.0), 0.5), 1 / 3.5)
    with pytest.raises(ValueError, match="shows no edge"):
        line_spread_from_edge(np.r_[1.0, np.zeros(9), 1.0], 0.1)
    for ramp in (np.linspace(0, 1, 30), np.linspace(1, 0, 30)):
        with pytest.raises(ValueError, match="both ends"):
            width_at(ramp, 0.1)
    with pytest.raises(ValueError, match="has no area"):
        modulation_transfer(np.tile([1.0, -1.0], 8), 0.1, differenced=False)
    with pytest.raises(ValueError, match="frequencies must rise"):
        isotropic_transfer(np.array([0.0, 1, 1]), np.array([1.0, 0.5, 0.2]))
    with pytest.raises(ValueError, match="nothing of a profile lies within radius 0"):
        separable_psf(np.r_[np.ones(8), np.zeros(40), np.ones(8)], np.ones(56), 0.1, 0.2, 0)
