"""The Wiener filter for reflect-boundary blur, exact and fast in the cosine domain."""

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.fft import dctn, idctn
from jaxtyping import Array, Float

from jxr.optics.psf import Scalar


def transfer_function(
    profile: Float[Array, " size"], height: int, width: int
) -> Float[Array, "height width"]:
    """Returns the eigenvalues of the separable reflect blur in the DCT-II basis.

    Half-sample symmetric blur with a symmetric kernel p maps the cosine
    cos(pi k (i + 1/2) / n) to itself times sum_j p_j cos(pi k j / n), see Ng, Chan and Tang,
    "A fast algorithm for deblurring models with Neumann boundary conditions", SIAM J. Sci.
    Comput. 21 (1999), doi:10.1137/S1064827598341384.

    Args:
        profile: the one-dimensional kernel, odd in size and symmetric.
        height: of the images, in pixels.
        width: of the images, in pixels.

    Returns:
        The eigenvalue of each pair of frequencies, in the dtype of `profile`; 1 at [0, 0] for a
        kernel of unit sum.
    """
    offsets = np.arange(profile.size) - profile.size // 2

    def eigenvalues(n):
        # The angles are static, so float64 on the host costs nothing and spares float32 their
        # rounding, which would end up in the restored image.
        angles = np.pi / n * (np.outer(np.arange(n), offsets) % (2 * n))
        cosines = jnp.asarray(np.cos(angles), profile.dtype)
        return jnp.matmul(cosines, profile, precision=lax.Precision.HIGHEST)

    return jnp.outer(eigenvalues(height), eigenvalues(width))


def wiener(
    blurred: Float[Array, "*batch height width channels"],
    profile: Float[Array, " size"],
    noise_to_signal: Scalar,
) -> Float[Array, "*batch height width channels"]:
    """Restores reflect-blurred images by the Wiener filter with a flat noise-to-signal ratio.

    In the cosine domain each coefficient is multiplied by d / (d^2 + k), d the blur's eigenvalue
    and k the ratio: the exact solution (B^T B + k I)^-1 B^T y of the Tikhonov problem
    min_x |B x - y|^2 + k |x|^2, for B the blur of `jxr.optics.blur_separable`, 'reflect'.

    Rounding is amplified by up to 1 / (2 sqrt(k)). In float32 the transform's own rounding shows
    only where k is below about 1e-9, that is for noise-free float32 images; restore those in
    float64, under `jax.enable_x64`. Images of 8 bits or with noise lose nothing in float32.

    Args:
        blurred: float32 or float64, which is kept; any leading batch axes.
        profile: the one-dimensional kernel of the blur, odd in size and symmetric.
        noise_to_signal: the ratio of noise power to signal power, > 0; may be traced.

    Returns:
        The restored images, of the shape and dtype of `blurred`, not clipped.
    """
    height, width, _ = blurred.shape[-3:]
    d = transfer_function(profile.astype(blurred.dtype), height, width)[..., None]
    gain = d / (d**2 + jnp.asarray(noise_to_signal, blurred.dtype))
    spectrum = dctn(blurred, axes=(-3, -2), norm="ortho")
    return idctn(gain * spectrum, axes=(-3, -2), norm="ortho")


def choose_noise_to_signal(
    blurred: Float[Array, "images height width channels"],
    originals: Float[Array, "images height width channels"],
    profile: Float[Array, " size"],
    candidates: Float[Array, " candidates"],
) -> tuple[Float[Array, ""], Float[Array, " candidates"]]:
    """Returns the candidate ratio with the smallest restoration error on given images.

    For validation images: a ratio chosen on test images would flatter the test score. The cosine
    transform is orthonormal, so errors are measured in its domain and each candidate costs one
    pass over the coefficients.

    Args:
        blurred: the images to restore.
        originals: what they were before the blur.
        profile: see `wiener`.
        candidates: the ratios to try, each > 0.

    Returns:
        The best ratio, and the mean squared error of every candidate.
    """
    _, height, width, _ = blurred.shape
    d = transfer_function(profile.astype(blurred.dtype), height, width)[..., None]
    observed = dctn(blurred, axes=(1, 2), norm="ortho")
    wanted = dctn(originals, axes=(1, 2), norm="ortho")

    def mean_squared_error(ratio):
        error = d / (d**2 + ratio) * observed - wanted
        # Two short means rather than one long one: float32 sums lose digits with their length.
        return jnp.mean(jnp.mean(error**2, axis=(1, 2, 3)))

    mses = lax.map(mean_squared_error, candidates.astype(blurred.dtype))
    return candidates[jnp.argmin(mses)], mses
