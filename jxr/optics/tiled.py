"""Shift-variant blur by tiles: PSFs interpolated between the corners of tiles."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float
from scipy.fft import next_fast_len

from jxr.optics.blur import Boundary
from jxr.optics.checks import check_range
from jxr.optics.operators import LinearOperator
from jxr.optics.product_convolution import Axis, Layout, Tables, product_convolution
from jxr.optics.shift_variant import PsfField, copied_pixels, psf_grid, psf_shape

# `choose_tile` looks at the error in up to this many tiles an axis, and goes down to this tile.
CHECKED_TILES = 14
SMALLEST_TILE = 4


class TileChoice(NamedTuple):
    """A tile size in pixels, with the largest error that was seen."""

    tile: int
    error: float


class _TiledAxis(NamedTuple):
    axis: Axis
    nodes: np.ndarray  # where PSFs are taken, in pixels
    starts: np.ndarray  # of cells, on the padded axis
    first: np.ndarray  # the node before each cell; the one after it follows
    weights: np.ndarray  # cells, 2 nodes, points of a cell


def tiled_operator(
    psf_at: PsfField, height: int, width: int, *, tile: int, boundary: Boundary = "reflect"
) -> LinearOperator:
    """Returns the blur whose PSFs are linear between the corners of tiles, and its exact adjoint.

    Each corner's PSF acts on the object times a window that falls linearly to zero at the next
    corners. The windows sum to one, so brightness is kept, and PSFs that vary linearly over a tile
    are exact; the error falls with the square of the tile size (L. Denis et al., IJCV 2015, on
    'PSF interpolation'). All is differentiable by parameters of the field.

    Costs five transforms of tile + 2 radius pixels a side for each tile; memory beyond some copies
    of the images holds the transforms of all corners' PSFs: at most four images where a tile is
    not smaller than a PSF. A tile of half the image and one of twice the PSF are the useful range.

    Args:
        psf_at: the PSF of every place, see `jxr.optics.shift_variant.PsfField`.
        height: of the images, in pixels.
        width: of the images, in pixels.
        tile: the largest distance of corners, in pixels; 1 is exact.
        boundary: see `jxr.optics.blur`; `jxr.optics.shift_variant` says what it means here.

    Returns:
        Forward and adjoint, for images of height by width pixels.

    Raises:
        ValueError: if the tile or a size is below 1, the boundary unknown, or PSFs have an even
            size.
    """
    check_range("height and width", (height, width), 1, closed=True)
    if tile < 1:
        raise ValueError(f"tile must be at least 1 pixel, not {tile}")
    psf_height, psf_width = psf_shape(psf_at)
    rows = _cut(height, psf_height // 2, tile, boundary)
    columns = _cut(width, psf_width // 2, tile, boundary)
    layout = Layout(rows.axis, columns.axis, boundary, _cell_factors)
    transfers = jnp.fft.rfft2(psf_grid(psf_at, rows.nodes, columns.nodes), layout.size)
    factors = (rows.first, columns.first, rows.weights, columns.weights, transfers)
    return product_convolution(layout, Tables(rows.starts, columns.starts, factors))


def choose_tile(psf_at: PsfField, height: int, width: int, *, wanted_error: float) -> TileChoice:
    """Returns the largest tile, by steps of the root of 2, whose PSFs err by less than wanted.

    The error is that of `operator_error`, the relative Euclidean error of a PSF; the largest counts
    of nine places in each of up to 14 by 14 tiles. Computed on the host, outside jit.

    Raises:
        ValueError: if tiles of 4 pixels do not reach it, wanted_error is not > 0, or a size not
            >= 1.
    """
    check_range("height and width", (height, width), 1, closed=True)
    check_range("wanted_error", wanted_error, 0)
    tile = float(max(height, width, SMALLEST_TILE + 1) - 1)
    while tile >= SMALLEST_TILE:
        error = _interpolation_error(psf_at, height, width, int(tile))
        if error <= wanted_error:
            return TileChoice(int(tile), error)
        tile /= np.sqrt(2)
    raise ValueError(
        f"no tile of {SMALLEST_TILE} pixels or more reaches an error of {wanted_error:g} on this "
        f"field, only {error:.2g}: ask for less, or take low_rank_operator"
    )


def _node_grid(pixels, tile):
    """Returns where PSFs are taken along an axis: equal steps of at most a tile, ends included."""
    steps = max(1, -(-(pixels - 1) // tile))
    return np.linspace(0, max(pixels - 1, 1), steps + 1)


def _between(positions, nodes):
    """Returns the node before each position and how far on, from 0 to 1, the position is."""
    along = positions / nodes[1]
    first = np.minimum(along.astype(int), len(nodes) - 2)
    return first, along - first


def _cut(pixels: int, radius: int, tile: int, boundary: Boundary) -> _TiledAxis:
    """Cuts the padded axis into runs of points that lie between the same two nodes."""
    nodes = _node_grid(pixels, tile)
    copied = copied_pixels(pixels, radius, boundary)
    first, along = _between(copied, nodes)
    points = np.flatnonzero(copied >= 0)
    limit = int(np.ceil(nodes[1]))
    starts: list[int] = []
    for p in points:
        new_run = not starts or first[p] != first[p - 1] or p - starts[-1] == limit
        if new_run:
            starts.append(int(p))
    ends = [*starts[1:], int(points[-1]) + 1]
    length = max(end - start for start, end in zip(starts, ends, strict=True))
    weights = np.zeros((len(starts), 2, length))
    for cell, (start, end) in enumerate(zip(starts, ends, strict=True)):
        weights[cell, :, : end - start] = 1 - along[start:end], along[start:end]
    size = next_fast_len(length + 2 * radius, real=True)
    axis = Axis(pixels, radius, length, size)
    return _TiledAxis(axis, nodes, np.array(starts), first[starts], weights)


def _cell_factors(tables, i, j):
    row_first, column_first, row_weights, column_weights, transfers = tables
    near = lax.dynamic_slice(
        transfers,
        (jnp.asarray(row_first)[i], jnp.asarray(column_first)[j], 0, 0),
        (2, 2, *transfers.shape[2:]),
    )
    dtype = transfers.real.dtype
    rows, columns = (
        jnp.asarray(weights, dtype)[k] for weights, k in ((row_weights, i), (column_weights, j))
    )
    weights = rows[:, None, :, None] * columns[None, :, None, :]
    return weights.reshape(4, *weights.shape[2:]), near.reshape(4, *near.shape[2:])


def _interpolation_error(psf_at, height, width, tile):
    ys, xs = (_check_positions(n, tile) for n in (height, width))
    (first_y, along_y), (first_x, along_x) = (
        _between(at, _node_grid(n, tile)) for at, n in ((ys, height), (xs, width))
    )
    nodes = [_node_grid(n, tile) for n in (height, width)]

    def corner(dy, dx):
        return psf_grid(psf_at, nodes[0][first_y + dy], nodes[1][first_x + dx])

    @jax.jit
    def largest():
        true = psf_grid(psf_at, ys, xs)
        parts = (
            corner(dy, dx)
            * jnp.asarray(along_y if dy else 1 - along_y, true.dtype)[:, None, None, None]
            * jnp.asarray(along_x if dx else 1 - along_x, true.dtype)[:, None, None]
            for dy in (0, 1)
            for dx in (0, 1)
        )
        norms = [jnp.sqrt(jnp.square(x).sum((-2, -1))) for x in (sum(parts) - true, true)]
        return (norms[0] / norms[1]).max()

    return float(largest())


def _check_positions(pixels, tile) -> Float[np.ndarray, " checks"]:
    """Returns places in not more tiles than wanted: a corner, the middle, and one off the middle.

    The middle is the worst place on smooth fields; the third shows a ripple of just two tiles.
    """
    nodes = _node_grid(pixels, tile)
    steps = len(nodes) - 1
    some = np.linspace(0, steps - 1, min(steps, CHECKED_TILES)).round()
    return np.concatenate([some, some + 0.5, some + 0.31]) * nodes[1]
