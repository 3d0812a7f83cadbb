"""Bounds on errors: their coverage on noise that is known, and where they are wide."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import norm

from jxr.evaluation.conformal import BINS, activity, calibrate, coverage, error_map


def pairs(count: int, seed: int):
    """Images with a quiet and a busy half, and errors of 0.01 and 0.05 in them."""
    rng = np.random.default_rng(seed)
    originals = gaussian_filter(rng.random((count, 48, 48, 1)), (0, 1, 1, 0)) / 20
    originals[:, :, 24:] *= 20
    scale = np.where(np.arange(48) < 24, 0.01, 0.05)[None, None, :, None]
    errors = rng.normal(size=originals.shape) * scale
    return originals.astype(np.float32), (originals + errors).astype(np.float32)


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_the_wanted_share_is_covered_in_quiet_and_in_busy_places(level):
    originals, restored = pairs(40, seed=0)
    bound = calibrate(originals, restored, level=level)
    assert bound.level == level
    originals, restored = pairs(40, seed=1)
    covered = coverage(bound, originals, restored)
    assert covered.shape == (40,)
    assert covered.mean() == pytest.approx(level, abs=0.01)
    within = np.abs(restored - originals) <= error_map(bound, restored)
    # Not quite: the halves are no groups, and an error makes its own surroundings busy.
    assert within[:, :, :20].mean() == pytest.approx(level, abs=0.08)
    assert within[:, :, 28:].mean() == pytest.approx(level, abs=0.08)
    # The quantile of a Gaussian's absolute value.
    wanted = norm.ppf((1 + level) / 2)
    bounds = error_map(bound, restored)
    assert np.median(bounds[:, :, :20]) == pytest.approx(0.01 * wanted, rel=0.15)
    assert np.median(bounds[:, :, 28:]) == pytest.approx(0.05 * wanted, rel=0.15)


def test_bounds_are_order_statistics_of_the_errors():
    rng = np.random.default_rng(2)
    originals = rng.random((3, 16, 16, 1)).astype(np.float32)
    restored = rng.random((3, 16, 16, 1)).astype(np.float32)
    bound = calibrate(originals, restored, level=0.8)
    errors = np.abs(restored.astype(float) - originals).ravel()
    busy = activity(restored).ravel()
    lowest = np.sort(errors[busy < bound.edges[0]])
    assert bound.bounds[0] == lowest[int(np.ceil(0.8 * (len(lowest) + 1))) - 1]
    assert len(bound.bounds) == BINS


def test_the_activity_of_a_slope_is_its_steepness():
    rows, columns = np.mgrid[:32, :32]
    slope = (0.03 * rows + 0.04 * columns)[None, ..., None].astype(np.float32)
    np.testing.assert_allclose(activity(slope), 0.05, rtol=1e-4)


def test_the_activity_of_an_image_is_its_own():
    images = np.random.default_rng(4).random((3, 12, 14, 1))
    for image, found in zip(images, activity(images), strict=True):
        np.testing.assert_array_equal(activity(image[None])[0], found)


def test_a_black_frame_has_the_bound_of_its_own_errors():
    """A third of all pixels has no activity at all, so that several edges are the same."""
    restored = np.random.default_rng(5).random((2, 24, 48, 1))
    restored[:, :, :24] = 0
    frame = activity(restored) == 0
    assert 0.3 < frame.mean() < 0.35
    originals = restored + np.where(frame, 0.01, 0.05)
    bounds = error_map(calibrate(originals, restored, level=0.8), restored)
    np.testing.assert_allclose(bounds[frame], 0.01)
    np.testing.assert_allclose(bounds[:, :, 30:], 0.05)


def test_images_without_any_activity():
    originals = np.zeros((2, 8, 8, 1), np.float32)
    restored = originals + 0.1
    bound = calibrate(originals, restored)
    np.testing.assert_allclose(bound.bounds, 0.1, rtol=1e-6)
    assert coverage(bound, originals, restored).tolist() == [1, 1]


def test_impossible_levels_are_refused():
    image = np.random.default_rng(3).random((1, 8, 8, 1), np.float32)
    with pytest.raises(ValueError, match=r"level must be in \(0, 1\)"):
        calibrate(image, image, level=1.0)
    with pytest.raises(ValueError, match=r"too few for a level of 0\.99"):
        calibrate(image, image, level=0.99)
