"""The whole forward model of one blur setting: blur, then noise, then quantisation."""

import jax
from jaxtyping import Array, Float, Key

from jxr.optics.blur import Boundary, blur_separable
from jxr.optics.checks import check_range
from jxr.optics.noise import add_gaussian_noise, quantise
from jxr.optics.psf import (
    Convention,
    Sampling,
    Scalar,
    cut_profile,
    effective_sigma,
    gaussian_profile,
)


def degrade(
    images: Float[Array, "batch height width channels"],
    sigma: Scalar,
    keys: Key[Array, " batch"],
    *,
    radius: int,
    noise: Scalar,
    eight_bit: bool,
    cut: bool = False,
    convention: Convention = "standard",
    sampling: Sampling = "point",
    boundary: Boundary = "reflect",
) -> Float[Array, "batch height width channels"]:
    """Returns the images as a blurring, noisy, quantising detector gives them.

    Args:
        images: float32 in [0, 1].
        sigma: In pixels; may be traced.
        keys: One an image, for its noise: an image gets the same noise in any batch.
        radius: Of the kernel, in pixels (`jxr.optics.kernel_radius`).
        noise: Standard deviation of additive Gaussian noise, for an image range of 1; 0 adds none.
            May be traced.
        eight_bit: Whether the result is clipped to [0, 1] and rounded to 256 levels.
        cut: Whether the kernel ends at `kernel_radius` of this sigma though `radius` is larger, so
            that one program for many sigmas blurs as one for each would.
        convention: Which Gaussian `sigma` means.
        sampling: How the kernel is taken from it.
        boundary: What lies outside the image.

    Returns:
        float32; outside [0, 1] only by noise.

    Raises:
        ValueError: if the noise is negative or not finite, or see `gaussian_blur`.
    """
    check_range("noise", noise, 0, closed=True)
    profile = gaussian_profile(sigma, radius=radius, convention=convention, sampling=sampling)
    if cut:
        profile = cut_profile(profile, effective_sigma(sigma, convention))
    degraded = blur_separable(images, profile, boundary=boundary)
    if isinstance(noise, jax.Array) or noise > 0:
        degraded = jax.vmap(add_gaussian_noise, in_axes=(0, 0, None))(keys, degraded, noise)
    return quantise(degraded, bits=8) if eight_bit else degraded
