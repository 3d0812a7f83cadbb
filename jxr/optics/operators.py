"""Linear operators: a blur together with its exact adjoint, for every boundary."""

from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from scipy.fft import next_fast_len

from jxr.optics.blur import PAD_MODES, Boundary, blur, blur_separable, pad
from jxr.optics.checks import as_images, check_choice

Method = Literal["direct", "fft"]


class LinearOperator(NamedTuple):
    """A blur and its adjoint, both linear maps of images onto images of the same shape.

    Both take and return (*batch, height, width, channels), float32 or float64, which is kept, and
    satisfy <forward(x), y> = <x, adjoint(y)> to rounding.
    """

    forward: Callable[[Float[Array, "*shape"]], Float[Array, "*shape"]]
    adjoint: Callable[[Float[Array, "*shape"]], Float[Array, "*shape"]]


def check_operator(operator: LinearOperator) -> None:
    """Raises ValueError for a PSF or anything else that is no blur with its adjoint."""
    if not isinstance(operator, LinearOperator):
        raise ValueError(
            f"operator must be a LinearOperator, not {type(operator).__name__}: of a PSF give"
            " jxr.optics.psf_operator(psf)"
        )


def separable_operator(
    profile: Float[Array, " size"], *, boundary: Boundary = "reflect", symmetric: bool = False
) -> LinearOperator:
    """Returns `blur_separable` and its adjoint.

    The adjoint correlates the image, zero beyond its edge, with the profile and folds what falls
    outside back onto the pixels it was copied from, which costs two to three blurs. With a
    symmetric profile 'reflect', 'zero' and 'circular' are self-adjoint; 'edge' never is.

    Args:
        profile: the one-dimensional kernel, odd in size; may be traced.
        boundary: see `jxr.optics.blur`.
        symmetric: the caller's word that the profile equals its mirror image, as a Gaussian does:
            the adjoint is then the blur itself, but for 'edge'.

    Raises:
        ValueError: if the boundary is unknown; when called, see `jxr.optics.blur`.
    """
    check_choice("boundary", boundary, PAD_MODES)
    radius = profile.size // 2

    def forward(images):
        return blur_separable(images, profile, boundary=boundary)

    def adjoint(images):
        if boundary in ("zero", "circular"):
            return blur_separable(images, profile[::-1], boundary=boundary)
        wider = zero_margin(images, radius, radius)
        return fold(blur_separable(wider, profile[::-1], boundary="zero"), radius, radius, boundary)

    return LinearOperator(forward, forward if symmetric and boundary != "edge" else adjoint)


def psf_operator(
    psf: Float[Array, "psf_height psf_width"],
    *,
    boundary: Boundary = "reflect",
    method: Method = "direct",
) -> LinearOperator:
    """Returns the convolution with any PSF, `jxr.optics.blur`, and its adjoint.

    Args:
        psf: odd in both sizes, its centre at the middle; may be traced.
        boundary: see `jxr.optics.blur`.
        method: 'direct' sums over the kernel; 'fft' multiplies real transforms of the padded
            image, which pays from a kernel of about 9 by 9 pixels and rounds relative to the
            brightest pixel, not to each.

    Raises:
        ValueError: if method or boundary is unknown; when called, if the PSF has an even size or
            reaches further than the image is large.
    """
    check_choice("method", method, get_args(Method))
    check_choice("boundary", boundary, PAD_MODES)
    rows, columns = psf.shape[0] // 2, psf.shape[1] // 2

    def forward(images):
        return blur(images, psf, boundary=boundary)

    def adjoint(images):
        if boundary in ("zero", "circular"):
            return blur(images, psf[::-1, ::-1], boundary=boundary)
        wider = zero_margin(images, rows, columns)
        return fold(blur(wider, psf[::-1, ::-1], boundary="zero"), rows, columns, boundary)

    # Transforms run cyclically over `size` points: an image with its margins fits in, and what
    # wraps around falls into the margin that is cut away.
    def fft_size(images):
        height, width, _ = images.shape[-3:]
        return tuple(
            next_fast_len(n + 2 * r, real=True) for n, r in ((height, rows), (width, columns))
        )

    def transfer(images, size):
        return jnp.fft.rfft2(psf.astype(images.dtype), size)[..., None]

    def forward_fft(images):
        padded = pad(images, psf.shape[0], psf.shape[1], boundary)
        height, width, _ = images.shape[-3:]
        size = fft_size(images)
        spectrum = jnp.fft.rfft2(padded, size, axes=(-3, -2)) * transfer(padded, size)
        full = jnp.fft.irfft2(spectrum, size, axes=(-3, -2))
        return full[..., 2 * rows : 2 * rows + height, 2 * columns : 2 * columns + width, :]

    def adjoint_fft(images):
        images = as_images("images", images)
        height, width, _ = images.shape[-3:]
        size = fft_size(images)
        margins = [(0, 0)] * (images.ndim - 3) + [(2 * rows, 0), (2 * columns, 0), (0, 0)]
        spectrum = jnp.fft.rfft2(jnp.pad(images, margins), size, axes=(-3, -2))
        spectrum = spectrum * transfer(images, size).conj()
        full = jnp.fft.irfft2(spectrum, size, axes=(-3, -2))
        padded = full[..., : height + 2 * rows, : width + 2 * columns, :]
        return fold(padded, rows, columns, boundary)

    if method == "direct":
        return LinearOperator(forward, adjoint)
    return LinearOperator(forward_fft, adjoint_fft)


def as_operator(
    forward: Callable[[Float[Array, "*shape"]], Float[Array, "*shape"]],
    like: Float[Array, "*batch height width channels"] | jax.ShapeDtypeStruct,
) -> LinearOperator:
    """Returns any linear function of images with the adjoint that JAX derives from it.

    Exact for whatever JAX can transpose, but often slower than an adjoint written by hand.

    Args:
        forward: linear, of images onto images of the same shape and dtype.
        like: an image, or its shape and dtype, on which this is checked (nothing is computed).

    Raises:
        ValueError: if `forward` changes the shape or dtype.
    """
    out = jax.eval_shape(forward, like)
    if (out.shape, out.dtype) != (like.shape, like.dtype):
        raise ValueError(
            f"the operator maps {like.dtype}{list(like.shape)} onto {out.dtype}{list(out.shape)}; "
            "it must keep shape and dtype"
        )

    def adjoint(images):
        # By the images themselves, whose type says in `jax.shard_map` how they vary over devices.
        (transposed,) = jax.linear_transpose(forward, images)(images)
        return transposed

    return LinearOperator(forward, adjoint)


def zero_margin(
    images: Float[Array, "*batch height width channels"], rows: int, columns: int
) -> Float[Array, "*batch padded_height padded_width channels"]:
    """Adds a margin of zeros on all sides."""
    widths = [(0, 0)] * (images.ndim - 3) + [(rows, rows), (columns, columns), (0, 0)]
    return jnp.pad(images, widths)


def fold(
    padded: Float[Array, "*batch padded_height padded_width channels"],
    rows: int,
    columns: int,
    boundary: Boundary,
) -> Float[Array, "*batch height width channels"]:
    """Adds each pixel of the margin to the pixel it copies: the adjoint of `blur.pad`."""
    return _fold_axis(_fold_axis(padded, -3, rows, boundary), -2, columns, boundary)


def _fold_axis(padded, axis, radius, boundary):
    axis += padded.ndim
    length = padded.shape[axis] - 2 * radius
    before, inside, after = jnp.split(padded, [radius, radius + length], axis=axis)

    # Padding with zeros and adding fuses into one loop; a scatter would not.
    def place(part, start):
        widths = [(0, 0)] * padded.ndim
        widths[axis] = (start, length - start - part.shape[axis])
        return jnp.pad(part, widths)

    if boundary == "zero":
        return inside
    if boundary == "circular":
        return inside + place(before, length - radius) + place(after, 0)
    if boundary == "reflect":
        mirrored = place(jnp.flip(before, axis), 0)
        return inside + mirrored + place(jnp.flip(after, axis), length - radius)
    first, last = before.sum(axis, keepdims=True), after.sum(axis, keepdims=True)
    return inside + place(first, 0) + place(last, length - 1)
