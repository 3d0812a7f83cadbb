"""What diagonalises a blur: transfer functions, and power spectra in the same bases."""

from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.fft import dctn
from jaxtyping import Array, Complex, Float, Float64

from jxr.optics.checks import check_choice, check_range

# A profile p stands for the point-spread function p p^T.
Kernel = Float[Array, " size"] | Float[Array, "psf_height psf_width"]
Basis = Literal["cosine", "fourier"]


def transfer_function(kernel: Kernel, height: int, width: int) -> Float[Array, "height width"]:
    """Returns the eigenvalues of the reflect blur in the DCT-II basis.

    Half-sample symmetric blur with a symmetric kernel p maps the cosine
    cos(pi k (i + 1/2) / n) to itself times sum_j p_j cos(pi k j / n), see Ng, Chan and Tang,
    "A fast algorithm for deblurring models with Neumann boundary conditions", SIAM J. Sci.
    Comput. 21 (1999), doi:10.1137/S1064827598341384.

    Args:
        kernel: a one-dimensional profile or a PSF, odd in size, symmetric along each axis.
        height: of the images, in pixels.
        width: of the images, in pixels.

    Returns:
        The eigenvalue of each pair of frequencies, in the dtype of `kernel`; 1 at [0, 0] for a
        kernel of unit sum.

    Raises:
        ValueError: an even size, or a kernel that is not symmetric (seen only where its values
            are known, not while it is traced): cosines do not diagonalise that one.
    """
    check_odd(kernel)
    check_symmetric(kernel)

    def cosines(n, size):
        # The angles are static, so float64 on the host costs nothing and spares float32 their
        # rounding, which would end up in the restored image.
        values = np.cos(angles(np.arange(n), size, 2 * n))
        return jnp.asarray(values, jnp.result_type(kernel))

    if kernel.ndim == 1:
        along_rows, along_columns = (
            jnp.matmul(cosines(n, kernel.size), kernel, precision=lax.Precision.HIGHEST)
            for n in (height, width)
        )
        return jnp.outer(along_rows, along_columns)
    rows, columns = kernel.shape
    return sandwich(cosines(height, rows), kernel, cosines(width, columns))


def circular_transfer_function(
    kernel: Kernel, height: int, width: int
) -> Complex[Array, "height frequencies"]:
    """Returns the eigenvalues of the circular blur in the basis of `jnp.fft.rfft2`.

    The discrete Fourier transform of the PSF with its centre at pixel [0, 0]; a PSF larger than
    the image wraps around.

    Args:
        kernel: a one-dimensional profile or any PSF, odd in size.
        height: of the images, in pixels.
        width: of the images, in pixels.

    Returns:
        width // 2 + 1 frequencies along the last axis, in the complex dtype of `kernel`'s
        precision; 1 at [0, 0] for a kernel of unit sum.

    Raises:
        ValueError: an even size.
    """
    check_odd(kernel)
    psf = jnp.outer(kernel, kernel) if kernel.ndim == 1 else kernel
    dtype = jnp.result_type(psf.dtype, jnp.complex64)
    rows, columns = psf.shape
    along_rows = np.exp(-1j * angles(np.arange(height), rows, height))
    along_columns = np.exp(-1j * angles(np.arange(width // 2 + 1), columns, width))
    return sandwich(
        jnp.asarray(along_rows, dtype), psf.astype(dtype), jnp.asarray(along_columns, dtype)
    )


def mean_power_spectrum(
    images: Float[Array, "*batch height width channels"], basis: Basis = "cosine"
) -> Float[Array, "height frequencies"]:
    """Returns the mean squared coefficient of the images, frequency by frequency.

    Transforms are orthonormal, so white noise of variance v has the power v at every frequency in
    either basis. The power is about zero, not about the mean image: that is what a Wiener filter
    without an offset needs. For sets that do not fit into memory, average over equal batches.

    Args:
        images: any leading batch axes, over which and over channels the mean is taken.
        basis: 'cosine' (DCT-II) for reflect boundaries; 'fourier' for the others.

    Returns:
        float of the images' dtype, >= 0, of (height, width) for 'cosine' and of
        (height, width // 2 + 1) for 'fourier'.

    Raises:
        ValueError: unknown basis.
    """
    check_choice("basis", basis, get_args(Basis))
    if basis == "cosine":
        coefficients = dctn(images, axes=(-3, -2), norm="ortho")
    else:
        # rfft2 halves the last of its axes, which is to be the width.
        coefficients = jnp.fft.rfft2(images, axes=(-3, -2), norm="ortho")
    power = jnp.real(coefficients * jnp.conj(coefficients))
    return power.mean(axis=(*range(power.ndim - 3), -1))


def noise_to_signal_spectrum(
    signal: Float[Array, "height frequencies"],
    noise: Float[Array, "height frequencies"] | Float[Array, ""] | float,
) -> Float[Array, "height frequencies"]:
    """Returns noise power over signal power, infinite where there is no signal to restore.

    Args:
        signal: power of the sharp images, see `mean_power_spectrum`.
        noise: power of what the blur alone does not explain, in the same basis; the variance of
            white noise as one number.

    Returns:
        What `wiener` takes as `noise_to_signal`.

    Raises:
        ValueError: if the noise is negative or not finite.
    """
    check_range("noise", noise, 0, closed=True)
    known = signal > 0
    return jnp.where(known, noise / jnp.where(known, signal, 1), jnp.inf)


def gradient_power(height: int, width: int) -> Float64[np.ndarray, "height width"]:
    """Returns the squared gradient of each cosine of the DCT-II basis, of norm 1.

    The gradient is of forward differences, mirrored at the edges, which the cosines diagonalise as
    they do the reflect blur: 2 - 2 cos(pi k / n) along each axis. `wiener` with a multiple of it
    as `noise_to_signal` is Tikhonov's method with the gradient penalty, exact.

    Args:
        height: of the images, in pixels.
        width: of the images, in pixels.
    """
    down, along = (2 - 2 * np.cos(np.pi * np.arange(n) / n) for n in (height, width))
    return down[:, None] + along


def sandwich(left: Array, middle: Array, right: Array) -> Array:
    """Returns left middle right^T at full precision."""
    precision = lax.Precision.HIGHEST
    return jnp.matmul(jnp.matmul(left, middle, precision=precision), right.T, precision=precision)


def angles(frequencies: np.ndarray, size: int, period: int) -> np.ndarray:
    """Returns 2 pi k j / period for a kernel's offsets j, reduced before the rounding."""
    offsets = np.arange(size) - size // 2
    return 2 * np.pi / period * (np.outer(frequencies, offsets) % period)


def check_odd(kernel: Kernel) -> None:
    """Raises ValueError for a kernel without a central pixel."""
    if any(size % 2 == 0 for size in kernel.shape):
        raise ValueError(f"the kernel is of size {kernel.shape}: pad it to odd sizes")


def check_symmetric(kernel: Kernel) -> None:
    """Raises ValueError for a kernel that cosines do not diagonalise, if its values are known."""
    if isinstance(kernel, jax.core.Tracer):
        return
    values = np.asarray(kernel)
    tolerance = 1e-5 * np.abs(values).max()
    for axis in range(values.ndim):
        if not np.allclose(values, np.flip(values, axis), rtol=0, atol=tolerance):
            raise ValueError(
                "the kernel is not symmetric along each axis, so cosines do not diagonalise its"
                " reflect blur: use the boundary 'circular' or 'unknown', or an iterative method"
            )
