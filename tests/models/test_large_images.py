"""Tile by tile against the whole image at once."""

import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from jxr.models import load_restorer
from jxr.models.large_images import receptive_radius, restore_large, windows
from jxr.optics import gaussian_blur, gaussian_profile


def blurred_image(height: int, width: int, contrast: float, step: float) -> np.ndarray:
    """Smooth shapes and edges, blurred, and rounded to multiples of the step."""
    y, x = np.mgrid[:height, :width] / 20
    image = 0.5 + 0.3 * np.sin(y * x / 3) * np.cos(y) + 0.15 * (np.sin(3 * x) > 0)
    image = np.clip(0.5 + contrast * (image - 0.5), 0, 1)
    sharp = jnp.asarray(image[..., None], jnp.float32)
    blurred = np.asarray(gaussian_blur(sharp, 1.5, radius=6))
    return np.round(blurred / np.float32(step)) * np.float32(step) if step else blurred


@pytest.fixture(scope="module")
def restorer():
    return load_restorer()


@pytest.mark.parametrize(
    # Of odd height; of odd width, full of what must be clipped, and with less noise than trained.
    ("shape", "last_tile", "contrast", "told"),
    [
        ((167, 130), (2, 1), 1, {"noise": 0.002, "quantisation": 1 / 255, "width_error": 0.05}),
        ((50, 41), (0, 0), 4, {"noise": 5e-7, "quantisation": 0.0, "width_error": 0.0}),
    ],
)
def test_tiles_equal_the_whole_image_and_each_is_told(restorer, shape, last_tile, contrast, told):
    told_places = []

    def progress(places):
        for place in places:
            told_places.append(place)
            yield place

    blurred = blurred_image(*shape, contrast, told["quantisation"])
    kernel = gaussian_profile(1.5, radius=6)
    whole = np.asarray(restorer(jnp.asarray(blurred), kernel, **told))
    tiled = restore_large(restorer, blurred, kernel, tile=96, progress=progress, **told)
    assert np.abs(whole - blurred).max() > 0.05  # there is something to agree on
    np.testing.assert_allclose(tiled, whole, rtol=0, atol=1e-5)
    down, along = last_tile
    assert len(told_places) == (down + 1) * (along + 1)
    assert told_places[-1] == last_tile


def test_the_halo_is_the_receptive_field_and_no_less(restorer):
    """What lies a halo away changes nothing; a pixel nearer it does."""
    import jax

    from jxr.models.functional import apply

    halo = receptive_radius(restorer)
    inputs = jnp.asarray(np.random.default_rng(0).normal(size=(1, 80, 80, 6)), jnp.float32)
    conditions = jnp.zeros((1, 5))

    def middle(inputs):
        return apply(restorer.graphdef, restorer.params, inputs, conditions)[0, 40:42, 40:42].sum()

    reached = np.flatnonzero(np.abs(jax.grad(middle)(inputs)[0]).sum((1, 2)))
    assert (reached[0], reached[-1]) == (40 - halo, 41 + halo)


@pytest.mark.parametrize("size", [2, 40, 64, 66, 100, 198, 1000])
def test_windows_keep_every_pixel_once_and_away_from_cut_edges(size):
    kept = np.zeros(size, int)
    pairs = list(windows(size, 64, 10))
    (seen_by_each,) = {seen.stop - seen.start for seen, _ in pairs}
    # As many as the largest takes, and two pixels less would not do.
    assert len(pairs) == (1 if size <= 64 else -(-(size - 20) // 44))
    assert seen_by_each <= 64
    assert len(pairs) * (seen_by_each - 2) - 20 * (len(pairs) - 1) < size
    for seen, keeps in pairs:
        assert seen.start % 2 == 0
        assert seen.start >= 0
        assert seen.stop <= size
        kept[keeps] += 1
        assert seen.start == 0 or keeps.start - seen.start >= 10
        assert seen.stop == size or seen.stop - keeps.stop >= 10
    assert (kept == 1).all()


@pytest.mark.parametrize("tile", [97, 48])
def test_tiles_that_will_not_do_are_refused(restorer, tile):
    image, kernel = np.zeros((50, 50, 1), np.float32), gaussian_profile(1.5, radius=6)
    with pytest.raises(ValueError, match="tile must be even and above 48"):
        restore_large(restorer, image, kernel, noise=0.0, tile=tile)


def test_a_batch_is_refused(restorer, monkeypatch):
    # Off, as for users: types hold it back before the function itself can.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    images, kernel = np.zeros((2, 50, 50, 1), np.float32), gaussian_profile(1.5, radius=6)
    with pytest.raises(ValueError, match="one image at a time"):
        restore_large(restorer, images, kernel, noise=0.0)
