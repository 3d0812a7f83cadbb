"""Radiographs from files, deblurred by the network or a classical method."""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jxr.data.radiograph import Radiograph
from jxr.errors import UserError
from jxr.models import Restorer
from jxr.models.large_images import Progress, restore_large
from jxr.optics import LinearOperator, separable_operator
from jxr.restoration import discrepancy, richardson_lucy, total_variation
from jxr.restoration.cosine_filter import filter_cosines
from jxr.restoration.wiener_bank import bank_filters
from jxr.studies.radiographs.blur import (
    Deblurring,
    Image,
    Method,
    Told,
    cut_middle,
    what_is_known,
)

# What the shipped network was trained on.
MOST_SIGMA, MOST_NOISE = 3.0, 0.03
# Richardson-Lucy stops where the residual has fallen to the noise, at one of these.
ITERATIONS = (2, 4, 8, 16, 32, 64, 128)
TV_ITERATIONS = 100
TV_WEIGHTS = (1e-6, 1e-1)


def deblur(
    image: Radiograph, name: str, wanted: Deblurring, restorer: Restorer, progress: Progress = iter
) -> tuple[Image, Told, str]:
    """Restores one radiograph.

    Args:
        image: of any size that the kernel fits into.
        name: of the file, for messages.
        wanted: what is asked for.
        restorer: the network; `wiener` takes the spectrum from it.
        progress: see `restore_large`.

    Returns:
        The restored image in [0, 1], what its method was told, and a line on what was done.

    Raises:
        UserError: the image is too small, or its blur or noise beyond what the method is for.
    """
    told = what_is_known(image, name, wanted)
    pixels = image.pixels
    if wanted.method == "network":
        if told.sigma > MOST_SIGMA * 1.001 or told.noise > MOST_NOISE * 1.001:
            raise UserError(
                f"{name}: sigma {told.sigma:.3g} ({told.sigma_from}), noise {told.noise:.3g}"
                f" ({told.noise_from}): the network is for up to {MOST_SIGMA:g} pixels and"
                f" {MOST_NOISE:g}: take --method=wiener, or reduce the image first"
            )
        restored = restore_large(
            restorer, pixels, told.kernel, tile=wanted.tile, progress=progress, **told.numbers
        )
        how = f"network {restorer.fingerprint[:8]}"
    elif wanted.method == "wiener":
        log_power = restorer.params["log_power"]
        restored = _wiener(jnp.asarray(pixels), told.kernel, log_power, **told.numbers)
        how = "Wiener filter"
    else:
        restored, how = by_discrepancy(wanted.method, pixels, told)
    note = (
        f"Deblurred by {how}: Gaussian of sigma {told.sigma:.3g} pixels ({told.sigma_from}), noise"
        f" {told.noise:.2g} ({told.noise_from}). Research software, not for diagnosis."
    )
    return np.clip(np.asarray(restored), 0, 1), told, note


def by_discrepancy(method: Method, pixels: Image, told: Told) -> tuple[Image, str]:
    """Restores by an iterative method, whose strength leaves a residual as large as the noise.

    The strength is found on the middle of the image (Morozov's principle).
    """
    operator = separable_operator(told.kernel, symmetric=True)
    middle = jnp.asarray(cut_middle(pixels))
    noise = math.hypot(told.noise, told.quantisation / math.sqrt(12))
    if method == "richardson_lucy":
        for iterations in ITERATIONS:
            if float(_residual(_lucy(middle, told.kernel, iterations), middle, operator)) <= noise:
                break
        restored = _lucy(jnp.asarray(pixels), told.kernel, iterations)
        return np.asarray(restored), f"Richardson-Lucy, {iterations} iterations"
    weight = float(_weight(middle, told.kernel, noise))
    restored = _total_variation(jnp.asarray(pixels), told.kernel, weight)
    return np.asarray(restored), f"total variation of weight {weight:.2g}"


@jax.jit
def _wiener(image: Array, kernel: Array, log_power: Array, **numbers: Any) -> Array:
    height, width, _ = image.shape
    filters = bank_filters(kernel, log_power, height, width, **numbers)
    return filter_cosines(image, filters.gains[0])


@partial(jax.jit, static_argnums=2)
def _lucy(image: Array, kernel: Array, iterations: int) -> Array:
    operator = separable_operator(kernel, symmetric=True)
    return richardson_lucy(image, operator, iterations=iterations, accelerate=True)


def _residual(restored: Array, blurred: Array, operator: LinearOperator) -> Array:
    return jnp.sqrt(jnp.mean((operator.forward(restored) - blurred) ** 2))


@jax.jit
def _total_variation(image: Array, kernel: Array, weight: Array) -> Array:
    operator = separable_operator(kernel, symmetric=True)
    return total_variation(image, operator, weight, iterations=TV_ITERATIONS)


@jax.jit
def _weight(image: Array, kernel: Array, noise: Array) -> Array:
    low, high = TV_WEIGHTS

    def solver(blurred: Array, weight: Array) -> Array:
        return _total_variation(blurred, kernel, weight)

    operator = separable_operator(kernel, symmetric=True)
    return discrepancy(solver, image, operator, noise, low=low, high=high, bisections=12)[0]
