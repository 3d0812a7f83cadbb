"""Noise and blur of an image, found again where both are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from scipy.fft import idctn
from scipy.optimize import brentq
from scipy.stats import norm
from skimage.restoration import estimate_sigma

from jxr.restoration.estimate import estimate_blur_sigma, estimate_noise_std
from jxr.restoration.spectra import mean_power_spectrum

SIZE = 96


def power_law_fields(count, exponent, seed=0):
    """Gaussian fields with the cosine spectrum f^-exponent, of contrast 0.2 about 0.5."""
    f = np.hypot(*np.meshgrid(np.arange(SIZE), np.arange(SIZE))) / SIZE
    f[0, 0] = np.inf
    noise = np.random.default_rng(seed).standard_normal((count, SIZE, SIZE))
    fields = idctn(noise * f ** (-exponent / 2), axes=(1, 2), norm="ortho")
    return 0.5 + 0.2 * fields / fields.std()


def blur(images, sigma):
    return ndimage.gaussian_filter(images, sigma, axes=(1, 2), mode="reflect", truncate=4)


def add_noise(images, std, seed=1):
    return images + std * np.random.default_rng(seed).standard_normal(images.shape)


# One program for all tests whose images have the same shape.
width_of, noise_of = jax.jit(estimate_blur_sigma), jax.jit(estimate_noise_std)
width_by_spectrum = jax.jit(lambda y, spectrum: estimate_blur_sigma(y, spectrum=spectrum))
spectrum_of = jax.jit(mean_power_spectrum)


def as_images(planes):
    return jnp.asarray(planes[..., None], jnp.float32)


@pytest.mark.parametrize("std", [0.002, 0.02])
def test_noise_is_found_and_equals_scikit_image(std):
    sharp = blur(power_law_fields(3, 3), 2)
    noisy = add_noise(sharp, std)
    found = noise_of(as_images(noisy))
    assert found.shape == (3,)
    np.testing.assert_allclose(found, std, rtol=0.06)
    # scikit-image extends the image beyond its edge, which adds a few coefficients of 2,400.
    np.testing.assert_allclose(found, [estimate_sigma(image) for image in noisy], rtol=0.02)


def test_the_channels_of_an_image_are_pooled():
    """Noise: half of the coefficients are below the median of both. Blur: that of the other one."""
    planes = np.full((2, SIZE, SIZE), 0.5) + np.array([0.01, 0.03])[:, None, None] * (
        np.random.default_rng(2).standard_normal((2, SIZE, SIZE))
    )
    median = brentq(lambda m: norm.cdf(m / 0.01) + norm.cdf(m / 0.03) - 1.5, 1e-3, 0.1)
    found = noise_of(jnp.asarray(np.moveaxis(planes, 0, -1), jnp.float32))
    assert float(found) == pytest.approx(median / norm.ppf(0.75), rel=0.06)
    blurred = add_noise(blur(power_law_fields(1, 2), 1.5), 1e-3)
    both = np.stack([np.full_like(blurred, 0.5), blurred], axis=-1)
    found = width_of(jnp.asarray(both, jnp.float32))
    np.testing.assert_allclose(found, width_of(as_images(blurred)), rtol=1e-3)


def test_noise_of_a_saturated_image_and_of_none():
    noisy = add_noise(np.full((1, 64, 64), 0.5), 0.01)
    noisy[:, :, :40] = 0.7
    np.testing.assert_allclose(noise_of(as_images(noisy)), 0.01, rtol=0.1)
    assert np.isnan(noise_of(jnp.ones((8, 8, 1))))


def test_the_width_of_an_image_with_a_dead_pixel_is_not_that_of_a_sharp_one():
    image = power_law_fields(1, 3)[..., None].astype(np.float32)
    found = width_of(jnp.concatenate([image, image]).at[0, 5, 5, 0].set(jnp.nan))
    assert np.isnan(found[0])
    assert found[1] == width_of(jnp.concatenate([image, image]))[1]


@pytest.mark.parametrize(("exponent", "sigma", "noise"), [(2, 1.0, 0.001), (3, 2.0, 0.0005)])
def test_blur_of_power_law_fields_is_found_within_a_tenth(exponent, sigma, noise):
    blurred = add_noise(blur(power_law_fields(6, exponent), sigma), noise)
    found = np.asarray(width_of(as_images(blurred)))
    assert found.shape == (6,)
    np.testing.assert_allclose(found, sigma, rtol=0.1)
    assert np.mean(found) == pytest.approx(sigma, rel=0.05)


@pytest.mark.parametrize("sigma", [0.7, 1.4, 2.5])
def test_a_spectrum_of_sharp_images_sharpens_the_estimate(sigma):
    """A spectrum that is no power law: only the given one explains it."""
    sharp = blur(power_law_fields(30, 2), 0.8)
    spectrum = np.asarray(spectrum_of(as_images(sharp[6:])))
    blurred = as_images(add_noise(blur(sharp[:6], sigma), 0.001))
    found = np.asarray(width_by_spectrum(blurred, spectrum))
    np.testing.assert_allclose(found, sigma, rtol=0.06)
    # The scale of the spectrum does not matter, nor that of the image, nor its batch.
    again = width_by_spectrum(200 * np.asarray(blurred)[2], 50 * spectrum)
    assert again.shape == ()
    assert float(again) == pytest.approx(float(found[2]), rel=1e-3)


def test_sharp_images_and_widths_beyond_the_largest():
    sharp = as_images(add_noise(power_law_fields(6, 2), 0.001))
    assert np.all(np.asarray(width_of(sharp)) < 0.5)
    blurred = as_images(add_noise(blur(power_law_fields(6, 2), 2.0), 1e-4))
    found = jax.jit(lambda y: estimate_blur_sigma(y, largest=1.5))(blurred)
    np.testing.assert_allclose(found, 1.5, rtol=1e-6)


@pytest.mark.parametrize("noise", [0.0, 1e-3])
@pytest.mark.parametrize("largest", [0.52, 1.5])
def test_images_blurred_far_beyond_the_largest_do_not_look_sharp(largest, noise):
    blurred = as_images(add_noise(blur(power_law_fields(6, 2), 3.5 * largest), noise))
    found = jax.jit(lambda y: estimate_blur_sigma(y, largest=largest))(blurred)
    np.testing.assert_allclose(found, largest, rtol=1e-6)


def test_widths_are_told_apart_more_finely_than_they_are_tried():
    """One image, blurred by a hundredth of a pixel more each time; the steps tried are 0.05."""
    sigmas = 1.5 + 0.01 * np.arange(6)
    blurred = np.concatenate([blur(power_law_fields(1, 2), sigma) for sigma in sigmas])
    found = np.asarray(width_of(as_images(add_noise(blurred[:1], 1e-3) - blurred[:1] + blurred)))
    np.testing.assert_allclose(np.diff(found), 0.01, atol=0.004)


def test_an_image_without_detail_has_no_blur():
    np.testing.assert_array_equal(width_of(jnp.full((1, SIZE, SIZE, 1), 0.5)), 0)


def test_the_sampling_of_the_kernel_is_the_caller_s():
    """Integration over the pixel adds about 1/12 to the variance."""
    blurred = as_images(add_noise(blur(power_law_fields(6, 2), 0.8), 1e-4))
    integrated = jax.jit(lambda y: estimate_blur_sigma(y, sampling="integrated"))(blurred)
    assert np.mean(integrated) == pytest.approx(np.sqrt(0.8**2 - 1 / 12), rel=0.03)
    assert np.mean(width_of(blurred)) == pytest.approx(0.8, rel=0.03)  # the default: point


@pytest.mark.shared
def test_blur_of_real_images_by_the_spectrum_of_others(shared):
    def load(part, count):
        files = sorted((shared / "data" / "chest_xray" / part).glob("*/*.jpeg"))
        images = [Image.open(f).convert("L") for f in files[:: len(files) // count]]
        return np.stack([np.asarray(image, np.float64) / 255 for image in images])

    spectrum = spectrum_of(as_images(load("train", 60)))
    sharp = load("test", 12)
    for sigma in (1.0, 2.0):
        blurred = blur(sharp, sigma)
        for degraded in (np.round(blurred * 255) / 255, add_noise(blurred, 0.01)):
            error = np.asarray(width_by_spectrum(as_images(degraded), spectrum)) - sigma
            assert np.sqrt(np.mean(error**2)) < 0.12 * sigma


def test_estimates_are_of_the_dtype_of_the_images():
    images = np.random.default_rng(3).random((16, 16, 1), np.float32)
    with jax.enable_x64(True):
        for dtype in (jnp.float32, jnp.float64):
            found = jax.eval_shape(estimate_blur_sigma, jnp.asarray(images, dtype))
            assert found.dtype == dtype
