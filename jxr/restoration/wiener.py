"""The Wiener filter, exact and fast in the basis that diagonalises the blur."""

from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.fft import dctn
from jaxtyping import Array, Float

from jxr.optics.checks import as_images, check_choice, check_range
from jxr.optics.psf import Scalar
from jxr.restoration.cosine_filter import filter_cosines
from jxr.restoration.edge_taper import edge_taper
from jxr.restoration.selection import smallest
from jxr.restoration.spectra import Kernel, circular_transfer_function, transfer_function

WienerBoundary = Literal["reflect", "circular", "unknown"]


def wiener(
    blurred: Float[Array, "*batch height width channels"],
    kernel: Kernel,
    noise_to_signal: Scalar | Float[Array, "height frequencies"],
    *,
    boundary: WienerBoundary = "reflect",
) -> Float[Array, "*batch height width channels"]:
    """Restores blurred images by the Wiener filter with a flat or a measured spectrum.

    Each coefficient is multiplied by conj(d) / (|d|^2 + k), d the blur's eigenvalue and k the
    ratio of noise power to signal power. For one ratio it is the exact solution
    (B^T B + k I)^-1 B^T y of the Tikhonov problem min_x |B x - y|^2 + k |x|^2; for measured
    spectra S and N (`noise_to_signal_spectrum`) it is d S / (d^2 S + N), the best linear estimate
    for signal and noise that are uncorrelated and stationary in that basis.

    - 'reflect': B is the blur of `jxr.optics` with that boundary, the basis is the DCT-II.
    - 'circular': the same with the real FFT, and with any kernel.
    - 'unknown': what lies outside the image blurred into it, as in every real radiograph. The
      edges are tapered (`edge_taper`) and the image restored as a circular one; a margin of the
      kernel's width stays worse than the rest.

    Rounding is amplified by up to 1 / (2 sqrt(k)). In float32 the transform's own rounding shows
    only where k is below about 1e-9, that is for noise-free float32 images; restore those in
    float64, under `jax.enable_x64`. Images of 8 bits or with noise lose nothing in float32.

    Args:
        blurred: float32 or float64, which is kept; any leading batch axes.
        kernel: of the blur: a one-dimensional profile p, which stands for p p^T, or a PSF; odd in
            size, and symmetric along each axis for 'reflect'. One that is not is refused, but while
            it is traced, as under jit, nobody can see it: the result is then wrong.
        noise_to_signal: the ratio, >= 0: one number, or one a frequency, (height, width) for
            'reflect' and (height, width // 2 + 1) otherwise; may be traced.
        boundary: what the blur took to lie outside the image.

    Returns:
        The restored images, of the shape and dtype of `blurred`, not clipped.

    Raises:
        ValueError: unknown boundary, a negative ratio, a spectrum of another basis or size, images
            that are no float numbers, or see `transfer_function`.

    >>> import jxr
    >>> import jax.numpy as jnp
    >>> sharp = jnp.zeros((32, 32, 1)).at[10:20, 10:20].set(1.0)
    >>> kernel = jxr.gaussian_profile(1.0, radius=4)
    >>> blurred = jxr.gaussian_blur(sharp, 1.0, radius=4)
    >>> restored = jxr.wiener(blurred, kernel, 1e-6)
    >>> [round(float(jnp.abs(image - sharp).max()), 2) for image in (blurred, restored)]
    [0.51, 0.01]
    """
    blurred = as_images("blurred", blurred)
    check_choice("boundary", boundary, get_args(WienerBoundary))
    # Infinite where `noise_to_signal_spectrum` found no signal.
    if not isinstance(noise_to_signal, jax.core.Tracer) and not np.all(
        np.asarray(noise_to_signal) >= 0
    ):
        raise ValueError("noise_to_signal must be >= 0 at every frequency")
    height, width, _ = blurred.shape[-3:]
    ratio = jnp.asarray(noise_to_signal, blurred.dtype)
    columns = width if boundary == "reflect" else width // 2 + 1
    if ratio.ndim and ratio.shape != (height, columns):
        raise ValueError(
            f"noise_to_signal is of {ratio.shape}, the spectrum for the boundary '{boundary}' of"
            f" {(height, columns)}"
        )
    kernel = kernel.astype(blurred.dtype)
    if boundary == "reflect":
        gain = wiener_gain(transfer_function(kernel, height, width), ratio)
        return filter_cosines(blurred, gain)
    if boundary == "unknown":
        blurred = edge_taper(blurred, kernel)
    gain = wiener_gain(circular_transfer_function(kernel, height, width), ratio)[..., None]
    axes = (-3, -2)
    return jnp.fft.irfft2(gain * jnp.fft.rfft2(blurred, axes=axes), s=(height, width), axes=axes)


def wiener_gain(transfer: Array, noise_to_signal: Array) -> Array:
    """Returns conj(d) / (|d|^2 + k), and 0 where both d and k are 0: nothing is known there."""
    denominator = jnp.real(transfer * jnp.conj(transfer)) + noise_to_signal
    known = denominator > 0
    return jnp.where(known, jnp.conj(transfer) / jnp.where(known, denominator, 1), 0)


def choose_noise_to_signal(
    blurred: Float[Array, "images height width channels"],
    originals: Float[Array, "images height width channels"],
    kernel: Kernel,
    candidates: Float[Array, " candidates"],
) -> tuple[Float[Array, ""], Float[Array, " candidates"]]:
    """Returns the candidate ratio with the smallest restoration error on given images.

    For validation images: a ratio chosen on test images would flatter the test score. The cosine
    transform is orthonormal, so errors are measured in its domain and each candidate costs one
    pass over the coefficients.

    Args:
        blurred: the images to restore.
        originals: what they were before the blur.
        kernel: see `wiener`.
        candidates: the ratios to try, each > 0.

    Returns:
        The best ratio, and the mean squared error of every candidate.

    Raises:
        ValueError: if there is no candidate or one is not > 0, the blurred images are no float
            numbers, or see `transfer_function`.
    """
    blurred = as_images("blurred", blurred)
    check_range("candidates", candidates, 0)
    _, height, width, _ = blurred.shape
    d = transfer_function(kernel.astype(blurred.dtype), height, width)[..., None]
    observed = dctn(blurred, axes=(1, 2), norm="ortho")
    wanted = dctn(originals, axes=(1, 2), norm="ortho")

    def mean_squared_error(ratio):
        error = d / (d**2 + ratio) * observed - wanted
        # Two short means rather than one long one: float32 sums lose digits with their length.
        return jnp.mean(jnp.mean(error**2, axis=(1, 2, 3)))

    mses = lax.map(mean_squared_error, candidates.astype(blurred.dtype))
    return candidates[smallest(mses)], mses
