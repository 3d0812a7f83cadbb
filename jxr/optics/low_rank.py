"""Shift-variant blur by a few eigen-PSFs, each with a map of weights over the field."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float
from scipy.interpolate import CubicSpline

from jxr.optics.blur import Boundary
from jxr.optics.checks import check_range
from jxr.optics.operators import LinearOperator
from jxr.optics.product_convolution import (
    Layout,
    Tables,
    cell_axis,
    product_convolution,
)
from jxr.optics.shift_variant import PsfField, copied_pixels, psf_grid, psf_shape

# The grids of samples and the largest rank that `choose_rank` tries, and the grid of places where
# it looks at the error.
SAMPLES = (5, 9, 17, 33)
LARGEST_RANK = 64
CHECKS = 41


class EigenPsfs(NamedTuple):
    """PSFs of a field as combinations of a few: psf(y, x) = sum_k weight_k(y, x) psf_k.

    The weights are known at samples; between, they are cubic splines, weight_k =
    rows @ coefficients_k @ columns.T. Term 0 is the mean PSF, with weight 1 everywhere.
    """

    psfs: Float[Array, "rank psf_height psf_width"]
    coefficients: Float[Array, "rank row_samples column_samples"]
    rows: Float[np.ndarray | Array, "height row_samples"]
    columns: Float[np.ndarray | Array, "width column_samples"]


class RankChoice(NamedTuple):
    """A rank and number of samples an axis, with the largest error that was seen."""

    rank: int
    samples: int
    error: float


def eigen_psfs(
    psf_at: PsfField, height: int, width: int, *, rank: int, samples: int = 9
) -> EigenPsfs:
    """Returns the mean PSF of a field and its first rank - 1 principal components.

    PSFs are taken at samples by samples places, from corner to corner. As the mean is kept apart,
    PSFs of unit sum stay of unit sum at every rank, which a plain singular value decomposition
    does not grant; R. C. Flicker and F. J. Rigaut, Anisoplanatic deconvolution of adaptive optics
    images, JOSA A 22, 504 (2005), doi:10.1364/JOSAA.22.000504, describe such a basis.

    May be jitted. Derivatives with respect to parameters of the field hold the components fixed
    (those of a decomposition do not exist where singular values are equal, as for a constant
    field); `tiled_operator` has the full ones.

    Args:
        psf_at: the PSF of every place, see `jxr.optics.shift_variant.PsfField`.
        height: of the images, in pixels.
        width: of the images, in pixels.
        rank: the number of terms, 1 to samples^2.
        samples: the number of samples along each axis, at least 2.

    Raises:
        ValueError: if a size, rank or samples are out of their range, or PSFs have an even size.
    """
    check_range("height and width", (height, width), 1, closed=True)
    if samples < 2:
        raise ValueError(f"samples must be at least 2, not {samples}")
    if not 1 <= rank <= samples**2:
        raise ValueError(f"rank must be between 1 and samples^2 = {samples**2}, not {rank}")
    shape = psf_shape(psf_at)
    ys, xs = np.linspace(0, height - 1, samples), np.linspace(0, width - 1, samples)
    psfs = psf_grid(psf_at, ys, xs).reshape(samples**2, -1)
    mean = psfs.mean(0)
    centred = psfs - mean
    components = jnp.linalg.svd(lax.stop_gradient(centred), full_matrices=False)[2][: rank - 1]
    coefficients = jnp.matmul(centred, components.T, precision=lax.Precision.HIGHEST)
    ones = jnp.ones((samples**2, 1), coefficients.dtype)
    coefficients = jnp.concatenate([ones, coefficients], 1).T
    return EigenPsfs(
        jnp.concatenate([mean[None], components]).reshape(-1, *shape),
        coefficients.reshape(-1, samples, samples),
        spline_matrix(np.arange(height), ys),
        spline_matrix(np.arange(width), xs),
    )


def weight_maps(eigen: EigenPsfs) -> Float[Array, "rank height width"]:
    """Returns the weight of every term at every pixel."""
    return _weights(eigen.coefficients, jnp.asarray(eigen.rows), jnp.asarray(eigen.columns))


def low_rank_operator(
    eigen: EigenPsfs, *, boundary: Boundary = "reflect", block: int = 512
) -> LinearOperator:
    """Returns the blur sum_k psf_k * (weight_k image) and its exact adjoint.

    Costs rank + 1 transforms of the image. Memory beyond some copies of the images is that of
    cells of about block by block pixels; weights are interpolated cell by cell and never stored.

    Args:
        eigen: from `eigen_psfs`.
        boundary: see `jxr.optics.blur`; `jxr.optics.shift_variant` says what it means here.
        block: the size of a cell, in pixels.

    Returns:
        Forward and adjoint, for images of the size that `eigen` was made for.

    Raises:
        ValueError: if the block is below 1 or the boundary unknown.
    """
    check_range("block", block, 1, closed=True)
    axes, starts, tables = [], [], []
    for matrix, size in ((eigen.rows, eigen.psfs.shape[1]), (eigen.columns, eigen.psfs.shape[2])):
        axis = cell_axis(len(matrix), size // 2, block)
        pixels = copied_pixels(axis.pixels, axis.radius, boundary)
        cells = -(-len(pixels) // axis.length)
        axes.append(axis)
        starts.append(np.arange(cells) * axis.length)
        # Rows of zeros beyond the end; where a point copies no pixel the object is zero anyway.
        padded = jnp.zeros((cells * axis.length, matrix.shape[1]), eigen.psfs.dtype)
        padded = padded.at[: len(pixels)].set(jnp.asarray(matrix, padded.dtype)[pixels])
        tables.append(padded.reshape(cells, axis.length, -1))
    layout = Layout(axes[0], axes[1], boundary, _cell_factors)
    factors = (tables[0], tables[1], eigen.coefficients, jnp.fft.rfft2(eigen.psfs, layout.size))
    return product_convolution(layout, Tables(starts[0], starts[1], factors))


def choose_rank(psf_at: PsfField, height: int, width: int, *, wanted_error: float) -> RankChoice:
    """Returns the smallest rank whose PSFs err by less than wanted, and the samples it needs.

    The smallest with the coarsest of 5, 9, 17 or 33 samples an axis that reaches it at all. The
    error is that of `operator_error`, the relative Euclidean error of a PSF; the largest of 41 by
    41 places counts. Computed on the host, outside jit.

    Raises:
        ValueError: if no rank up to 64 reaches it with 33 samples an axis: PSFs vary too much; or
            wanted_error is not > 0, or a size not >= 1.
    """
    check_range("height and width", (height, width), 1, closed=True)
    check_range("wanted_error", wanted_error, 0)
    best = np.inf
    # Multiples of the golden ratio: spread evenly, with no period that a field could share.
    spread = np.concatenate([[1], np.arange(CHECKS - 1) * (np.sqrt(5) - 1) / 2 % 1])
    checks = [spread * (n - 1) for n in (height, width)]
    true = np.asarray(psf_grid(psf_at, *checks)).reshape(CHECKS**2, -1)
    norms = np.linalg.norm(true, axis=1)
    for samples in SAMPLES:
        eigen = eigen_psfs(
            psf_at, height, width, rank=min(samples**2, LARGEST_RANK), samples=samples
        )
        rows, columns = (
            spline_matrix(at, np.linspace(0, n - 1, samples))
            for at, n in zip(checks, (height, width), strict=True)
        )
        rest = true.astype(float)
        for rank, (psf, coefficients) in enumerate(
            zip(*map(np.asarray, eigen[:2]), strict=True), 1
        ):
            rest -= np.outer(rows @ coefficients @ columns.T, psf)
            error = float((np.linalg.norm(rest, axis=1) / norms).max())
            best = min(best, error)
            if error <= wanted_error:
                return RankChoice(rank, samples, error)
    raise ValueError(
        f"no rank up to {LARGEST_RANK} reaches an error of {wanted_error:g} on this field, only "
        f"{best:.2g}: ask for less, or take tiled_operator"
    )


def spline_matrix(
    positions: Float[np.ndarray, " positions"] | np.ndarray, nodes: Float[np.ndarray, " nodes"]
) -> Float[np.ndarray, "positions nodes"]:
    """Returns the cubic spline through values at nodes as a matrix; its rows sum to one."""
    if nodes[0] == nodes[-1]:
        return np.full((len(positions), len(nodes)), 1 / len(nodes))
    return CubicSpline(nodes, np.eye(len(nodes)))(positions)


def _weights(coefficients, rows, columns):
    return jnp.einsum(
        "ya,kab,xb->kyx",
        rows.astype(coefficients.dtype),
        coefficients,
        columns.astype(coefficients.dtype),
        precision=lax.Precision.HIGHEST,
    )


def _cell_factors(tables, i, j):
    rows, columns, coefficients, transfers = tables
    return _weights(coefficients, rows[i], columns[j]), transfers
