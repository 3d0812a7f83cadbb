"""Shapes by numerical integration of their own definitions."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jxr.optics.focal_spots import DoubleGaussianSpot, GaussianSpot, MeasuredSpot, UniformSpot

PICTURE = np.random.default_rng(3).random((6, 9))
SHAPES = [
    UniformSpot(),
    GaussianSpot(),
    DoubleGaussianSpot(),
    DoubleGaussianSpot(0.0),
    DoubleGaussianSpot(6.0),
    MeasuredSpot(PICTURE),
]


@functools.cache
def on_a_grid(shape, count=1200):
    """Mass of each cell of a fine grid that holds the spot, and the centres of the cells."""
    edges, centres = cells(shape, count)
    return np.diff(np.diff(mass_below(shape, edges, edges), axis=0), axis=1), centres


def on_a_line(shape, axis, count):
    """Mass of each of many strips across an axis, and the centres of the strips."""
    edges, centres = cells(shape, count)
    whole = edges[[0, -1]]
    below = mass_below(shape, *((whole, edges) if axis else (edges, whole)))
    return np.diff(np.diff(below, axis=0), axis=1).ravel(), centres


def cells(shape, count):
    reach = max(shape.reach)
    edges = np.linspace(-reach, reach, count + 1)
    return edges, (edges[1:] + edges[:-1]) / 2


def mass_below(shape, u, v):
    with jax.enable_x64(True):
        return np.asarray(jax.jit(shape.mass_below)(u[:, None], v[None]))


@pytest.mark.parametrize("shape", SHAPES)
def test_moments_and_mass(shape):
    mass, x = on_a_grid(shape)
    assert mass.sum() == pytest.approx(1, abs=2e-6)
    assert mass.min() > -1e-15
    for axis, std in enumerate(shape.std):
        line = mass.sum(1 - axis)
        assert line @ x == pytest.approx(0, abs=1e-5)
        assert np.sqrt(line @ x**2) == pytest.approx(std, rel=2e-4)


@pytest.mark.parametrize("shape", SHAPES[:-1])
def test_the_size_is_the_width_at_15_percent(shape):
    for axis in (0, 1):
        line, x = on_a_line(shape, axis, 4001)
        above = x[line >= 0.15 * line.max()]
        assert np.ptp(above) == pytest.approx(1, abs=3e-3)


@pytest.mark.parametrize("shape", SHAPES)
def test_transfer_is_the_fourier_transform(shape):
    mass, x = on_a_grid(shape)
    fu, fv = np.meshgrid([0.0, 0.4, -1.7], [0.0, 1.3, 2.2, -0.6], indexing="ij")
    along, across = (np.exp(-2j * np.pi * f[..., None] * x) for f in (fu, fv))
    expected = (along @ mass * across).sum(-1)
    found = jax.jit(shape.transfer)(jnp.asarray(fu), jnp.asarray(fv))
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert found.dtype == (jnp.complex64 if isinstance(shape, MeasuredSpot) else jnp.float32)


def test_a_pair_without_separation_is_one_gaussian():
    pair, one = (on_a_grid(shape, 400)[0] for shape in (DoubleGaussianSpot(0.0), GaussianSpot()))
    np.testing.assert_allclose(pair, one, atol=1e-9)


@pytest.mark.parametrize(("separation", "peaks"), [(1.9, 1), (2.2, 2), (4.0, 2)])
def test_bands_are_apart_from_two_deviations_on(separation, peaks):
    along, line = (on_a_line(DoubleGaussianSpot(separation), axis, 401)[0] for axis in (0, 1))
    maxima = (line[1:-1] > line[:-2]) & (line[1:-1] >= line[2:])
    assert maxima.sum() == peaks
    assert (np.diff(np.sign(np.diff(along))) < 0).sum() == 1


def test_a_picture_gives_back_its_pixels_around_its_centroid():
    picture = np.zeros((4, 4))
    picture[0, 1], picture[2, 1] = 3, 1
    shape = MeasuredSpot(picture)
    # The centroid is half a pixel below the middle of row 0, in the middle of column 1.
    u = jnp.asarray(np.array([-0.26, -0.24, 0.11, 0.13, 0.37, 0.39]) + 0.0)
    mass_below = jax.jit(shape.mass_below)
    below = np.asarray(mass_below(u, jnp.full(6, 0.6)))
    assert below[0] == pytest.approx(0, abs=1e-6)
    assert (np.diff(below) >= 0).all()
    np.testing.assert_allclose(below[[2, 3]], 0.75, atol=1e-6)
    v = jnp.asarray([-0.126, 0.0, 0.126])
    np.testing.assert_allclose(mass_below(jnp.ones(3), v), [0, 0.5, 1], atol=1e-6)
