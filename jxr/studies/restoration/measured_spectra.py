"""Spectra measured on images in one blur setting, and the error of any filter by them.

In the cosine basis, where the reflect blur is diagonal, and in float64 on the CPU: without noise
the rounding of a float32 transform is a factor 14 in the error of a restoration.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.fft import dctn
from jaxtyping import Array, Float, Float64, Int

from jxr.config import BlurConfig
from jxr.optics import blur_separable
from jxr.restoration.spectra import mean_power_spectrum, transfer_function
from jxr.studies.dataset import Dataset
from jxr.studies.restorers import (
    Images,
    Rounding,
    degraded_images,
    host_float64,
    kernel_of,
)

BATCH = 64

Spectrum = Float64[np.ndarray, "height width"]


@dataclasses.dataclass(frozen=True)
class Moments:
    """Means over images of products of cosine coefficients, one a frequency.

    `signal` is of the sharp images squared, `noise` of what blur alone does not explain squared,
    `cross` of the two. Any filter's mean squared error follows from them, without cancellation.
    """

    signal: Spectrum
    noise: Spectrum
    cross: Spectrum


def signal_spectrum(
    images: Float[np.ndarray, "n height width 1"], rows: Int[np.ndarray, " rows"]
) -> Spectrum:
    """Returns the mean power of these images in the cosine basis."""
    power = jax.jit(mean_power_spectrum)
    total = np.zeros(images.shape[1:3])
    with host_float64():
        for some in pieces(rows):
            total += len(some) * np.asarray(power(np.asarray(images[some], np.float64)))
    return total / len(rows)


def moments(
    dataset: Dataset,
    rows: Int[np.ndarray, " rows"],
    blur: BlurConfig,
    *,
    seed: int,
    rounding: Rounding,
    transfer: Spectrum,
) -> Moments:
    """Returns signal, noise and their product of these images, seen in this blur setting.

    Args:
        dataset: where the images are.
        rows: which of them; all are held in memory.
        blur: the setting.
        seed: of its noise.
        rounding: where the images are blurred.
        transfer: eigenvalues of the blur that noise is counted from.
    """
    images = np.asarray(dataset.images[rows])
    observed = observed_images(images, rows, blur, seed=seed, rounding=rounding)
    total = np.zeros((3, *transfer.shape))
    with host_float64():
        for sharp, seen in zip(pieces(images), pieces(observed), strict=True):
            sums = sums_of_products(sharp.astype(np.float64), seen.astype(np.float64), transfer)
            total += np.asarray(sums)
    return Moments(*(total / len(rows)))


@jax.jit
def sums_of_products(
    sharp: Float64[Array, "n height width 1"],
    seen: Float64[Array, "n height width 1"],
    transfer: Float64[Array, "height width"],
) -> Float64[Array, "3 height width"]:
    """Returns the sums over images that `Moments` are the means of."""
    x, y = (dctn(images[..., 0], axes=(1, 2), norm="ortho") for images in (sharp, seen))
    error = y - transfer * x
    return jnp.stack([(a * b).sum(axis=0) for a, b in ((x, x), (error, error), (x, error))])


def filter_error(measured: Moments, transfer: Spectrum, gain: Spectrum) -> float:
    """Returns the mean squared error of the filter `gain` on the measured images.

    With y = d x + e in the orthonormal basis, g y - x = (g d - 1) x + g e.
    """
    bias = gain * transfer - 1
    squares = bias**2 * measured.signal + gain**2 * measured.noise
    return float(np.mean(squares + 2 * bias * gain * measured.cross))


def limit_filter(
    dataset: Dataset, rows: Int[np.ndarray, " n"], blur: BlurConfig, seed: int
) -> tuple[Moments, Spectrum, Spectrum]:
    """Returns the Wiener filter with the spectra of these very images: the linear limit.

    Returns:
        What was measured, the eigenvalues of the blur, and what the filter multiplies each cosine
        coefficient by; `filter_error` takes the three.
    """
    profile = kernel_of(blur, "device")
    with host_float64():
        d = np.asarray(transfer_function(jnp.asarray(profile), *dataset.images.shape[1:3]))
    measured = moments(dataset, rows, blur, seed=seed, rounding="device", transfer=d)
    return measured, d, d * measured.signal / (d**2 * measured.signal + measured.noise)


def limit_error(
    dataset: Dataset, rows: Int[np.ndarray, " n"], blur: BlurConfig, seed: int
) -> float:
    """Returns the mean squared error of `limit_filter`."""
    return filter_error(*limit_filter(dataset, rows, blur, seed))


def best_flat(
    measured: Moments, transfer: Spectrum, ratios: Float64[np.ndarray, " candidates"]
) -> float:
    """Returns the flat noise-to-signal ratio of least mean squared error on the measured images."""
    errors = [filter_error(measured, transfer, transfer / (transfer**2 + k)) for k in ratios]
    return float(ratios[np.argmin(errors)])


def observed_images(
    images: Images,
    rows: Int[np.ndarray, " n"],
    blur: BlurConfig,
    *,
    seed: int,
    rounding: Rounding,
) -> Images:
    """Returns the images in one blur setting, as float32, blurred in float32 or on the host.

    Raises:
        ValueError: noise or 8 bits on the host; beside them the rounding of the blur is nothing.
    """
    if rounding == "device":
        return degraded_images(images, rows, blur, seed)
    if blur.noise or blur.input_precision != "float32":
        raise ValueError("the rounding 'host' is for float32 images without noise")
    profile = kernel_of(blur, rounding)
    blurred = in_float64(partial(blur_separable, boundary=blur.boundary), images, profile)
    return blurred.astype(np.float32)


def in_float64(
    function: Callable[..., Array], images: Images, *others: Any
) -> Float64[np.ndarray, "n height width 1"]:
    """Returns `function` of images and of what else it takes, in float64 on the CPU."""
    compiled = jax.jit(function)
    with host_float64():
        parts = [np.asarray(compiled(part.astype(np.float64), *others)) for part in pieces(images)]
    return np.concatenate(parts)


def pieces(array: np.ndarray) -> list[np.ndarray]:
    """Cuts an array into batches along its first axis, the last one shorter."""
    return [array[start : start + BATCH] for start in range(0, len(array), BATCH)]
