"""Rank and tile for a wanted error, and what is refused."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jxr.optics import gaussian_psf
from jxr.optics.low_rank import choose_rank, eigen_psfs, low_rank_operator
from jxr.optics.shift_variant import operator_error
from jxr.optics.tiled import choose_tile, tiled_operator
from tests.optics.test_shift_variant import HEIGHT, WIDTH, bilinear, wide_gaussians


def test_a_bilinear_field_is_of_rank_four_and_one_tile():
    rank, samples, error = choose_rank(bilinear, HEIGHT, WIDTH, wanted_error=1e-3)
    assert (rank, samples) == (4, 5)
    assert error < 1e-4
    tile, error = choose_tile(bilinear, HEIGHT, WIDTH, wanted_error=1e-3)
    assert tile == WIDTH - 1
    assert error < 1e-4


def test_rank_and_tile_for_a_wanted_error():
    height, width, wanted = 150, 120, 0.02
    field = functools.partial(wide_gaussians, height=height, width=width)
    rng = np.random.default_rng(6)
    places = np.stack([rng.integers(4, n - 4, 20) for n in (height, width)], axis=1)

    def largest_error(make, places):
        @jax.jit
        def errors():
            return operator_error(make(), field, height, width, places=places)

        return float(errors().max())

    rank, samples, error = choose_rank(field, height, width, wanted_error=wanted)
    assert 1 < rank < 10
    assert error <= wanted

    def low_rank_of(rank):
        return low_rank_operator(eigen_psfs(field, height, width, rank=rank, samples=samples))

    assert largest_error(lambda: low_rank_of(rank), places) <= 1.02 * wanted
    # A rank less would not do, at the places that were looked at.
    corners = np.array([[i, j] for i in (4, 75, 145) for j in (4, 60, 115)])
    assert largest_error(lambda: low_rank_of(rank - 1), corners) > wanted / 2

    tile, error = choose_tile(field, height, width, wanted_error=wanted)
    assert error <= wanted
    middle = largest_error(lambda: tiled_operator(field, height, width, tile=tile), places)
    assert wanted / 10 < middle <= 1.02 * wanted

    # Who asks for less gets less work.
    assert choose_rank(field, height, width, wanted_error=0.1).rank < rank
    assert choose_tile(field, height, width, wanted_error=0.1).tile > tile


@pytest.mark.parametrize("size", [1, 4, 5])
def test_the_smallest_images_have_a_tile(size):
    psf = jnp.zeros((3, 3)).at[1, 1].set(1)
    assert choose_tile(lambda row, column: psf, size, size, wanted_error=0.1).error == 0


@pytest.mark.parametrize("period", [8, 40])
def test_ripples_in_step_with_tiles_are_seen(period):
    """Between corners where they vanish, and between those of many tiles."""
    field = functools.partial(rippled, period=period)
    with pytest.raises(ValueError, match="no tile of 4 pixels"):
        choose_tile(field, 161, 161, wanted_error=1e-3)


@functools.partial(jax.jit, static_argnames="period")
def rippled(y, x, period):
    return gaussian_psf(0.8 + 0.2 * jnp.sin(2 * jnp.pi * y / period), radius=2)


def test_fields_that_no_rank_carries_are_refused():
    with pytest.raises(ValueError, match="take tiled_operator"):
        choose_rank(functools.partial(rippled, period=5), 200, 200, wanted_error=1e-4)
