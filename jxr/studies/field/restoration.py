"""Stationary against shift-variant restoration of one exposure with one noise.

Every method has one number to choose, from strong to weak on the tuning images: the walk ends
where the error rises. The stationary methods know the PSF of the central ray; `best stationary`
may also choose how large its focal spot is, as one would fit a stationary blur to such images.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from jaxtyping import Array, Float
from scipy.ndimage import gaussian_filter

from jxr.evaluation import mse
from jxr.optics import LinearOperator, psf_operator
from jxr.restoration import (
    gradient_power,
    mean_power_spectrum,
    richardson_lucy,
    tikhonov,
    wiener,
)
from jxr.studies.field.blur import Field, Images

# Of Tikhonov's penalty; the power of white noise, of the Wiener filter; iterations.
STRENGTHS = tuple(float(k) for k in 10.0 ** np.arange(0, -5.1, -0.25))
NOISE_POWERS = tuple(float(v) for v in 10.0 ** np.arange(-2, -7.1, -0.25))
ITERATIONS = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0)
SCALES = tuple(round(0.5 + 0.1 * i, 1) for i in range(11))  # of the spot; 1 is the truth

# Thirds of the rows, the anode's side first.
ZONES = ("anode_side", "centre", "cathode_side")

# Frequencies over which the spectrum of a few images is smoothed.
SMOOTHING = 4.0

PEDESTAL = 0.05  # of Richardson-Lucy: some standard deviations of the noise

# The error of a restoration is far above this tolerance.
CG_ITERATIONS, CG_TOLERANCE = 300, 1e-4

Restore = Callable[[Images, float], Images]


class Method(NamedTuple):
    """A method with its model of the blur.

    Attributes:
        name: of the method.
        model: `stationary`, `best stationary` or `shift-variant`.
        restore: takes recorded images and a strength.
        candidates: strengths, from strong to weak.
        scale: of the spot, for `best stationary`.
    """

    name: str
    model: str
    restore: Restore
    candidates: tuple[float, ...]
    scale: float = 1.0


def restoration_rows(
    field: Field, operator: LinearOperator, scored: tuple[Images, Images],
    tuning: tuple[Images, Images],
) -> list[dict[str, Any]]:  # fmt: skip
    """Returns a row for each method: errors overall, by zone, and of each image.

    Args:
        field: the exposure.
        operator: of the shift-variant blur.
        scored: originals and recorded images.
        tuning: the same of the images on which strengths are chosen.
    """
    rows = [_row("none", "none", None, 1.0, scored[0], scored[1])]
    for method in (*_stationary(field, tuning), *_variant(operator)):
        strength, _ = chosen(method, *tuning)
        images = np.clip(method.restore(scored[1], strength), 0, 1)
        row = _row(method.name, method.model, strength, method.scale, scored[0], images)
        logging.info(
            "%s, %s: strength %g, MSE %.4g", method.model, method.name, strength, row["mse"]
        )
        rows.append(row)
    return rows


def chosen(method: Method, originals: Images, recorded: Images) -> tuple[float, float]:
    """Returns the best strength and its error, walking from strong to weak until errors rise."""
    best, least = method.candidates[0], np.inf
    for strength in method.candidates:
        error = float(mse(originals, np.clip(method.restore(recorded, strength), 0, 1)).mean())
        if not error <= least:  # nor is NaN an improvement
            return best, least
        best, least = strength, error
    logging.warning("%s, %s: the weakest strength is the best", method.model, method.name)
    return best, least


def _stationary(field: Field, tuning: tuple[Images, Images]) -> list[Method]:
    central = field.stationary_psf()
    candidates = [_tikhonov_stationary(field, scale) for scale in SCALES]
    errors = [chosen(method, *tuning)[1] for method in candidates]
    lucy = _one_by_one(_lucy_stationary, central, int)
    filtering = _one_by_one(_wiener, (central, 1 / signal_power(tuning[0])))
    return [
        Method("wiener", "stationary", filtering, NOISE_POWERS),
        _tikhonov_stationary(field, 1.0)._replace(model="stationary"),
        candidates[int(np.argmin(errors))],
        Method("richardson_lucy", "stationary", lucy, ITERATIONS),
    ]


def _tikhonov_stationary(field: Field, scale: float) -> Method:
    restore = _one_by_one(tikhonov_stationary, field.stationary_psf(scale))
    return Method("tikhonov_gradient", "best stationary", restore, STRENGTHS, scale)


def _variant(operator: LinearOperator) -> list[Method]:
    solve = _one_by_one(_tikhonov, operator)
    lucy = _one_by_one(_lucy_variant, operator, int)
    return [
        Method("tikhonov_gradient", "shift-variant", solve, STRENGTHS),
        Method("richardson_lucy", "shift-variant", lucy, ITERATIONS),
    ]


@jax.jit
def tikhonov_stationary(
    blurred: Float[Array, "height width channels"], psf: Float[Array, "a b"], strength: Any
) -> Float[Array, "height width channels"]:
    """Tikhonov's method with the gradient penalty for a symmetric PSF: the end of `_tikhonov`."""
    height, width, _ = blurred.shape
    penalty = jnp.asarray(gradient_power(height, width), blurred.dtype)
    return wiener(blurred, psf, strength * penalty)


def signal_power(originals: Images) -> Float[Array, "height width"]:
    """Returns the mean power of images at each cosine, smooth but for the mean brightness."""
    power = np.asarray(mean_power_spectrum(jnp.asarray(originals)))
    smooth = np.exp(gaussian_filter(np.log(power + np.finfo(np.float32).tiny), SMOOTHING))
    smooth[0, 0] = power[0, 0]
    return jnp.asarray(smooth)


@jax.jit
def _wiener(blurred, model, noise_power):
    psf, inverse_signal = model
    return wiener(blurred, psf, noise_power * inverse_signal)


@jax.jit
def _tikhonov(blurred, operator, strength):
    return tikhonov(
        blurred,
        operator,
        strength,
        penalty="gradient",
        iterations=CG_ITERATIONS,
        tolerance=CG_TOLERANCE,
    )


@partial(jax.jit, static_argnums=2)
def _lucy_variant(blurred, operator, iterations):
    return _lucy(blurred, operator, iterations)


def _lucy(blurred, operator, iterations):
    # The blur of a grey pedestal is added, and the pedestal taken away from what is restored.
    # Without it a black pixel's expectation is the rounding of a transform, of either sign, and
    # quotients by it may grow without bounds: real images, accelerated, ended in NaN.
    pedestal = jnp.full_like(blurred, PEDESTAL)
    raised = blurred + operator.forward(pedestal)
    restored = richardson_lucy(raised, operator, iterations=iterations, accelerate=True)
    return restored - pedestal


@partial(jax.jit, static_argnums=2)
def _lucy_stationary(blurred, psf, iterations):
    return _lucy(blurred, psf_operator(psf, method="fft"), iterations)


def _one_by_one(function: Callable, model: Any, convert: Callable = float) -> Restore:
    """One image after the other: a batch would only need more memory."""

    def restore(images: Images, strength: float) -> Images:
        value = convert(strength)
        return np.stack([np.asarray(function(jnp.asarray(x), model, value)) for x in images])

    return restore


def _row(name, model, strength, scale, originals, images) -> dict[str, Any]:
    errors = mse(originals, images)
    zones = {
        zone: float(np.mean([np.mean(part.astype(np.float64) ** 2) for part in parts]))
        for zone, parts in zip(
            ZONES, np.array_split(originals - images, len(ZONES), axis=1), strict=True
        )
    }
    return {
        "method": name,
        "model": model,
        "strength": strength,
        "spot_scale": scale,
        "n": len(originals),
        "mse": float(errors.mean()),
        "psnr": float(-10 * np.log10(errors).mean()),
        "mse_by_zone": zones,
        "mse_of_images": [float(error) for error in errors],
    }
