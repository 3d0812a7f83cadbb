"""Several Wiener estimates of one image, in units of their expected error: what a network is fed.

A network that sees the blurred image alone has to learn deconvolution. One that sees linear
estimates of several strengths only has to learn where in the image which of them is right, and in
units of the expected error that looks the same for every blur and noise level.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jxr.optics.psf import Scalar, root
from jxr.restoration.cosine_filter import filter_cosines
from jxr.restoration.spectra import Kernel, transfer_function

# Weaker and stronger than the best linear filter, as factors of its noise-to-signal ratio.
STRENGTHS = (10**-1.5, 10**-0.75, 10**0.75, 10**1.5)
INPUTS = len(STRENGTHS) + 2  # the best estimate and the image as it is besides
CONDITIONS = 5

# Radial frequencies in cycles per pixel, up to the corner of the spectrum, at which the power of
# the signal is given.
KNOTS = np.geomspace(1 / 512, 2**-0.5, 32)

# Standard deviation of rounding in an image that was blurred in float32: no noise is smaller.
# Measured on validation images: 1.8e-8 to 2.3e-8.
FLOAT32_NOISE = 2e-8


class WienerBank(NamedTuple):
    """What `wiener_bank` knows of blurred images.

    Attributes:
        best: the Wiener estimate with the given spectrum, not clipped.
        inputs: `INPUTS` channels of standard deviation about 1: `best` itself, then how the weaker
            and stronger estimates and the blurred image differ from it.
        conditions: `CONDITIONS` numbers of order 1: width of the kernel, noise, expected error,
            share of the noise that is quantisation, uncertainty of the width.
        error_std: the expected root mean square error of `best`.
    """

    best: Float[Array, "*batch height width 1"]
    inputs: Float[Array, "*batch height width inputs"]
    conditions: Float[Array, " conditions"]
    error_std: Float[Array, ""]


def wiener_bank(
    blurred: Float[Array, "*batch height width 1"],
    kernel: Kernel,
    log_power: Float[Array, " knots"],
    *,
    noise: Scalar,
    quantisation: Scalar = 0.0,
    width_error: Scalar = 0.0,
) -> WienerBank:
    """Returns Wiener estimates of images under a 'reflect' blur, ready for a network.

    With d the transfer function, S the power of the signal and N that of everything that the told
    blur does not explain, the estimate of strength k multiplies each cosine coefficient by
    d S / (d^2 S + k N), and the best one (k = 1) leaves the mean squared error
    mean(S N / (d^2 S + N)). N is the noise, and for a kernel whose width is off by a factor
    1 + e with standard deviation e also what that changes to first order: for a Gaussian
    (2 e d log d)^2 S, which is taken for any kernel.

    Args:
        blurred: in [0, 1], float32 or float64, which is kept; any leading batch axes. Noise below
            about 1e-6 needs float64, as for `wiener`.
        kernel: of the blur, symmetric; see `wiener`. May be traced.
        log_power: natural logarithm of the signal's power at the frequencies `KNOTS`
            (`radial_log_power`).
        noise: standard deviation of additive white noise, for an image range of 1; traced or not,
            as the next two.
        quantisation: step of the values, 1/255 for 8 bits; 0 for float images.
        width_error: relative standard deviation of the kernel's width from the truth.
    """
    height, width, _ = blurred.shape[-3:]
    filters = bank_filters(
        kernel.astype(blurred.dtype),
        log_power.astype(blurred.dtype),
        height,
        width,
        noise=noise,
        quantisation=quantisation,
        width_error=width_error,
    )
    # The transform of the images does not depend on the gain, so it is computed once.
    filtered = jax.vmap(filter_cosines, in_axes=(None, 0))(blurred, filters.gains)
    inputs = jnp.moveaxis(filtered[..., 0], 0, -1)
    return WienerBank(
        best=filtered[0],
        inputs=inputs.at[..., 0].set(centred(inputs[..., 0])),
        conditions=filters.conditions,
        error_std=filters.error_std,
    )


class BankFilters(NamedTuple):
    """What `wiener_bank` applies to an image, and what can be said before it is seen.

    Attributes:
        gains: of the cosine coefficients, one array an input: that of the best estimate, then
            those of the scaled differences from it.
        conditions: see `WienerBank`, as the next.
        error_std: see there.
    """

    gains: Float[Array, "inputs height width"]
    conditions: Float[Array, " conditions"]
    error_std: Float[Array, ""]


def bank_filters(
    kernel: Kernel,
    log_power: Float[Array, " knots"],
    height: int,
    width: int,
    *,
    noise: Scalar,
    quantisation: Scalar = 0.0,
    width_error: Scalar = 0.0,
) -> BankFilters:
    """Returns the filters of `wiener_bank` for images of a size, in the dtype of `kernel`."""
    dtype = kernel.dtype
    transfer = transfer_function(kernel, height, width)
    signal = radial_power(log_power, height, width)
    rounding = jnp.asarray(quantisation, dtype) ** 2 / 12
    white = jnp.asarray(noise, dtype) ** 2 + rounding + FLOAT32_NOISE**2
    magnitude = jnp.maximum(jnp.abs(transfer), 1e-12)
    unexplained = white + (2 * width_error * magnitude * jnp.log(magnitude)) ** 2 * signal
    seen = transfer**2 * signal + unexplained  # power of the blurred image

    def gain(strength: float) -> Array:
        return transfer * signal / (transfer**2 * signal + strength * unexplained)

    best = gain(1.0)
    differences = [gain(strength) - best for strength in STRENGTHS] + [1 - best]
    # Without blur and noise they vanish; the tiniest of floors keeps 0 / 0 away.
    scales = [root(jnp.mean(d**2 * seen)) + FLOAT32_NOISE for d in differences]
    gains = jnp.stack([best, *(d / s for d, s in zip(differences, scales, strict=True))])
    error = jnp.sqrt(jnp.mean(signal * unexplained / seen))
    conditions = [
        kernel_width(kernel).astype(dtype) - 1,
        # Below 1e-6 there is nothing new to learn.
        jnp.log10(jnp.maximum(white, 1e-12)) / 4 + 1.5,
        jnp.log10(jnp.maximum(error, 1e-6)) / 2 + 1,
        rounding / white,
        jnp.asarray(10 * width_error, dtype),
    ]
    return BankFilters(gains, jnp.stack(conditions), error)


def centred(best: Array) -> Array:
    """Returns the best estimate as the network gets it, of standard deviation about 1."""
    return 4 * (best - 0.5)


def kernel_width(kernel: Kernel) -> Float[Array, ""]:
    """Returns the standard deviation of a kernel along an axis, in pixels; the mean of two axes."""

    def second_moment(axis: int) -> Array:
        offsets = np.arange(kernel.shape[axis]) - kernel.shape[axis] // 2
        others = tuple({0, 1}.intersection(range(kernel.ndim)) - {axis})
        return jnp.sum(kernel.sum(others) * offsets**2)

    return root(sum(second_moment(axis) for axis in range(kernel.ndim)) / kernel.ndim)


def radial_log_power(
    spectrum: Float[np.ndarray, "height width"],
) -> Float[np.ndarray, " knots"]:
    """Returns the logarithm of a power spectrum at `KNOTS`, averaged over directions.

    Args:
        spectrum: mean squared cosine coefficients (`mean_power_spectrum`), > 0.

    Returns:
        float32; each knot gets the mean power between its neighbours, weighted by a triangle over
        the logarithm of the frequency, and one that no frequency reaches the nearest value.
    """
    position = np.interp(
        np.log(np.maximum(radial_frequencies(*spectrum.shape), KNOTS[0])),
        np.log(KNOTS),
        np.arange(len(KNOTS)),
    )
    position, power = position.ravel()[1:], spectrum.ravel()[1:]  # without the mean
    low, share = position.astype(int), position % 1
    total, weight = np.zeros(len(KNOTS)), np.zeros(len(KNOTS))
    for knot, part in ((low, 1 - share), (np.minimum(low + 1, len(KNOTS) - 1), share)):
        np.add.at(total, knot, part * power)
        np.add.at(weight, knot, part)
    reached = np.flatnonzero(weight)
    logs = np.log(total[reached] / weight[reached])
    return np.interp(np.arange(len(KNOTS)), reached, logs).astype(np.float32)


def radial_power(
    log_power: Float[Array, " knots"], height: int, width: int
) -> Float[Array, "height width"]:
    """Returns the power of each cosine coefficient of images of some size; > 0.

    Linear between `KNOTS` in logarithms, constant beyond.
    """
    dtype = log_power.dtype
    # Hidden from XLA, which else computes arrays of the image's size while it compiles.
    down, along = lax.optimization_barrier(
        tuple(jnp.asarray(np.arange(n) / (2 * n), dtype) for n in (height, width))
    )
    squared = jnp.maximum(down[:, None] ** 2 + along**2, KNOTS[0] ** 2)
    # The knots are evenly spaced in logarithms.
    position = (jnp.log(squared) / 2 - np.log(KNOTS[0])) / np.log(KNOTS[1] / KNOTS[0])
    before = jnp.clip(position.astype(int), 0, len(KNOTS) - 2)
    share = jnp.clip(position - before, 0, 1).astype(dtype)
    return jnp.exp((1 - share) * log_power[before] + share * log_power[before + 1])


def radial_frequencies(height: int, width: int) -> Float[np.ndarray, "height width"]:
    """Returns the frequency of each cosine coefficient, in cycles per pixel."""
    return np.hypot(np.arange(height)[:, None] / (2 * height), np.arange(width) / (2 * width))
