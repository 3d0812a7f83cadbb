"""Gaussian point-spread functions on the pixel grid, under two conventions and two samplings."""

import math
from typing import Literal, get_args

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import erfc
from jaxtyping import Array, Float

from jxr.optics.checks import check_choice, check_number

Convention = Literal["standard", "report"]
Sampling = Literal["point", "integrated"]
Scalar = Float[Array, ""] | float | int

# True standard deviation in units of sigma: exp(-r^2 / (2 sigma^2)) and exp(-r^2 / sigma^2).
STD_PER_SIGMA = {"standard": 1.0, "report": math.sqrt(0.5)}

# At and below this width, in pixels, every weight but the central one underflows to zero in
# float64, so raising smaller widths to it changes no value and keeps 0/0 out of the gradient.
IDENTITY_STD = 0.01
# From this width on, in pixels, a pixel's mass follows from the density within 1e-6 of it.
WIDE_STD = 30.0


def effective_sigma(sigma: Scalar, convention: Convention = "standard") -> Scalar:
    """Returns the true standard deviation of the Gaussian that `sigma` names.

    Args:
        sigma: the width in pixels, >= 0; may be traced.
        convention: 'standard' for exp(-r^2 / (2 sigma^2)), 'report' for exp(-r^2 / sigma^2), whose
            standard deviation along each axis is sigma / sqrt(2).

    Returns:
        The standard deviation along each axis, in pixels.

    Raises:
        ValueError: if sigma is negative or not finite, or the convention unknown.
    """
    check_number("sigma", sigma, 0, closed=True)
    check_choice("convention", convention, STD_PER_SIGMA)
    return sigma * STD_PER_SIGMA[convention]


def kernel_radius(sigma: float | int, convention: Convention = "standard") -> int:
    """Returns the radius that holds four standard deviations, at least 1.

    The radius is the static size of a kernel, so it is computed on the host from a plain number;
    for a sweep over sigma take the radius of the largest.

    Args:
        sigma: the width in pixels, finite and not negative.
        convention: see `effective_sigma`.

    Returns:
        max(1, ceil(4 effective sigma)), in pixels; the kernel has 2 radius + 1 taps.

    Raises:
        ValueError: see `effective_sigma`.

    >>> import jxr
    >>> jxr.kernel_radius(2.0), jxr.kernel_radius(2.0, "report")
    (8, 6)
    """
    return max(1, math.ceil(4 * effective_sigma(sigma, convention)))


def gaussian_profile(
    sigma: Scalar,
    *,
    radius: int,
    convention: Convention = "standard",
    sampling: Sampling = "point",
) -> Float[Array, " size"]:
    """Returns the one-dimensional Gaussian kernel, normalised to unit sum on its grid.

    At sigma = 0 (and below 0.01 pixel) it is exactly the identity, with a gradient of zero, which
    is the true limit. Below half a pixel a grid cannot carry the kernel and both samplings blur
    too little: at sigma 0.3 the transfer at Nyquist is 0.98 by 'point' and 0.81 by 'integrated',
    where the continuous Gaussian has 0.64; at 0.1 both are the identity and the truth is 0.95.

    Args:
        sigma: the width in pixels, >= 0; may be traced, so `vmap` and `grad` work.
        radius: the static radius in pixels, see `kernel_radius`.
        convention: see `effective_sigma`.
        sampling: 'point' takes the density at the pixel centres; 'integrated' integrates it over
            each pixel, by differences of the error function.

    Returns:
        The weights, size = 2 radius + 1, symmetric; float32, or float64 under `jax.enable_x64`.

    Raises:
        ValueError: if radius is negative or sampling is unknown, or see `effective_sigma`.

    >>> import jxr
    >>> profile = jxr.gaussian_profile(1.0, radius=4)
    >>> profile.shape, round(float(profile[4]), 3)  # 1 / sqrt(2 pi)
    ((9,), 0.399)
    """
    check_choice("sampling", sampling, get_args(Sampling))
    if radius < 0:
        raise ValueError(f"radius must be >= 0, not {radius}")
    std = jnp.maximum(jnp.asarray(effective_sigma(sigma, convention), float), IDENTITY_STD)
    if sampling == "point":
        distance = jnp.abs(jnp.arange(-radius, radius + 1, dtype=std.dtype))
        weights = jnp.exp(-0.5 * (distance / std) ** 2)
    else:
        weights = pixel_masses(std, radius)
    return weights / weights.sum()


def pixel_masses(std: Scalar, radius: int) -> Float[Array, " size"]:
    """Returns the mass of a Gaussian of unit mass over each pixel, from -radius to radius.

    Args:
        std: its standard deviation in pixels, > 0; may be traced.
        radius: the static radius in pixels.
    """
    std = jnp.asarray(std, float)
    distance = jnp.abs(jnp.arange(-radius, radius + 1, dtype=std.dtype))
    # erfc of the distance, not erf of the position: no cancellation in the tails.
    scale = std * math.sqrt(2.0)
    narrow = (erfc((distance - 0.5) / scale) - erfc((distance + 0.5) / scale)) / 2
    # Wide ones change so little over a pixel that the difference is all rounding: there the density
    # at its centre, with the next term of its expansion.
    height = 1 / std  # no power of std itself, which may overflow
    squared = (distance * height) ** 2
    density = jnp.exp(-0.5 * squared) * height / math.sqrt(2 * math.pi)
    wide = density * (1 + (squared - 1) / 24 * height**2)
    return jnp.where(std < WIDE_STD, narrow, wide)


def cut_profile(profile: Float[Array, " size"], std: Scalar) -> Float[Array, " size"]:
    """Cuts a kernel off at four standard deviations, as `kernel_radius` does; of unit sum again.

    For kernels of one static size whose width is traced: they equal those of their own radius.

    Args:
        profile: the one-dimensional kernel, odd in size.
        std: its standard deviation in pixels; may be traced.

    Returns:
        The kernel with zeros beyond max(1, ceil(4 std)) pixels.
    """
    offsets = np.abs(np.arange(profile.size) - profile.size // 2)
    kept = jnp.where(offsets <= jnp.maximum(1, jnp.ceil(4 * std)), profile, 0)
    return kept / kept.sum()


def root(value: Array | float) -> Array:
    """Returns the square root, of derivative 0 at 0, where the root's own is infinite.

    For roots of squares that vanish together with their first derivative, as those of no blur do.
    """
    zero = value == 0
    return jnp.where(zero, 0, jnp.sqrt(jnp.where(zero, 1, value)))


def gaussian_psf(
    sigma: Scalar,
    *,
    radius: int,
    convention: Convention = "standard",
    sampling: Sampling = "point",
) -> Float[Array, "size size"]:
    """Returns the two-dimensional Gaussian kernel: the outer product of two profiles.

    Arguments, dtype and errors are those of `gaussian_profile`; the sum is one.

    >>> import jxr
    >>> psf = jxr.gaussian_psf(2.0, radius=jxr.kernel_radius(2.0))
    >>> psf.shape, round(float(psf.sum()), 6)
    ((17, 17), 1.0)
    """
    profile = gaussian_profile(sigma, radius=radius, convention=convention, sampling=sampling)
    return jnp.outer(profile, profile)
