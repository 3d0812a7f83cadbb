"""The shipped restorer on an image of any size, in memory that the network does not decide."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Float32

from jxr.models.functional import Params, apply
from jxr.models.restorer import Restorer, check_images, check_told, correction_scale
from jxr.optics.psf import Scalar
from jxr.restoration.cosine_filter import filter_cosines
from jxr.restoration.spectra import Kernel
from jxr.restoration.wiener_bank import INPUTS, bank_filters, centred

STRIDE = 2  # the network works on blocks of 2x2 pixels

Progress = Callable[[list[tuple[int, int]]], Iterable[tuple[int, int]]]


def restore_large(
    restorer: Restorer,
    blurred: Float32[np.ndarray, "height width 1"],
    kernel: Kernel,
    *,
    noise: Scalar,
    quantisation: Scalar = 1 / 255,
    width_error: Scalar = 0.0,
    tile: int = 512,
    progress: Progress = iter,
) -> Float32[np.ndarray, "height width 1"]:
    """Restores one image as `restorer` does, the network tile by tile.

    The Wiener estimates are those of the whole image, one after another: a Fourier transform needs
    little memory and has no seams. The network sees them in overlapping tiles, which start at even
    pixels, as its blocks do, and of which only pixels are kept whose receptive field lies within
    the tile or ends at the image's own edge. So the result is that of the whole image, to rounding.

    Memory: about 20 float32 images of the size of `blurred`, and the network on one tile.

    Args:
        restorer: see `load_restorer`.
        blurred: in [0, 1].
        kernel: see `Restorer`, as the next three.
        noise: see there.
        quantisation: see there.
        width_error: see there.
        tile: largest side of the tiles in pixels; what an accelerator has room for.
        progress: wraps the list of tiles while they are worked on, such as `tqdm`.

    Returns:
        The restored image, in [0, 1].

    Raises:
        ValueError: a tile that is odd or has no room beside its halo, or see `Restorer`.

    >>> import jxr
    >>> import numpy as np
    >>> image = np.full((200, 150, 1), 0.5, np.float32)
    >>> kernel = jxr.gaussian_profile(1.0, radius=4)
    >>> jxr.restore_large(jxr.load_restorer(), image, kernel, noise=0.01, tile=128).shape
    (200, 150, 1)
    """
    check_images(blurred)
    if blurred.ndim != 3:
        raise ValueError(f"one image at a time, (height, width, 1), not {blurred.shape}")
    check_told(kernel, noise, quantisation, width_error)
    halo = receptive_radius(restorer)
    if tile % STRIDE or tile <= 2 * halo:
        raise ValueError(f"tile must be even and above {2 * halo}, not {tile}")
    height, width, _ = blurred.shape
    told = {"noise": noise, "quantisation": quantisation, "width_error": width_error}
    kernel = jnp.asarray(kernel, jnp.float32)
    filters = _filters(kernel, restorer.params["log_power"], height, width, **told)
    # Odd sizes grow by a copy of the last row or column, as the network itself has it.
    even = (-(-height // STRIDE) * STRIDE, -(-width // STRIDE) * STRIDE)
    grown = [(0, even[0] - height), (0, even[1] - width)]
    inputs = np.empty((*even, INPUTS), np.float32)
    for channel, gain in enumerate(filters.gains):
        estimate = _filtered(blurred, gain)
        if channel == 0:
            restored, estimate = np.array(estimate), centred(estimate)
        inputs[..., channel] = np.pad(estimate[..., 0], grown, mode="edge")
    scale = float(correction_scale(filters.error_std, noise, quantisation))
    rows, columns = (list(windows(size, tile, halo)) for size in even)
    places = [(row, column) for row in range(len(rows)) for column in range(len(columns))]
    for row, column in progress(places):
        (seen_y, kept_y), (seen_x, kept_x) = rows[row], columns[column]
        seen = inputs[seen_y, seen_x]
        correction = np.asarray(
            _correction(restorer.graphdef, restorer.params, seen, filters.conditions)
        )
        # Of a size that has grown, the image has no place for the last row or column.
        there = restored[kept_y, kept_x]
        from_y, from_x = kept_y.start - seen_y.start, kept_x.start - seen_x.start
        part = correction[from_y : from_y + len(there), from_x : from_x + there.shape[1]]
        there += scale * part
    return np.clip(restored, 0, 1, out=restored)


def receptive_radius(restorer: Restorer) -> int:
    """Returns how many pixels away an input can still reach an output of the network."""
    blocks = sum(name.startswith("block") for name in restorer.params)
    # One pixel a 3x3 convolution, in blocks of 2x2: the first, the last, two a block.
    return STRIDE * (2 * blocks + 2)


def windows(size: int, tile: int, halo: int) -> Iterator[tuple[slice, slice]]:
    """Cuts an axis into tiles that overlap by twice the halo: what each sees, and what it keeps.

    Every position is kept once; a tile keeps none nearer than `halo` to an end of it that is not
    an end of the axis. All tiles are of one size, the smallest for as many of them as the largest
    takes; the last one is shifted back into the axis.

    Args:
        size: of the axis, even.
        tile: the most a tile may have, even; one tile is the axis where that is shorter.
        halo: even.
    """
    if size > tile:  # no more tiles, but smaller ones: less is computed twice
        count = -(-(size - 2 * halo) // (tile - 2 * halo))
        least = -(-(size + 2 * halo * (count - 1)) // count)
        tile = STRIDE * -(-least // STRIDE)
    tile = min(tile, size)
    kept = 0
    while kept < size:
        start = min(max(kept - halo, 0), size - tile)
        end = size if start + tile == size else start + tile - halo
        yield slice(start, start + tile), slice(kept, end)
        kept = end


_filters = jax.jit(bank_filters, static_argnums=(2, 3))
_filtered = jax.jit(filter_cosines)


@partial(jax.jit, static_argnums=0)
def _correction(
    graphdef: nnx.GraphDef,
    params: Params,
    inputs: Float[Array, "height width inputs"],
    conditions: Float[Array, " conditions"],
) -> Float[Array, "height width 1"]:
    return apply(graphdef, params, inputs[None], conditions[None])[0]
