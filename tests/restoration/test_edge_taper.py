"""The edge taper against its definition by loops, and what it is for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from jxr.restoration.edge_taper import edge_taper
from jxr.restoration.wiener import wiener


def lopsided_psf(radius=6):
    """A Gaussian that is cut off below and drawn out along one diagonal."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    psf = np.exp(-((x + 0.5 * y) ** 2) / 8 - y**2 / 4) * (1 + 0.3 * np.sign(y))
    return psf / psf.sum()


def share_of_the_image(projection, n):
    """1 - R(distance to the nearer edge) / R(0), R the autocorrelation of the projected PSF."""
    correlation = np.correlate(projection, projection, "full")[len(projection) - 1 :]
    shares = []
    for i in range(n):
        distance = min(i, n - 1 - i)
        shares.append(
            1 - correlation[distance] / correlation[0] if distance < len(projection) else 1
        )
    return np.array(shares)


@pytest.mark.parametrize("shape", [(30, 41), (9, 20)])
def test_the_taper_blends_the_image_into_its_circular_blur(shape):
    psf = lopsided_psf()
    images = np.random.default_rng(0).random((2, *shape, 2))
    rows = share_of_the_image(psf.sum(axis=1), shape[0])
    columns = share_of_the_image(psf.sum(axis=0), shape[1])
    assert rows[0] == columns[-1] == 0
    share = np.outer(rows, columns)[..., None]
    circular = ndimage.convolve(images, psf[None, ..., None], mode="wrap")
    with jax.enable_x64(True):
        tapered = np.asarray(jax.jit(edge_taper)(images, psf))
    np.testing.assert_allclose(tapered, share * images + (1 - share) * circular, atol=1e-13)


def test_far_from_the_edge_nothing_changes():
    images = np.random.default_rng(0).random((1, 30, 41, 1))
    with jax.enable_x64(True):
        tapered = np.asarray(edge_taper(jnp.asarray(images), jnp.asarray(lopsided_psf())))
    np.testing.assert_array_equal(tapered[:, 13:-13, 13:-13], images[:, 13:-13, 13:-13])


def test_profile_and_psf_taper_alike():
    profile = np.array([0.1, 0.2, 0.4, 0.2, 0.1])
    images = np.random.default_rng(0).random((1, 12, 15, 1))
    with jax.enable_x64(True):
        by_profile = np.asarray(jax.jit(edge_taper)(images, profile))
        by_psf = np.asarray(jax.jit(edge_taper)(images, np.outer(profile, profile)))
    np.testing.assert_allclose(by_profile, by_psf, atol=1e-13)


def test_an_image_cut_out_of_a_larger_scene_is_restored_better_with_tapered_edges():
    """What lies outside was blurred into the image; a plain circular filter takes it for a jump."""
    rng = np.random.default_rng(0)
    psf, cut = lopsided_psf(), slice(20, 84)
    scene = ndimage.gaussian_filter(rng.standard_normal((104, 104)), 3)
    scene = 0.5 + 0.1 * scene / scene.std() + np.linspace(-0.3, 0.3, 104)[:, None]
    blurred = ndimage.convolve(scene, psf)[cut, cut] + 0.002 * rng.standard_normal((64, 64))
    scene = scene[cut, cut]

    def error(boundary, inner=slice(None)):
        restored = jax.jit(wiener, static_argnames="boundary")(
            blurred[None, ..., None].astype(np.float32),
            psf.astype(np.float32),
            1e-3,
            boundary=boundary,
        )
        return np.square(np.asarray(restored)[0, ..., 0] - scene)[inner, inner].mean()

    middle = slice(16, -16)
    assert error("unknown") < error("circular") / 5
    assert error("unknown", middle) < error("circular", middle)
    # In the middle it does what the filter is for.
    untouched = np.square(blurred - scene)[middle, middle].mean()
    assert error("unknown", middle) < untouched / 2


def test_an_unknown_boundary_is_a_circular_one_after_the_taper():
    psf = jnp.asarray(lopsided_psf(2), jnp.float32)
    images = jnp.asarray(np.random.default_rng(0).random((2, 12, 15, 1)), jnp.float32)
    expected = wiener(edge_taper(images, psf), psf, 0.01, boundary="circular")
    np.testing.assert_allclose(wiener(images, psf, 0.01, boundary="unknown"), expected, atol=1e-6)
    assert np.abs(expected - wiener(images, psf, 0.01, boundary="circular")).max() > 0.01
