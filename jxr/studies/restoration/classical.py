"""Classical restoration methods beside each other in one blur setting, strengths from validation.

Each method has one number to choose: it is chosen by the mean squared error on some validation
images, then all test images are restored once. The linear limit is in `linear_limit`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from jaxtyping import Array, Float64

from jxr.config import BlurConfig
from jxr.evaluation import mse
from jxr.optics.operators import separable_operator
from jxr.restoration.richardson_lucy import richardson_lucy
from jxr.restoration.spectra import gradient_power
from jxr.restoration.total_variation import total_variation
from jxr.restoration.wiener import wiener
from jxr.studies.dataset import Dataset
from jxr.studies.restorers import (
    Images,
    degraded_images,
    host_float64,
    in_batches,
    kernel_of,
    restoration_row,
    spread,
)

Method = Literal["tikhonov_gradient", "richardson_lucy", "total_variation"]
METHODS: tuple[Method, ...] = get_args(Method)

TUNED_ON = 32  # validation images
TV_ITERATIONS = 100  # within about 1e-2 of the minimum's value

# What is tried. More iterations than 128 are beyond what is sensible, though noise-free images want
# them.
STRENGTHS: dict[Method, tuple[float, ...]] = {
    "tikhonov_gradient": tuple(10.0 ** np.arange(-15, 1.01, 0.5)),
    "richardson_lucy": (2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0),
    "total_variation": (1e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2),
}
RECIPES: dict[Method, str] = {
    "tikhonov_gradient": "validation",
    "richardson_lucy": "accelerated-validation",
    "total_variation": f"iterations{TV_ITERATIONS}-validation",
}
Restore = Callable[[Images, float], Array | Images]


def classical_row(
    method: Method, dataset: Dataset, blur: BlurConfig, *, seed: int
) -> dict[str, Any]:
    """Returns the row of one method in one blur setting, on all test images, clipped to [0, 1].

    Args:
        method: one of `METHODS`.
        dataset: the images; strengths are chosen on its validation images.
        blur: the setting.
        seed: of the noise.

    Returns:
        A row of the restoration table, with the chosen `strength` beside.
    """
    rows = spread(dataset.validation, TUNED_ON)
    validation = np.asarray(dataset.images[rows])
    blurred = degraded_images(validation, rows, blur, seed)
    restore = restorer(method, blur, dataset.images.shape[1:3])

    def restored(blurred: Images, strength: float) -> Images:
        return np.clip(in_batches(lambda images: restore(images, strength), blurred), 0, 1)

    errors = {
        strength: float(mse(validation, restored(blurred, strength)).mean())
        for strength in STRENGTHS[method]
    }
    best = min(errors, key=errors.__getitem__)
    if best in (STRENGTHS[method][0], STRENGTHS[method][-1]):
        logging.warning("%s: the best strength tried, %g, is the last one", method, best)
    originals = np.asarray(dataset.images[dataset.test])
    blurred = degraded_images(originals, dataset.test, blur, seed)
    images = restored(blurred, best)
    row = restoration_row(method, RECIPES[method], blur, originals, images)
    logging.info("%s, strength %g: MSE %.4g", method, best, row["mse"])
    return row | {"strength": best}


def restorer(method: Method, blur: BlurConfig, size: tuple[int, int]) -> Restore:
    """Returns the method as a function of images and strength, compiled once where it can be.

    Richardson-Lucy is compiled anew for each number of iterations.
    """
    profile = kernel_of(blur, "device")
    if method == "tikhonov_gradient":
        return gradient_penalty(profile, size)
    operator = separable_operator(
        jnp.asarray(profile, jnp.float32), boundary=blur.boundary, symmetric=True
    )
    if method == "richardson_lucy":
        restore = jax.jit(
            partial(richardson_lucy, operator=operator, accelerate=True),
            static_argnames="iterations",
        )
        return lambda images, strength: restore(images, iterations=int(strength))
    minimise = jax.jit(partial(total_variation, operator=operator, iterations=TV_ITERATIONS))
    return lambda images, strength: minimise(images, weight=strength)


def gradient_penalty(profile: Float64[np.ndarray, " size"], size: tuple[int, int]) -> Restore:
    """Tikhonov's method with the squared gradient as penalty, exact in the cosine domain."""
    penalty = gradient_power(*size)

    @jax.jit
    def restore(images: Array, ratio: Array) -> Array:
        return wiener(images, jnp.asarray(profile), ratio)

    def run(images: Images, weight: float) -> Images:
        with host_float64():
            restored = restore(np.asarray(images, np.float64), weight * penalty)
            return np.asarray(restored, np.float32)

    return run
