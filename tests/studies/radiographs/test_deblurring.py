"""Deblurring of single radiographs: what is told, what is estimated, and how much is gained."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from jxr.data.radiograph import Radiograph
from jxr.errors import UserError
from jxr.models import load_restorer
from jxr.restoration import wiener
from jxr.studies.radiographs.blur import (
    METHODS,
    Deblurring,
    Exposure,
    cut_middle,
    what_is_known,
)
from jxr.studies.radiographs.deblurring import deblur

SIZE, SIGMA, NOISE = 96, 1.4, 0.004
POINT = Exposure(0.01, 1000.0, 900.0, pixel_pitch_mm=0.2)  # a spot far below a pixel


def radiograph(pixels: np.ndarray, levels: int = 255, pitch: float | None = None) -> Radiograph:
    """An image as `read_radiograph` gives it, rounded to its levels."""
    rounded = np.rint(np.clip(pixels, 0, 1) * levels).astype(np.float32) / np.float32(levels)
    return Radiograph(rounded, levels, pitch, ".png", write=lambda values, note: b"")


@pytest.fixture(scope="module")
def sharp():
    """Discs and bars: a spectrum that falls about as natural images' does."""
    draw = np.random.default_rng(1)
    y, x = np.mgrid[:SIZE, :SIZE]
    image = np.full((SIZE, SIZE), 0.4)
    for _ in range(60):
        (cy, cx), r = draw.uniform(0, SIZE, 2), draw.uniform(1, 15)
        image += draw.normal(0, 0.07) * (np.hypot(y - cy, x - cx) < r)
    return np.clip(image, 0.05, 0.95).astype(np.float32)[..., None]


@pytest.fixture(scope="module")
def blurred(sharp):
    noise = NOISE * np.random.default_rng(2).normal(size=sharp.shape)
    return radiograph(gaussian_filter(sharp, SIGMA, axes=(0, 1)) + noise)


@pytest.fixture(scope="module")
def restorer():
    return load_restorer()


@pytest.mark.parametrize("method", METHODS)
def test_every_method_lowers_the_error_and_says_what_it_did(method, sharp, blurred, restorer):
    wanted = Deblurring(method=method, sigma=SIGMA, noise=NOISE)
    restored, told, note = deblur(blurred, "image", wanted, restorer)
    assert restored.dtype == np.float32
    assert restored.min() >= 0
    assert restored.max() <= 1
    before, after = (np.mean((image - sharp) ** 2) for image in (blurred.pixels, restored))
    assert after < 0.8 * before
    assert (told.sigma_from, told.noise_from, told.width_error) == ("given", "given", 0.0)
    assert told.sigma == pytest.approx(SIGMA, rel=0.01)
    assert "sigma 1.4 pixels (given), noise 0.004 (given)" in note
    assert "not for diagnosis" in note


def test_the_network_is_the_restorer_itself(blurred, restorer):
    wanted = Deblurring(sigma=SIGMA, noise=NOISE)
    restored, told, _ = deblur(blurred, "image", wanted, restorer)
    whole = restorer(jnp.asarray(blurred.pixels), told.kernel, noise=NOISE, quantisation=1 / 255)
    np.testing.assert_allclose(restored, whole, rtol=0, atol=1e-5)


def test_the_wiener_filter_has_the_networks_spectrum(blurred, restorer):
    from jxr.restoration.wiener_bank import radial_power

    wanted = Deblurring(method="wiener", sigma=SIGMA, noise=NOISE)
    restored, told, _ = deblur(blurred, "image", wanted, restorer)

    @jax.jit
    def by_spectrum(pixels, kernel, log_power):
        ratio = (NOISE**2 + 1 / 255**2 / 12) / radial_power(log_power, SIZE, SIZE)
        return wiener(pixels, kernel, ratio)

    expected = by_spectrum(blurred.pixels, told.kernel, restorer.params["log_power"])
    np.testing.assert_allclose(restored, np.clip(expected, 0, 1), atol=2e-5)


def test_blur_and_noise_are_estimated_where_they_are_not_given(blurred):
    told = what_is_known(blurred, "image", Deblurring())
    assert told.sigma == pytest.approx(SIGMA, rel=0.3)
    assert told.noise == pytest.approx(NOISE, rel=0.2)
    assert (told.sigma_from, told.noise_from) == ("estimated", "estimated")
    assert told.width_error > 0


def test_rounding_is_no_noise(sharp):
    """Of an image without noise, the estimate is taken less the variance of rounding."""
    clean = radiograph(gaussian_filter(sharp, 2.5, axes=(0, 1)))
    assert what_is_known(clean, "image", Deblurring(sigma=2.5)).noise < 0.4 / 255


def test_an_image_without_detail_has_no_noise():
    flat = radiograph(np.full((40, 40, 1), 0.5))
    assert what_is_known(flat, "image", Deblurring(sigma=1.0)).noise == 0


def test_the_exposure_gives_the_width_of_a_gaussian_spot(blurred):
    """Full width at 15 % of the maximum f, enlarged by M - 1, over the pitch."""
    exposure = Exposure(1.2, 1000.0, 600.0, pixel_pitch_mm=0.2)
    told = what_is_known(blurred, "image", Deblurring(exposure=exposure, noise=0.0))
    width = 1.2 * (1000 / 600 - 1) / 0.2
    sigma = width / (2 * np.sqrt(2 * np.log(1 / 0.15)))
    # Integrated over pixels of unit width, which adds 1/12 to the variance.
    assert told.sigma == pytest.approx(np.hypot(sigma, 12**-0.5), rel=0.02)
    assert told.sigma_from == "from the exposure"


def test_an_exposure_beyond_all_numbers_is_refused():
    with pytest.raises(UserError, match="the exposure is impossible: reach of the blur"):
        Exposure(1.2, 1000.0, 1e-308, pixel_pitch_mm=0.2)


def test_the_pitch_may_come_from_the_file(blurred):
    exposure = Exposure(1.2, 1000.0, 600.0)
    from_file = radiograph(blurred.pixels, pitch=0.2)
    given = dataclasses.replace(exposure, pixel_pitch_mm=0.2)
    one, other = (
        what_is_known(image, "image", Deblurring(exposure=how, noise=0.0))
        for image, how in ((from_file, exposure), (blurred, given))
    )
    np.testing.assert_array_equal(one.kernel, other.kernel)
    with pytest.raises(UserError, match="does not say its pixel pitch: give --pixel_pitch_mm"):
        what_is_known(blurred, "image", Deblurring(exposure=exposure))


def test_an_impossible_exposure_is_named_before_any_image_is_read():
    with pytest.raises(UserError, match="the exposure is impossible: source_detector_mm"):
        Exposure(1.2, 600.0, 1000.0)
    with pytest.raises(UserError, match="the exposure is impossible: pixel_pitch_mm"):
        Exposure(1.2, 1000.0, 600.0, pixel_pitch_mm=0.0)


def test_noise_beyond_the_range_of_an_image_is_refused():
    with pytest.raises(UserError, match=r"--noise is 2\.0: give at most 1"):
        Deblurring(method="wiener", sigma=1.0, noise=2.0)


@pytest.mark.parametrize(
    ("shape", "wanted", "message"),
    [
        ((1, 1), Deblurring(), "too small to estimate its blur: give --sigma"),
        ((1, 4000), Deblurring(sigma=1.0), "4000 x 1 pixels are too few for a blur that reaches 4"),
        ((12, 12), Deblurring(sigma=3.0), "too few for a blur that reaches 12"),
        # No kernel is made of what no memory could hold.
        ((64, 64), Deblurring(sigma=1e12), "too few for a blur that reaches 4000000000000"),
        ((64, 64), Deblurring(exposure=Exposure(1.2, 1e3, 600.0, 1e-12)), "too few for a blur"),
        ((3, 9), Deblurring(exposure=POINT), "too small to estimate its noise"),
        ((64, 64), Deblurring(sigma=3.5), "the network is for up to 3 pixels and 0.03"),
        ((64, 64), Deblurring(sigma=1.0, noise=0.1), "noise 0.1 .given.: the network is for up to"),
    ],
)
def test_images_that_will_not_do_are_refused_in_a_line(shape, wanted, message, restorer):
    image = radiograph(np.random.default_rng(0).random((*shape, 1)))
    with pytest.raises(UserError, match=message) as caught:
        deblur(image, "some/file.png", wanted, restorer)
    assert str(caught.value).startswith("some/file.png: ")
    assert "\n" not in str(caught.value)


def test_what_contradicts_itself_is_refused():
    with pytest.raises(UserError, match="--sigma or the exposure"):
        Deblurring(sigma=1.0, exposure=Exposure(1.0, 2.0, 1.0))
    for name in ("sigma", "noise"):
        for value in (-1.0, float("nan")):
            with pytest.raises(UserError, match=f"--{name} is .*: give a finite number"):
                Deblurring(**{name: value})


@pytest.mark.parametrize("tile", [0, -2, 62, 129])
def test_tiles_that_the_network_cannot_take_are_refused_in_a_line(tile):
    with pytest.raises(UserError, match="give an even number, 64 or more"):
        Deblurring(tile=tile)


def test_the_smallest_tile_does(blurred, restorer):
    wanted = Deblurring(sigma=SIGMA, noise=NOISE)
    small = dataclasses.replace(wanted, tile=64)
    one, other = (deblur(blurred, "image", how, restorer)[0] for how in (wanted, small))
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)


def test_the_middle_of_an_image():
    image = np.arange(600 * 20, dtype=np.float32).reshape(600, 20, 1)
    np.testing.assert_array_equal(cut_middle(image), image[44:556])
