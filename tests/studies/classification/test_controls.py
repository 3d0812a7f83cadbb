"""The numbers of each control against loops and definitions."""

import numpy as np
import pytest
from scipy import ndimage

from jxr.studies.classification.controls import (
    BANDS,
    CONTROLS,
    LUNGS,
    borders,
    global_statistics,
    lungs_masked,
    one_sharpness,
    sharpness,
    thumbnail,
)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((3, 64, 64, 1)).astype(np.float32)


def test_ten_numbers_by_hand(images):
    found = global_statistics(images)
    for row, image in zip(found, images[..., 0].astype(np.float64), strict=True):
        steps = [abs(image[y, x + 1] - image[y, x]) for y in range(64) for x in range(63)]
        centre = image[16:48, 16:48]
        # Linear interpolation between the two values around the place 0.05 (n - 1).
        ordered = np.sort(image.ravel())
        quantiles = []
        for place in (0.05 * 4095, 0.95 * 4095):
            below = int(place)
            quantiles.append(
                ordered[below] + (place - below) * (ordered[below + 1] - ordered[below])
            )
        expected = [
            image.mean(), image.std(), centre.mean(), centre.std(), *quantiles, np.mean(steps),
            image[:4].mean(), image[60:].mean(), image[:, :4].mean(),
        ]  # fmt: skip
        np.testing.assert_allclose(row, expected, atol=1e-12)


def test_band_powers_are_those_of_cosines():
    size = 64
    frequencies = (3, 12, 24, 48)  # half-cycles a side: 0.023, 0.094, 0.1875, 0.375 cycles a pixel
    places = np.arange(size) + 0.5
    waves = [0.1 * 2**-i * np.cos(np.pi * f * places / size) for i, f in enumerate(frequencies)]
    image = 0.5 + sum(waves)[:, None] * np.ones(size)
    found = sharpness(image[None, ..., None].astype(np.float32))[0]
    # A cosine's mean square is half its squared amplitude; the first is below all bands.
    expected = np.log10([(0.1 * 2**-i) ** 2 / 2 for i in (1, 2, 3)])
    np.testing.assert_allclose(found[2:], expected, atol=1e-5)
    assert found[1] == 0
    assert found[0] == pytest.approx(np.abs(np.diff(image[:, 0])).mean(), rel=1e-5)
    turned = sharpness(image.T[None, ..., None].astype(np.float32))[0]
    np.testing.assert_allclose(turned, found[[1, 0, 2, 3, 4]], atol=1e-6)
    assert BANDS[-1][1] == 0.5


def test_blur_lowers_every_number_of_sharpness(images):
    blurred = ndimage.gaussian_filter(images, 2.0, axes=(1, 2))
    assert (sharpness(blurred) < sharpness(images)).all()
    assert (one_sharpness(blurred) < one_sharpness(images)).all()
    np.testing.assert_allclose(one_sharpness(images), sharpness(images)[:, :2].mean(axis=1))


def test_thumbnail_is_the_mean_of_blocks(images):
    for row, image in zip(thumbnail(images), images[..., 0], strict=True):
        expected = [
            image[y : y + 4, x : x + 4].mean() for y in range(0, 64, 4) for x in range(0, 64, 4)
        ]
        np.testing.assert_allclose(row, expected, atol=1e-6)


def test_borders_see_the_frame_and_nothing_else(images):
    changed = images.copy()
    changed[:, 4:-4, 4:-4] = 0
    np.testing.assert_array_equal(borders(changed), borders(images))
    for place in ((0, 30), (63, 30), (30, 0), (30, 63), (3, 3)):
        changed = images.copy()
        changed[:, *place] += 1
        assert (np.abs(borders(changed) - borders(images)).sum(axis=1) > 0.01).all()


def test_lungs_are_masked_and_nothing_else(images):
    blanked = tuple(slice(4 * part.start, 4 * part.stop) for part in LUNGS)
    changed = images.copy()
    changed[:, *blanked] = 0
    np.testing.assert_array_equal(lungs_masked(changed), lungs_masked(images))
    outside = np.ones((64, 64), bool)
    outside[blanked] = False
    shown = lungs_masked(np.where(outside, 1.0, 0.0).astype(np.float32)[None, ..., None])
    assert shown.size == outside.sum() / 16  # every block outside, and each whole
    assert (shown == 1).all()


@pytest.mark.parametrize("name", CONTROLS)
@pytest.mark.parametrize("level", [0.0, 1.0])
def test_flat_images_have_finite_numbers(name, level):
    flat = np.full((2, 32, 32, 1), level, np.float32)
    assert np.isfinite(CONTROLS[name](flat)).all()
