"""Shift-variant blur by its definition, and how far a faster operator is from it.

Every point of the object spreads with the PSF of its own place ('scatter', what light does), so an
impulse at (y, x) becomes `psf_at(y, x)` and the brightness is kept wherever PSFs have unit sum:

    blurred(u) = sum over points p of psf_p(u - p) object(p)

The other reading, 'gather', where each pixel of the result averages its surroundings with its own
PSF, is the adjoint of a scatter with mirrored PSFs. Beyond its edge the object goes on by the
boundary, and each point there carries the PSF of the pixel that it copies, unmirrored; so a
constant field is `jxr.optics.blur`. The fast operators are `low_rank_operator`, for PSFs that are
combinations of a few, and `tiled_operator`, for PSFs that vary slowly; compared in L. Denis et al.,
Fast approximations of shift-variant blur, IJCV 115, 253 (2015), doi:10.1007/s11263-015-0817-x.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from jxr.optics.blur import PAD_MODES, Boundary, pad
from jxr.optics.checks import as_images, check_choice
from jxr.optics.operators import LinearOperator, psf_operator
from jxr.optics.psf import Scalar

# The PSF of the point at (y, x), in pixels from the centre of the first one: odd in both sizes, its
# centre at the middle, traceable. A Gaussian for one: lambda y, x: gaussian_psf(0.5 + x / 200,
# radius=6). A fast operator may ask between pixels.
PsfField = Callable[[Scalar, Scalar], Float[Array, "psf_height psf_width"]]


def dense_blur(
    images: Float[Array, "*batch height width channels"],
    psf_at: PsfField,
    *,
    boundary: Boundary = "reflect",
) -> Float[Array, "*batch height width channels"]:
    """Blurs by the definition, one PSF a pixel: the reference, for small images.

    Work is height * width * size of a PSF; memory holds the PSFs of one row only.

    Args:
        images: of any float dtype; any number of leading batch axes.
        psf_at: the PSF of every place, see `PsfField`; asked in the dtype of `images`.
        boundary: see `jxr.optics.blur`.

    Returns:
        The blurred images, of the shape and dtype of `images`.

    Raises:
        ValueError: if PSFs have an even size or reach further than the image is large, or the
            images are no float numbers or lack an axis.
    """
    images = as_images("images", images)
    height, width, _ = images.shape[-3:]
    psf_height, psf_width = psf_shape(psf_at)
    radii = psf_height // 2, psf_width // 2
    planes = to_planes(pad(images, psf_height, psf_width, boundary))
    rows, columns = (
        np.abs(copied_pixels(n, r, boundary)) for n, r in zip((height, width), radii, strict=True)
    )
    places = jnp.arange(width, dtype=images.dtype)

    def spread_row(full, p):
        y = jnp.asarray(rows)[p].astype(images.dtype)
        psfs = jax.vmap(lambda x: psf_at(y, x))(places).astype(images.dtype)
        psfs = jnp.transpose(psfs, (2, 1, 0))[..., columns]  # offset x, offset y, point
        line = lax.dynamic_index_in_dim(planes, p, axis=1)

        def spread_column(strip, k):
            term = line * lax.dynamic_index_in_dim(psfs, k, keepdims=False)
            return add_at(strip, term, (0, 0, k)), None

        strip = jnp.zeros_like(planes, shape=(len(planes), psf_height, full.shape[2]))
        strip, _ = lax.scan(spread_column, strip, jnp.arange(psf_width))
        return add_at(full, strip, (0, p, 0)), None

    shape = (len(planes), len(rows) + psf_height - 1, len(columns) + psf_width - 1)
    # Like the images: in `jax.shard_map` a scan's carry has to vary over devices from the start.
    zeros = jnp.zeros_like(planes, shape=shape)
    full, _ = lax.scan(spread_row, zeros, jnp.arange(len(rows)))
    top, left = 2 * radii[0], 2 * radii[1]
    return from_planes(full[:, top : top + height, left : left + width], images.shape)


def operator_error(
    operator: LinearOperator,
    psf_at: PsfField,
    height: int,
    width: int,
    *,
    places: Int[np.ndarray, "places 2"] | None = None,
    boundary: Boundary = "reflect",
) -> Float[Array, " places"]:
    """Returns the error of an operator's impulse responses, at as many places as wanted.

    The root of the mean square of these errors, over all pixels, is the relative error on white
    noise; on smooth images an operator that keeps the brightness errs less.

    Args:
        operator: the operator on trial, for images of height by width pixels.
        psf_at: the PSFs that it stands for.
        height: in pixels.
        width: in pixels.
        places: row and column of each impulse; by default 5 by 5 from corner to corner.
        boundary: see `jxr.optics.blur`.

    Returns:
        |response - true response| / |true response| in the Euclidean norm, one a place.
    """
    if places is None:
        ys, xs = (np.linspace(0, n - 1, 5).round().astype(int) for n in (height, width))
        places = np.stack(np.meshgrid(ys, xs, indexing="ij"), -1).reshape(-1, 2)

    def error(place):
        impulse = jnp.zeros((height, width, 1), float).at[place[0], place[1], 0].set(1)
        # All copies of one pixel have one PSF: its response is a stationary blur.
        psf = psf_at(*place.astype(impulse.dtype))
        true = psf_operator(psf, boundary=boundary, method="fft").forward(impulse)
        return jnp.linalg.norm(operator.forward(impulse) - true) / jnp.linalg.norm(true)

    return lax.map(error, jnp.asarray(places))


def psf_shape(psf_at: PsfField) -> tuple[int, int]:
    """Returns the size of the PSFs of a field.

    Raises:
        ValueError: if it is even, or a PSF is no matrix.
    """
    place = jax.ShapeDtypeStruct((), jnp.asarray(0.0).dtype)
    shape = jax.eval_shape(psf_at, place, place).shape
    if len(shape) != 2 or not all(n % 2 for n in shape):
        raise ValueError(f"psf_at gives PSFs of shape {list(shape)}: it must be two odd sizes")
    return shape[0], shape[1]


def psf_grid(
    psf_at: PsfField, ys: Float[np.ndarray, " rows"], xs: Float[np.ndarray, " columns"]
) -> Float[Array, "rows columns psf_height psf_width"]:
    """Returns the PSFs at the crossings of the given rows and columns."""
    along_row = jax.vmap(psf_at, in_axes=(None, 0))
    return jax.vmap(along_row, in_axes=(0, None))(jnp.asarray(ys, float), jnp.asarray(xs, float))


def copied_pixels(length: int, radius: int, boundary: Boundary) -> Int[np.ndarray, " padded"]:
    """Returns which pixel each point of the padded axis copies; -1 where it copies none."""
    check_choice("boundary", boundary, PAD_MODES)
    if boundary == "zero":
        return np.pad(np.arange(length), radius, constant_values=-1)
    return np.pad(np.arange(length), radius, mode=PAD_MODES[boundary])  # type: ignore[call-overload]


def to_planes(
    images: Float[Array, "*batch height width channels"],
) -> Float[Array, "planes height width"]:
    """Lines up all channels of all images."""
    return jnp.moveaxis(images, -1, -3).reshape(-1, *images.shape[-3:-1])


def from_planes(
    planes: Float[Array, "planes height width"], shape: tuple[int, ...]
) -> Float[Array, "*batch height width channels"]:
    """Gives planes back as images of a shape: the inverse of `to_planes`."""
    return jnp.moveaxis(planes.reshape(*shape[:-3], shape[-1], *shape[-3:-1]), -3, -1)


def add_at(
    full: Float[Array, "planes height width"],
    part: Float[Array, "planes part_height part_width"],
    start: tuple,
) -> Float[Array, "planes height width"]:
    """Adds a part onto its place, which may be traced and must lie inside."""
    old = lax.dynamic_slice(full, start, part.shape)
    return lax.dynamic_update_slice(full, old + part, start)
