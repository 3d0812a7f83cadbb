"""Transfer functions against dense blurs, power spectra against transforms done by hand."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage
from scipy.fft import dct

from jxr.restoration.spectra import (
    circular_transfer_function,
    gradient_power,
    mean_power_spectrum,
    noise_to_signal_spectrum,
    transfer_function,
)

HEIGHT, WIDTH = 6, 9


def lopsided():
    return np.random.default_rng(2).random((3, 5)) / 7


def even_in_both():
    psf = lopsided()
    return (psf + psf[::-1] + psf[:, ::-1] + psf[::-1, ::-1]) / 4


def test_a_symmetric_psf_is_diagonal_in_the_cosine_domain():
    psf = even_in_both()
    assert np.linalg.matrix_rank(psf) > 1  # so that no profile stands for it
    image = np.random.default_rng(0).random((HEIGHT, WIDTH))
    with jax.enable_x64(True):
        transfer = np.asarray(transfer_function(jnp.asarray(psf), HEIGHT, WIDTH))
    cosines = [dct(np.eye(n), axis=0, norm="ortho") for n in (HEIGHT, WIDTH)]
    blurred = ndimage.convolve(image, psf, mode="reflect")
    np.testing.assert_allclose(
        cosines[0] @ blurred @ cosines[1].T,
        transfer * (cosines[0] @ image @ cosines[1].T),
        atol=1e-13,
    )


def test_gradient_power_is_of_forward_differences_mirrored_at_the_edges():
    power = gradient_power(HEIGHT, WIDTH)
    rows, columns = (dct(np.eye(n), axis=0, norm="ortho") for n in (HEIGHT, WIDTH))
    for row in range(HEIGHT):
        for column in range(WIDTH):
            cosine = np.outer(rows[row], columns[column])
            # The mirror repeats the last pixel, so the difference across the edge is zero.
            squared = sum((np.diff(cosine, axis=axis) ** 2).sum() for axis in (0, 1))
            np.testing.assert_allclose(power[row, column], squared, atol=1e-13)


@pytest.mark.parametrize("width", [8, 9])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_psf_is_diagonal_in_the_fourier_domain(width, dtype):
    psf = lopsided()
    image = np.random.default_rng(0).random((HEIGHT, width))
    with jax.enable_x64(True):
        transfer = jax.jit(lambda p: circular_transfer_function(p, HEIGHT, width))(
            psf.astype(dtype)
        )
        transfer = np.asarray(transfer)
    assert transfer.dtype == (np.complex64 if dtype == np.float32 else np.complex128)
    blurred = ndimage.convolve(image, psf, mode="wrap")
    np.testing.assert_allclose(
        np.fft.rfft2(blurred),
        transfer * np.fft.rfft2(image),
        atol=1e-5 if dtype == np.float32 else 1e-12,
    )


def test_a_profile_stands_for_its_outer_product():
    profile = jnp.array([0.2, 0.5, 0.3])
    np.testing.assert_allclose(
        circular_transfer_function(profile, 5, 4),
        circular_transfer_function(jnp.outer(profile, profile), 5, 4),
        atol=1e-6,
    )


def test_a_psf_larger_than_the_image_wraps_around():
    psf = np.random.default_rng(3).random((7, 9))
    folded = np.zeros((4, 5))
    for i, j in np.ndindex(7, 9):
        folded[(i - 3) % 4, (j - 4) % 5] += psf[i, j]
    with jax.enable_x64(True):
        transfer = np.asarray(circular_transfer_function(jnp.asarray(psf), 4, 5))
    np.testing.assert_allclose(transfer, np.fft.rfft2(folded), atol=1e-12)


@pytest.mark.parametrize("function", [transfer_function, circular_transfer_function])
def test_precision_is_the_highest(function):
    for kernel in (jnp.ones(3) / 3, jnp.ones((3, 3)) / 9):
        jaxpr = str(jax.make_jaxpr(lambda p: function(p, 8, 8))(kernel))
        precisions = re.findall(r"\bprecision=(\([^)]*\)|\S+)", jaxpr)
        assert "dot_general" not in jaxpr or precisions
        assert all("HIGHEST" in p and "DEFAULT" not in p for p in precisions)


def test_the_power_is_the_mean_square_of_the_coefficients():
    images = np.random.default_rng(0).random((2, 3, HEIGHT, WIDTH, 2))
    planes = np.moveaxis(images, -1, -3).reshape(-1, HEIGHT, WIDTH)
    cosines = [dct(np.eye(n), axis=0, norm="ortho") for n in (HEIGHT, WIDTH)]
    waves = [np.exp(-2j * np.pi * np.outer(np.arange(n), np.arange(n)) / n) / n**0.5 for n in
             (HEIGHT, WIDTH)]  # fmt: skip
    with jax.enable_x64(True):
        cosine = np.asarray(jax.jit(mean_power_spectrum)(images))
        fourier = np.asarray(mean_power_spectrum(jnp.asarray(images), "fourier"))
    expected = np.mean([(cosines[0] @ p @ cosines[1].T) ** 2 for p in planes], axis=0)
    np.testing.assert_allclose(cosine, expected, rtol=1e-10)
    assert cosine.sum() == pytest.approx(np.square(planes).sum() / len(planes))
    expected = np.mean([np.abs(waves[0] @ p @ waves[1].T) ** 2 for p in planes], axis=0)
    np.testing.assert_allclose(fourier, expected[:, : WIDTH // 2 + 1], rtol=1e-10)


@pytest.mark.parametrize("basis", ["cosine", "fourier"])
def test_white_noise_has_its_variance_at_every_frequency(basis):
    noise = 0.3 * np.random.default_rng(1).standard_normal((4000, 5, 6, 1))
    power = mean_power_spectrum(jnp.asarray(noise, jnp.float32), basis)
    np.testing.assert_allclose(power, 0.09, rtol=0.15)
    assert power.mean() == pytest.approx(0.09, rel=0.02)


def test_the_ratio_of_spectra():
    ratio = noise_to_signal_spectrum(jnp.array([[4.0, 0.0]]), jnp.array([[1.0, 0.0]]))
    np.testing.assert_array_equal(ratio, [[0.25, np.inf]])
    np.testing.assert_allclose(
        noise_to_signal_spectrum(jnp.array([[4.0, 2.0]]), 1.0), [[0.25, 0.5]]
    )


def test_what_cosines_do_not_diagonalise_is_refused():
    for kernel in (jnp.array([0.2, 0.5, 0.3]), jnp.asarray(lopsided()), jnp.eye(3)):
        with pytest.raises(ValueError, match=r"not symmetric along each axis.*'circular'"):
            transfer_function(kernel, HEIGHT, WIDTH)


@pytest.mark.parametrize("function", [transfer_function, circular_transfer_function])
def test_even_sizes_are_refused(function):
    for kernel in (jnp.ones(4), jnp.ones((3, 4))):
        with pytest.raises(ValueError, match=r"size \((3, )?4,?\): pad it to odd sizes"):
            function(kernel, HEIGHT, WIDTH)
