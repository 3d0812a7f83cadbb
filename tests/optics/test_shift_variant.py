"""Shift-variant blur against a plain loop over object points in NumPy."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jxr.optics import as_operator, blur, gaussian_profile, gaussian_psf, psf_operator
from jxr.optics.low_rank import (
    eigen_psfs,
    low_rank_operator,
    weight_maps,
)
from jxr.optics.shift_variant import dense_blur, operator_error
from jxr.optics.tiled import tiled_operator

NUMPY_MODES = {"reflect": "symmetric", "zero": "constant", "circular": "wrap", "edge": "edge"}
BOUNDARIES = list(NUMPY_MODES)
HEIGHT, WIDTH = 11, 14
TOP, LEFT = 2, 1  # radii of the PSFs
# PSFs without symmetry, bilinear in the place: of rank 4, and exact on tiles of any size.
PARTS = np.random.default_rng(0).random((4, 2 * TOP + 1, 2 * LEFT + 1))


# Fields are jitted: else each of their operations would be compiled for each shape by itself.
@jax.jit
def bilinear(y, x):
    a, b, c, d = jnp.asarray(PARTS, float)
    return a + y / HEIGHT * b + x / WIDTH * c + y * x / (HEIGHT * WIDTH) * d


@jax.jit
def gaussians(y, x):
    """Focal spots that widen to one side and shrink to the other: never bilinear."""
    rows = gaussian_profile(0.7 + 0.5 * y / HEIGHT, radius=TOP)
    return jnp.outer(rows, gaussian_profile(0.9 - 0.3 * x / WIDTH, radius=LEFT))


@functools.cache
def impulse_responses(boundary):
    """The response to an impulse at each pixel, by loops over points and PSF: (pixels, h, w)."""
    a, b, c, d = PARTS
    mode = NUMPY_MODES[boundary]
    responses = np.zeros((HEIGHT, WIDTH, HEIGHT, WIDTH))
    inside = np.ones((HEIGHT, WIDTH))
    exists = np.pad(inside, ((TOP, TOP), (LEFT, LEFT)), mode=mode)
    other = "edge" if boundary == "zero" else mode
    rows = np.pad(np.arange(HEIGHT), TOP, mode=other)
    columns = np.pad(np.arange(WIDTH), LEFT, mode=other)
    for p in range(HEIGHT + 2 * TOP):
        for q in range(WIDTH + 2 * LEFT):
            y, x = rows[p], columns[q]
            psf = a + y / HEIGHT * b + x / WIDTH * c + y * x / (HEIGHT * WIDTH) * d
            for i in range(2 * TOP + 1):
                for j in range(2 * LEFT + 1):
                    u, v = p - TOP + i - TOP, q - LEFT + j - LEFT
                    if 0 <= u < HEIGHT and 0 <= v < WIDTH:
                        responses[y, x, u, v] += psf[i, j] * exists[p, q]
    return responses.reshape(-1, HEIGHT, WIDTH)


def low_rank(field, rank=4, boundary="reflect", **options):
    eigen = eigen_psfs(field, HEIGHT, WIDTH, rank=rank, samples=4)
    return low_rank_operator(eigen, boundary=boundary, **options)


def tiled(field, rank=None, boundary="reflect", **options):
    return tiled_operator(field, HEIGHT, WIDTH, boundary=boundary, **options)


# Cells and tiles of several sizes: many, one, larger than the image.
OPERATORS = {
    "low rank": low_rank,
    "low rank, small cells": functools.partial(low_rank, block=6),
    "tile 1": functools.partial(tiled, tile=1),
    "tile 4": functools.partial(tiled, tile=4),
    "one tile": functools.partial(tiled, tile=99),
}
SEVERAL_CELLS = ["low rank, small cells", "tile 4"]


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_impulse_responses_everywhere_are_those_of_brute_force(boundary):
    """Every pixel: corners, sides and the interior; and the adjoint is the transpose."""
    expected = impulse_responses(boundary)
    matrix = expected.reshape(-1, HEIGHT * WIDTH)  # a row for each impulse
    impulses = np.eye(HEIGHT * WIDTH).reshape(-1, HEIGHT, WIDTH, 1)
    # One copies a pixel into the margin, one does not: for them cells and tiles of every size.
    names = OPERATORS if boundary in ("reflect", "zero") else SEVERAL_CELLS
    with jax.enable_x64(True):
        impulses = jnp.asarray(impulses)
        dense = dense_blur(impulses, bilinear, boundary=boundary)
        np.testing.assert_allclose(dense[..., 0], expected, atol=1e-13)
        for name in names:
            forward, adjoint = OPERATORS[name](bilinear, boundary=boundary)
            result = np.asarray(forward(impulses))[..., 0]
            np.testing.assert_allclose(result, expected, atol=1e-12, err_msg=name)
            result = np.asarray(adjoint(impulses)).reshape(matrix.shape)
            np.testing.assert_allclose(result, matrix.T, atol=1e-12, err_msg=name)


@pytest.mark.parametrize(
    ("name", "boundary", "dtype"),
    [
        ("low rank, small cells", "reflect", "float32"),
        ("low rank, small cells", "zero", "float64"),
        ("tile 4", "edge", "float32"),
        ("tile 4", "circular", "float64"),
    ],
)
def test_adjoints_by_the_dot_product(name, boundary, dtype):
    """Also for PSFs that the operators only approximate: the adjoint is that of the operator."""
    single = dtype == "float64"
    tolerance = 1e-13 if dtype == "float64" else 2e-6
    with jax.enable_x64(dtype == "float64"):
        forward, adjoint = OPERATORS[name](gaussians, rank=3, boundary=boundary)

        def both(x, y):
            return forward(x), adjoint(y)

        # An image as it is; several, of several channels, under jit.
        function = both if single else jax.jit(both)
        shape = (HEIGHT, WIDTH, 1) if single else (3, HEIGHT, WIDTH, 2)
        x, y = np.random.default_rng(1).normal(size=(2, *shape)).astype(dtype)
        blurred, back = function(jnp.asarray(x), jnp.asarray(y))
        assert blurred.dtype == back.dtype == dtype
        assert blurred.shape == back.shape == shape
        left = np.vdot(np.asarray(blurred, np.float64), y.astype(np.float64))
        right = np.vdot(x.astype(np.float64), np.asarray(back, np.float64))
        assert abs(left - right) < tolerance * np.linalg.norm(blurred) * np.linalg.norm(y)


@pytest.mark.parametrize("boundary", ["reflect", "zero"])
def test_a_constant_field_is_the_stationary_blur(boundary):
    psf = jnp.asarray(PARTS[0], jnp.float32)
    x = jnp.asarray(np.random.default_rng(2).random((2, HEIGHT, WIDTH, 2)), jnp.float32)

    def field(y, x):
        return psf

    @jax.jit
    def every_way(x):
        results = {"expected": blur(x, psf, boundary=boundary)}
        results["dense"] = dense_blur(x, field, boundary=boundary)
        for name in SEVERAL_CELLS:
            results[name] = OPERATORS[name](field, rank=1, boundary=boundary).forward(x)
        return results

    results = every_way(x)
    for name, result in results.items():
        np.testing.assert_allclose(result, results["expected"], atol=1e-5, err_msg=name)


def test_brightness_is_kept_at_every_rank_and_tile():
    """Under 'reflect', for symmetric PSFs of unit sum: what leaves at an edge comes back."""

    @jax.jit
    def sums(x):
        chosen = [low_rank(gaussians, rank=rank, block=6) for rank in (1, 3)]
        chosen += [tiled(gaussians, tile=tile) for tile in (4, 99)]
        return [operator.forward(x).sum((1, 2, 3)) for operator in chosen]

    with jax.enable_x64(True):
        x = np.random.default_rng(3).random((2, HEIGHT, WIDTH, 1))
        for result in sums(x):
            np.testing.assert_allclose(result, x.sum((1, 2, 3)), rtol=1e-12)


def test_errors_fall_with_rank_and_with_the_square_of_the_tile():
    height = width = 33
    field = functools.partial(wide_gaussians, height=height, width=width)
    ranks, tiles = (1, 3, 8), (8, 4)

    @jax.jit
    def errors(x):
        dense = dense_blur(x, field)
        chosen = [
            low_rank_operator(eigen_psfs(field, height, width, rank=r, samples=9)) for r in ranks
        ]
        chosen += [tiled_operator(field, height, width, tile=t) for t in tiles]
        differences = jnp.stack([operator.forward(x) - dense for operator in chosen])
        return jnp.sqrt(jnp.square(differences).sum((1, 2, 3)) / jnp.square(dense).sum())

    with jax.enable_x64(True):
        x = np.random.default_rng(4).normal(size=(height, width, 1))
        *by_rank, larger, smaller = np.asarray(errors(x))
    assert all(b < 0.6**2 * a for a, b in itertools.pairwise(by_rank))
    assert by_rank[-1] < 2e-3
    assert smaller == pytest.approx(larger / 4, rel=0.15)


@functools.partial(jax.jit, static_argnames=("height", "width"))
def wide_gaussians(y, x, height, width):
    rows = gaussian_profile(0.8 + 0.5 * y / height, radius=4)
    return jnp.outer(rows, gaussian_profile(1.2 - 0.4 * x / width + 0.1 * y / height, radius=4))


def test_the_error_that_a_user_can_ask_for_is_that_against_brute_force():
    boundary = "circular"  # the default is that of the next test
    with jax.enable_x64(True):
        # The operator stands for too narrow PSFs, so its error is known from the two fields.
        operator = tiled_operator(
            lambda y, x: 0.5 * bilinear(y, x), HEIGHT, WIDTH, tile=5, boundary=boundary
        )
        halves = operator_error(operator, bilinear, HEIGHT, WIDTH, boundary=boundary)
        np.testing.assert_allclose(halves, 0.5, atol=1e-12)
        assert halves.shape == (25,)

        # Far corners, sides and the interior, of an operator of rank 2.
        places = np.array([[0, 0], [0, 13], [10, 5], [4, 0], [6, 7]])
        eigen = eigen_psfs(bilinear, HEIGHT, WIDTH, rank=2, samples=3)
        operator = low_rank_operator(eigen, boundary=boundary)
        errors = operator_error(operator, bilinear, HEIGHT, WIDTH, places=places, boundary=boundary)
        true = impulse_responses(boundary)[places[:, 0] * WIDTH + places[:, 1]]
        impulses = np.zeros((5, HEIGHT, WIDTH, 1))
        impulses[np.arange(5), places[:, 0], places[:, 1]] = 1
        responses = np.asarray(operator.forward(jnp.asarray(impulses)))[..., 0]
        expected = np.linalg.norm(responses - true, axis=(1, 2))
        expected /= np.linalg.norm(true, axis=(1, 2))
        assert expected.min() > 1e-3
        np.testing.assert_allclose(errors, expected, rtol=1e-9)


def test_impulses_are_by_default_from_corner_to_corner():
    """The operator has one PSF everywhere; those of two corners are twice and four times that."""
    psf = jnp.asarray(PARTS[0], float)

    def brighter_corners(y, x):
        first, last = (y == 0) & (x == 0), (y == HEIGHT - 1) & (x == WIDTH - 1)
        return psf * jnp.where(first, 2, jnp.where(last, 4, 1))

    errors = operator_error(psf_operator(psf), brighter_corners, HEIGHT, WIDTH)
    expected = np.zeros(25)
    expected[[0, -1]] = 1 / 2, 3 / 4
    np.testing.assert_allclose(errors, expected, atol=1e-5)


def test_weight_maps_combine_to_the_psfs():
    eigen = eigen_psfs(gaussians, HEIGHT, WIDTH, rank=6, samples=5)
    weights = np.asarray(weight_maps(eigen))
    np.testing.assert_allclose(weights[0], 1, atol=1e-5)
    for y, x in ((0, 0), (3, 11), (10, 13)):
        psf = np.einsum("k,kij->ij", weights[:, y, x], np.asarray(eigen.psfs))
        np.testing.assert_allclose(psf, gaussians(float(y), float(x)), atol=1e-3)


def test_operators_are_built_inside_vmap_from_a_traced_width():
    x = jnp.asarray(np.random.default_rng(7).random((HEIGHT, WIDTH, 1)), jnp.float32)

    def field(sigma):
        return lambda y, x: gaussian_psf(sigma * (1 + 0.3 * y / HEIGHT), radius=3)

    def by_rank(sigma):
        return low_rank_operator(eigen_psfs(field(sigma), HEIGHT, WIDTH, rank=4)).forward(x)

    def by_tiles(sigma):
        return tiled_operator(field(sigma), HEIGHT, WIDTH, tile=2).forward(x)

    sigmas = jnp.array([0.6, 0.9, 1.2])
    dense = jax.jit(lambda sigma: dense_blur(x, field(sigma)))
    expected = [dense(sigma) for sigma in sigmas]
    for function in (by_rank, by_tiles):
        swept = jax.jit(jax.vmap(function))(sigmas)
        np.testing.assert_allclose(swept, expected, atol=3e-3)


@pytest.mark.parametrize("name", SEVERAL_CELLS)
def test_operators_may_be_arguments_of_jitted_functions(name):
    operator = OPERATORS[name](gaussians)
    x = jnp.asarray(np.random.default_rng(7).random((HEIGHT, WIDTH, 1)), jnp.float32)
    result = jax.jit(lambda operator, x: operator.adjoint(operator.forward(x)))(operator, x)
    np.testing.assert_allclose(result, operator.adjoint(operator.forward(x)), atol=1e-6)


def test_gradients():
    with jax.enable_x64(True):
        x = jnp.asarray(np.random.default_rng(8).random((HEIGHT, WIDTH, 1)))
        y = jnp.asarray(np.random.default_rng(9).random((HEIGHT, WIDTH, 1)))

        @jax.jit
        def loss(sigma, x):
            operator = tiled_operator(
                lambda y, x: gaussian_psf(sigma + y / 20, radius=3), HEIGHT, WIDTH, tile=4
            )
            return jnp.vdot(operator.forward(x), y)

        by_sigma = jax.jit(jax.grad(loss))(1.1, x)
        step = 1e-5
        difference = (loss(1.1 + step, x) - loss(1.1 - step, x)) / (2 * step)
        np.testing.assert_allclose(by_sigma, difference, rtol=1e-6)

        for name in SEVERAL_CELLS:
            operator = OPERATORS[name](gaussians, boundary="edge")
            by_image = jax.jit(jax.grad(lambda x, f=operator.forward: jnp.vdot(f(x), y)))(x)
            np.testing.assert_allclose(by_image, operator.adjoint(y), atol=1e-12, err_msg=name)


def test_memory_is_a_few_images_at_any_rank_and_tile():
    """What the compiled programs ask for beyond arguments and result, of 2048 by 2048 pixels."""
    size, image_bytes = 2048, 4 * 2048**2
    field = functools.partial(wide_gaussians, height=size, width=size)
    images = jax.ShapeDtypeStruct((size, size, 1), jnp.float32)

    @functools.cache
    def temporary_bytes(function):
        # The function as an argument: caught, its tables would be copied into the program.
        program = jax.jit(lambda function, x: function(x)).lower(function, images)
        return program.compile().memory_analysis().temp_size_in_bytes

    # Shapes are enough to compile.
    few, many = (
        jax.eval_shape(lambda r=r: low_rank_operator(eigen_psfs(field, size, size, rank=r)))
        for r in (2, 32)
    )
    tiles = jax.eval_shape(lambda: tiled_operator(field, size, size, tile=128))
    # 32 weight maps of the whole image, or transforms of it, would be 32 images more.
    assert temporary_bytes(many.forward) < temporary_bytes(few.forward) + 4 * image_bytes
    for function in (many.forward, many.adjoint, tiles.forward, tiles.adjoint):
        assert temporary_bytes(function) < 6 * image_bytes


def test_impossible_requests_are_refused():
    even = functools.partial(jnp.full, (4, 5))
    for build in (
        lambda field: tiled_operator(field, HEIGHT, WIDTH, tile=4),
        lambda field: eigen_psfs(field, HEIGHT, WIDTH, rank=1),
        lambda field: dense_blur(jnp.ones((HEIGHT, WIDTH, 1)), field),
    ):
        with pytest.raises(ValueError, match="two odd sizes"):
            build(lambda y, x: even(0.1))
    operator = tiled_operator(bilinear, HEIGHT, WIDTH, tile=4)
    for function in operator:
        with pytest.raises(ValueError, match="for images of 11 by 14"):
            function(jnp.ones((2, WIDTH, HEIGHT, 1)))
    wide = tiled_operator(lambda y, x: gaussian_psf(1.0, radius=6), 5, 9, tile=4)
    with pytest.raises(ValueError, match="smaller radius"):
        wide.forward(jnp.ones((5, 9, 1)))


@pytest.mark.parametrize("name", ["dense", "low rank", "tiled", "derived"])
def test_images_may_be_spread_over_devices_by_shard_map(name):
    images = jnp.asarray(np.random.default_rng(8).random((2, HEIGHT, WIDTH, 1), np.float32))
    operators = {
        "dense": lambda: as_operator(lambda x: dense_blur(x, gaussians), images),
        "low rank": lambda: low_rank_operator(eigen_psfs(gaussians, HEIGHT, WIDTH, rank=2)),
        "tiled": lambda: tiled_operator(gaussians, HEIGHT, WIDTH, tile=5),
        "derived": lambda: as_operator(functools.partial(blur, psf=jnp.ones((3, 3)) / 9), images),
    }
    operator = operators[name]()

    def there_and_back(images):
        return operator.adjoint(operator.forward(images))

    # One device is enough: what would fail is the check of types.
    spec = jax.sharding.PartitionSpec("data")
    mesh = jax.sharding.Mesh(jax.devices()[:1], "data")
    spread = jax.shard_map(there_and_back, mesh=mesh, in_specs=spec, out_specs=spec)
    expected = jax.jit(there_and_back)(images)
    np.testing.assert_allclose(jax.jit(spread)(images), expected, atol=1e-6)
