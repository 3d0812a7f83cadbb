"""Random views: each change against NumPy or SciPy, and all of them by their keys."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import affine_transform, gaussian_filter

from jxr.config import AugmentationConfig
from jxr.data.augmentation import (
    frame,
    random_blur,
    random_exposure,
    random_frame,
    random_view,
    random_views,
)
from jxr.errors import UserError

STILL = AugmentationConfig(
    blurred=0.0,
    rotation=0.0,
    frame=(1.0, 1.0),
    stretch=0.0,
    shift=0.0,
    mirrored=0.0,
    gamma=0.0,
    contrast=0.0,
    brightness=0.0,
)
framed = jax.jit(frame)
CENTRED = {"turn": 0.0, "height": 1.0, "width": 1.0, "down": 0.0, "right": 0.0}


@pytest.fixture(scope="module")
def image():
    levels = np.random.default_rng(0).integers(0, 256, (24, 32, 1))
    return jnp.asarray(levels / 255, jnp.float32)


def keys(n):
    return jax.random.split(jax.random.key(0), n)


def test_a_view_that_may_not_change_is_the_image(image):
    view = jax.jit(lambda key: random_view(image, key, STILL))
    np.testing.assert_allclose(view(keys(1)[0]), image, atol=1e-5)


def test_a_view_follows_its_key_and_stays_in_range(image):
    view = jax.jit(jax.vmap(lambda key: random_view(image, key, AugmentationConfig())))
    views = np.asarray(view(keys(50)))
    assert views.shape == (50, 24, 32, 1)
    # The same key in another place of the batch.
    np.testing.assert_array_equal(views[::-1], view(keys(50)[::-1]))
    assert np.abs(views[0] - views[1]).mean() > 0.01
    assert views.min() >= 0
    assert views.max() <= 1


def test_views_follow_their_examples_wherever_these_lie(image):
    key, config = keys(1)[0], dataclasses.replace(STILL, brightness=0.2)
    view = jax.jit(lambda ids: random_views(jnp.stack([image / 2] * 3), ids, key, config))
    first, moved = view(jnp.array([7, 8, 9])), view(jnp.array([9, 7, 2]))
    np.testing.assert_array_equal(moved[:2], first[jnp.array([2, 0])])
    means = np.asarray(jnp.concatenate([first, moved[2:]]).mean(axis=(1, 2, 3)))
    assert np.diff(np.sort(means)).min() > 1e-3


def test_blur_is_a_gaussian_rounded_to_eight_bits(image):
    config = dataclasses.replace(STILL, blurred=1.0, max_sigma=1.5)
    seen = np.asarray(jax.jit(jax.vmap(lambda key: random_blur(image, key, config)))(keys(40)))
    np.testing.assert_allclose(seen * 255, np.round(seen * 255), atol=1e-3)
    plane = np.asarray(image[..., 0], float)
    sigmas = np.linspace(0.01, 1.5, 150)
    candidates = np.stack([gaussian_filter(plane, sigma, radius=6) for sigma in sigmas])
    errors = np.abs(seen[:, None, ..., 0] - candidates).max(axis=(2, 3))
    assert errors.min(axis=1).max() < 0.02  # each is one of them, to rounding and the grid's step
    found = sigmas[errors.argmin(axis=1)]
    assert found.min() < 0.3
    assert found.max() > 1.2


def test_the_share_of_blurred_views(image):
    config = dataclasses.replace(STILL, blurred=0.25)
    seen = np.asarray(jax.jit(jax.vmap(lambda key: random_blur(image, key, config)))(keys(400)))
    changed = np.abs(seen - np.asarray(image)).max(axis=(1, 2, 3)) > 1e-3
    assert changed.mean() == pytest.approx(0.25, abs=0.07)


def test_frames_against_scipy(image):
    turn, height, width, down, right = 17.0, 0.8, 0.6, 0.05, -0.1
    found = framed(image, turn=turn, height=height, width=width, down=down, right=right)
    angle = np.deg2rad(turn)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ np.diag(
        [height, width]
    )
    centre = (np.array([24, 32]) - 1) / 2
    offset = centre + np.array([down * 24, right * 32]) - matrix @ centre
    plane = np.asarray(image[..., 0], float)
    expected = affine_transform(plane, matrix, offset, order=1, mode="nearest")
    np.testing.assert_allclose(found[..., 0], expected, atol=1e-4)


def test_frames_that_numpy_knows(image):
    mirrored = framed(image, **{**CENTRED, "width": -1.0})
    np.testing.assert_allclose(mirrored, image[:, ::-1], atol=1e-5)
    square = np.asarray(image)[:, :24]
    # A frame turned anticlockwise sees the image turned clockwise.
    turned = framed(square, **{**CENTRED, "turn": 90.0})
    np.testing.assert_allclose(turned, np.rot90(square, -1), atol=1e-4)
    moved = np.asarray(framed(image, **{**CENTRED, "down": 1 / 24, "right": 2 / 32}))
    np.testing.assert_allclose(moved[:-1, :-2], image[1:, 2:], atol=1e-5)
    np.testing.assert_allclose(moved[-1], moved[-2], atol=1e-5)  # the edge goes on


def test_random_frames_keep_to_their_limits():
    """Of an image that shows its own coordinates, a frame's corners tell where it lay."""
    grid = jnp.mgrid[:33, :33].astype(jnp.float32) / 32 - 0.5
    config = dataclasses.replace(STILL, frame=(0.3, 0.4), shift=0.1, mirrored=0.5)

    def corners(key):
        seen = jnp.stack([random_frame(plane[..., None], key, config)[..., 0] for plane in grid])
        return seen[:, 0, 0], seen[:, -1, -1]

    first, last = (np.asarray(values) for values in jax.jit(jax.vmap(corners))(keys(300)))
    side = np.abs(last - first)
    np.testing.assert_allclose(side[:, 0], side[:, 1], atol=1e-5)
    assert 0.3 <= side.min() < 0.31
    assert 0.39 < side.max() <= 0.4 + 1e-5
    centre = (first + last) / 2
    assert 0.09 < np.abs(centre).max() < 0.11
    assert (last[:, 1] < first[:, 1]).mean() == pytest.approx(0.5, abs=0.1)


def test_random_frames_are_turned_and_stretched_each_for_itself():
    """By three corners of a frame, in an image that shows its own coordinates."""
    grid = jnp.mgrid[:33, :33].astype(jnp.float32) / 32 - 0.5
    config = dataclasses.replace(STILL, frame=(0.3, 0.4), rotation=20.0, stretch=0.2, shift=0.1)

    def corners(key):
        seen = jnp.stack([random_frame(plane[..., None], key, config)[..., 0] for plane in grid])
        return seen[:, 0, 0], seen[:, 0, -1], seen[:, -1, 0], seen[:, -1, -1]

    first, right, down, last = map(np.asarray, jax.jit(jax.vmap(corners))(keys(400)))
    width, height = (np.linalg.norm(corner - first, axis=1) for corner in (right, down))
    rows, columns = (right - first).T
    turn = np.rad2deg(np.arctan2(-rows, columns))
    stretch = np.log(height / width) / 2
    centre = (first + last) / 2
    for found, least, most in (
        (stretch, -0.2, 0.2), (np.sqrt(height * width), 0.3, 0.4), (turn, -20, 20),
    ):  # fmt: skip
        assert least - 1e-4 <= found.min() < least + 0.03 * (most - least)
        assert most - 0.03 * (most - least) < found.max() <= most + 1e-4
    drawn = np.stack([stretch, np.sqrt(height * width), turn, *centre.T])
    assert np.abs(np.corrcoef(drawn) - np.eye(5)).max() < 0.2


def test_exposures_against_their_formula(image):
    drawn = []
    for field, at_its_most in (
        ("gamma", lambda x, v: x ** np.exp(v)),
        ("contrast", lambda x, v: x.mean() + np.exp(v) * (x - x.mean())),
        ("brightness", lambda x, v: x + v),
    ):
        config = dataclasses.replace(STILL, **{field: 0.2})
        exposures = jax.jit(jax.vmap(lambda key, c=config: random_exposure(image, key, c)))
        seen = np.asarray(exposures(keys(60)))
        amounts = np.linspace(-0.2, 0.2, 401)
        plane = np.asarray(image, float)
        candidates = np.stack([np.clip(at_its_most(plane, v), 0, 1) for v in amounts])
        errors = np.abs(seen[:, None] - candidates).max(axis=(2, 3, 4))
        assert errors.min(axis=1).max() < 2e-3, field
        found = amounts[errors.argmin(axis=1)]
        assert found.min() < -0.15, field
        assert found.max() > 0.15, field
        drawn.append(found)
    assert np.abs(np.corrcoef(drawn) - np.eye(3)).max() < 0.4  # of 60 draws each


@pytest.mark.parametrize(
    "wrong",
    [
        {"blurred": 1.5},
        {"mirrored": -1.0},
        {"gamma": -0.1},
        {"shift": np.inf},
        {"frame": (1.0, 0.5)},
    ],
)
def test_impossible_ranges_are_refused(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        AugmentationConfig(**wrong)


def test_contrast_turns_about_the_mean_that_gamma_has_left(image):
    middling = 0.3 + 0.4 * image  # nothing is clipped
    both = dataclasses.replace(STILL, gamma=0.5, contrast=0.3)
    curved, seen = (
        jax.vmap(lambda key, c=config: random_exposure(middling, key, c))(keys(20))
        for config in (dataclasses.replace(both, contrast=0.0), both)
    )
    np.testing.assert_allclose(seen.mean((1, 2)), curved.mean((1, 2)), atol=1e-5)
    assert np.abs(seen.std((1, 2)) / curved.std((1, 2)) - 1).max() > 0.2
    assert np.abs(curved.mean((1, 2)) - middling.mean()).max() > 0.1
