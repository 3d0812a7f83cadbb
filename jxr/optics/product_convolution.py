"""Sums of weighted images, each convolved with one kernel, cell by cell in bounded memory.

Any shift-variant blur close to blurred = sum over k of kernel_k * (weight_k object) is computed
here (P. Escande and P. Weiss, Approximation of integral operators using product-convolution
expansions, JMIV 58, 333 (2017), doi:10.1007/s10851-017-0714-8). The padded object is cut into
disjoint cells; each is weighted, convolved by a small real FFT and added where it belongs, so the
memory beyond a few copies of the image does not grow with it, nor with the number of terms.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.tree_util import Partial
from jaxtyping import Array, Int
from scipy.fft import next_fast_len

from jxr.optics.blur import Boundary, pad
from jxr.optics.checks import as_images
from jxr.optics.operators import LinearOperator, fold
from jxr.optics.shift_variant import add_at, from_planes, to_planes


class Axis(NamedTuple):
    """How one axis is cut into cells of one length, in points of the padded axis."""

    pixels: int  # of the image
    radius: int  # of the kernels
    length: int  # of a cell
    size: int  # of its transform, at least length + 2 radius


# The weights (terms, cell_height, cell_width) and the kernels' transforms (terms, ...) of the cell
# in row i and column j, from arrays that were computed when the operator was built.
Factors = Callable[[Any, Array, Array], tuple[Array, Array]]


class Layout(NamedTuple):
    """All that is static of an operator, so that one compiled program serves equal ones."""

    rows: Axis
    columns: Axis
    boundary: Boundary
    factors: Factors

    @property
    def size(self) -> tuple[int, int]:
        """The size of the transform of a cell."""
        return self.rows.size, self.columns.size


class Tables(NamedTuple):
    """Where cells start, and the arrays for `Factors`."""

    row_starts: Int[Array | np.ndarray, " rows"]
    column_starts: Int[Array | np.ndarray, " columns"]
    factors: Any


def product_convolution(layout: Layout, tables: Tables) -> LinearOperator:
    """Returns the operator and its exact adjoint: the same cells, transposed one by one.

    The operator is a pytree of its tables: as an argument of a jitted function, rather than caught
    by it, it is not copied into the compiled program.
    """
    forward = functools.partial(_forward, layout)
    adjoint = functools.partial(_adjoint, layout)
    return LinearOperator(Partial(forward, tables), Partial(adjoint, tables))


def cell_axis(pixels: int, radius: int, block: int) -> Axis:
    """Cuts a padded axis into equal cells of about `block` points, as FFTs like them."""
    points = pixels + 2 * radius
    cells = -(-points // block)
    size = next_fast_len(-(-points // cells) + 2 * radius, real=True)
    return Axis(pixels, radius, size - 2 * radius, size)


@functools.partial(jax.jit, static_argnums=0)
def _forward(layout: Layout, tables: Tables, images):
    rows, columns = layout.rows, layout.columns
    images = _checked(layout, images)
    # Hidden from XLA, which would fold the weights of a whole image into constants, for seconds.
    tables = lax.optimization_barrier(tables)
    # Cells may reach beyond the end: there the weights are zero, and so is this.
    padded = pad(images, 2 * rows.radius + 1, 2 * columns.radius + 1, layout.boundary)
    planes = jnp.pad(to_planes(padded), [(0, 0), (0, rows.length), (0, columns.length)])

    def convolve_cell(full, cell):
        (weights, transfers), start = _cell(layout, tables, images.dtype, cell)
        shape = (len(planes), rows.length, columns.length)
        part = lax.dynamic_slice(planes, start, shape)

        def add_term(spectrum, term):
            weight, transfer = term
            return spectrum + transfer * jnp.fft.rfft2(weight * part, layout.size), None

        shape = (len(planes), *transfers.shape[1:])
        zeros = jnp.zeros_like(planes, transfers.dtype, shape=shape)
        spectrum, _ = lax.scan(add_term, zeros, (weights, transfers))
        spread = jnp.fft.irfft2(spectrum, layout.size)
        spread = spread[:, : rows.length + 2 * rows.radius, : columns.length + 2 * columns.radius]
        return add_at(full, spread, start), None

    margins = (2 * rows.radius, 2 * columns.radius)
    # Like the images: in `jax.shard_map` a scan's carry has to vary over devices from the start.
    full = jnp.zeros_like(planes, shape=(len(planes), *np.add(planes.shape[1:], margins)))
    full = _over_cells(convolve_cell, full, tables)
    inside = full[:, margins[0] :, margins[1] :][:, : rows.pixels, : columns.pixels]
    return from_planes(inside, images.shape)


@functools.partial(jax.jit, static_argnums=0)
def _adjoint(layout: Layout, tables: Tables, images):
    rows, columns = layout.rows, layout.columns
    images = _checked(layout, images)
    # Hidden from XLA, which would fold the weights of a whole image into constants, for seconds.
    tables = lax.optimization_barrier(tables)
    margins = [(2 * axis.radius, 2 * axis.radius + axis.length) for axis in (rows, columns)]
    planes = jnp.pad(to_planes(images), [(0, 0), *margins])

    def correlate_cell(padded, cell):
        (weights, transfers), start = _cell(layout, tables, images.dtype, cell)
        reach = (rows.length + 2 * rows.radius, columns.length + 2 * columns.radius)
        part = lax.dynamic_slice(planes, start, (len(planes), *reach))
        spectrum = jnp.fft.rfft2(part, layout.size)

        def add_term(total, term):
            weight, transfer = term
            back = jnp.fft.irfft2(transfer.conj() * spectrum, layout.size)
            return total + weight * back[:, : rows.length, : columns.length], None

        zeros = jnp.zeros_like(planes, shape=(len(planes), rows.length, columns.length))
        total, _ = lax.scan(add_term, zeros, (weights, transfers))
        return add_at(padded, total, start), None

    points = [axis.pixels + 2 * axis.radius for axis in (rows, columns)]
    shape = (len(planes), points[0] + rows.length, points[1] + columns.length)
    padded = _over_cells(correlate_cell, jnp.zeros_like(planes, shape=shape), tables)
    padded = from_planes(
        padded[:, : points[0], : points[1]], (*images.shape[:-3], *points, images.shape[-1])
    )
    return fold(padded, rows.radius, columns.radius, layout.boundary)


def _checked(layout, images):
    images = as_images("images", images)
    height, width, _ = images.shape[-3:]
    if (height, width) != (layout.rows.pixels, layout.columns.pixels):
        raise ValueError(
            f"the operator is for images of {layout.rows.pixels} by {layout.columns.pixels} "
            f"pixels, not {height} by {width}"
        )
    return images


def _cell(layout, tables, dtype, cell):
    i, j = cell // len(tables.column_starts), cell % len(tables.column_starts)
    weights, transfers = layout.factors(tables.factors, i, j)
    complex_dtype = jnp.result_type(dtype, jnp.complex64)
    start = (0, jnp.asarray(tables.row_starts)[i], jnp.asarray(tables.column_starts)[j])
    return (weights.astype(dtype), transfers.astype(complex_dtype)), start


def _over_cells(step, start, tables):
    # Without the checkpoint, reverse mode would keep the weights and transforms of every cell.
    step = jax.checkpoint(step, prevent_cse=False)
    cells = len(tables.row_starts) * len(tables.column_starts)
    return lax.scan(step, start, jnp.arange(cells))[0]
