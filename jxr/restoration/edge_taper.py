"""Edges blended into their circular blur, for images of which nobody knows what lies outside."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jxr.optics.checks import as_images
from jxr.restoration.spectra import Kernel, circular_transfer_function


def edge_taper(
    blurred: Float[Array, "*batch height width channels"], kernel: Kernel
) -> Float[Array, "*batch height width channels"]:
    """Makes an image nearly consistent with a circular blur, by changing only its margins.

    The classical edge taper: a weighted mean of the image and of its own circular blur, which has
    no jump where opposite edges meet. The weight of the image is 0 at the edge and rises to 1 over
    the width of the kernel, as one minus the kernel's normalised autocorrelation; see Reeves,
    "Fast image restoration without boundary artifacts", IEEE Trans. Image Process. 14 (2005),
    doi:10.1109/TIP.2005.854474.

    Args:
        blurred: float32 or float64, which is kept.
        kernel: a one-dimensional profile or any PSF, odd in size.

    Returns:
        The tapered images; pixels further from the edge than the kernel is wide are unchanged.

    Raises:
        ValueError: the image is of no float numbers, or see `circular_transfer_function`.
    """
    blurred = as_images("blurred", blurred)
    height, width, _ = blurred.shape[-3:]
    kernel = kernel.astype(blurred.dtype)
    transfer = circular_transfer_function(kernel, height, width)[..., None]
    spectrum = jnp.fft.rfft2(blurred, axes=(-3, -2))
    smooth = jnp.fft.irfft2(transfer * spectrum, s=(height, width), axes=(-3, -2))
    projections = (kernel, kernel) if kernel.ndim == 1 else (kernel.sum(axis=1), kernel.sum(axis=0))
    rows, columns = map(taper_weights, projections, (height, width))
    weights = jnp.outer(rows, columns)[..., None]
    return weights * blurred + (1 - weights) * smooth


def taper_weights(profile: Float[Array, " size"], length: int) -> Float[Array, " length"]:
    """Returns the image's share along one axis: 0 at both edges, 1 from a kernel's width on."""
    size = profile.size
    correlation = jnp.stack([jnp.sum(profile[lag:] * profile[: size - lag]) for lag in range(size)])
    pixels = np.arange(length)
    distance = np.minimum(np.minimum(pixels, length - 1 - pixels), size)
    return 1 - jnp.append(correlation, 0)[distance] / correlation[0]
