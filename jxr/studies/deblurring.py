"""Radiographs from files, deblurred: what is known or estimated of each, and the method."""

import dataclasses
import math
from functools import partial
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32

from jxr.data.radiograph import Radiograph
from jxr.errors import UserError
from jxr.models import Restorer
from jxr.models.large_images import Progress, restore_large
from jxr.optics import (
    Geometry,
    LinearOperator,
    cut_profile,
    field_radius,
    gaussian_profile,
    kernel_radius,
    psf_at,
    separable_operator,
)
from jxr.restoration import (
    discrepancy,
    estimate_blur_sigma,
    estimate_noise_std,
    richardson_lucy,
    total_variation,
)
from jxr.restoration.cosine_filter import filter_cosines
from jxr.restoration.wiener_bank import bank_filters, kernel_width

Method = Literal["network", "wiener", "richardson_lucy", "total_variation"]
METHODS: tuple[Method, ...] = get_args(Method)

# What the shipped network was trained on.
MOST_SIGMA, MOST_NOISE = 3.0, 0.03
LEAST_TILE = 64  # has some room beside the halo of the network, 24 pixels on each side
# An estimated width may be off by a fifth at most times, see `estimate_blur_sigma`.
ESTIMATED_WIDTH_ERROR = 0.1
# Estimates, and choices of strength, look at the middle of an image only.
MIDDLE = 512
# Richardson-Lucy stops where the residual has fallen to the noise, at one of these.
ITERATIONS = (2, 4, 8, 16, 32, 64, 128)
RADIUS_STEP = 4
TV_ITERATIONS = 100
TV_WEIGHTS = (1e-6, 1e-1)

Image = Float32[np.ndarray, "height width 1"]


@dataclasses.dataclass(frozen=True)
class Exposure:
    """How an image was taken, in millimetres; `pixel_pitch_mm` is None where the file says it."""

    focal_spot_mm: float
    source_detector_mm: float
    source_object_mm: float
    pixel_pitch_mm: float | None = None


@dataclasses.dataclass(frozen=True)
class Deblurring:
    """What is asked for; of sigma and exposure at most one. What is None is estimated."""

    method: Method = "network"
    sigma: float | None = None  # pixels, standard deviation
    exposure: Exposure | None = None
    noise: float | None = None  # standard deviation, image range 1
    tile: int = 512

    def __post_init__(self):
        if self.sigma is not None and self.exposure is not None:
            raise UserError("give --sigma or the exposure in millimetres, not both")
        for name, value in (("sigma", self.sigma), ("noise", self.noise)):
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise UserError(f"--{name} is {value}: give a finite number, 0 or more")
        if self.tile % 2 or self.tile < LEAST_TILE:
            raise UserError(f"--tile is {self.tile}: give an even number, {LEAST_TILE} or more")


class Told(NamedTuple):
    """What a method is told of one image.

    Attributes:
        kernel: the profile p of the blur p p^T.
        sigma: its standard deviation in pixels.
        sigma_from: where it is from, in a word or two, as the next but one.
        noise: standard deviation of the noise, without that of rounding.
        noise_from: such as `given`.
        quantisation: step of the pixel values.
        width_error: relative standard deviation of the kernel's width.
    """

    kernel: Float[Array, " size"]
    sigma: float
    sigma_from: str
    noise: float
    noise_from: str
    quantisation: float
    width_error: float

    @property
    def numbers(self) -> dict[str, float]:
        """What `Restorer` and `bank_filters` are told besides the kernel."""
        names = ("noise", "quantisation", "width_error")
        return {name: getattr(self, name) for name in names}


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


def what_is_known(image: Radiograph, name: str, wanted: Deblurring) -> Told:
    """Returns blur and noise of a radiograph, as told or as estimated from its middle.

    Raises:
        UserError: an estimate or the kernel needs a larger image, the exposure is impossible, or
            the distance of pixels is not known.
    """
    middle = cut_middle(image.pixels)
    smallest = min(middle.shape[:2])
    step = 1 / image.levels
    if wanted.exposure is not None:
        kernel, sigma_from = exposure_profile(wanted.exposure, image, name), "from the exposure"
    else:
        if wanted.sigma is not None:
            sigma, sigma_from = wanted.sigma, "given"
        elif smallest < 16:
            raise UserError(f"{name}: too small to estimate its blur: give --sigma")
        else:
            sigma, sigma_from = float(_estimated_sigma(jnp.asarray(middle))), "estimated"
        # Radii in steps, so that images whose estimates differ a little share their programs.
        radius = RADIUS_STEP * math.ceil(kernel_radius(sigma) / RADIUS_STEP)
        kernel = cut_profile(gaussian_profile(sigma, radius=radius), sigma)
    if kernel.size // 2 >= min(image.pixels.shape[:2]):
        raise UserError(
            f"{name}: {image.pixels.shape[1]} x {image.pixels.shape[0]} pixels are too few for a"
            f" blur that reaches {kernel.size // 2}: leave the image out, or lower --sigma"
        )
    if wanted.noise is not None:
        noise, noise_from = wanted.noise, "given"
    elif smallest < 4:
        raise UserError(f"{name}: too small to estimate its noise: give --noise")
    else:
        measured = float(estimate_noise_std(jnp.asarray(middle)))  # NaN: no detail at all
        noise = math.sqrt(max(measured**2 - step**2 / 12, 0)) if measured > 0 else 0.0
        noise_from = "estimated"
    return Told(
        kernel=kernel,
        sigma=float(kernel_width(kernel)),
        sigma_from=sigma_from,
        noise=noise,
        noise_from=noise_from,
        quantisation=step,
        width_error=ESTIMATED_WIDTH_ERROR if sigma_from == "estimated" else 0.0,
    )


def exposure_profile(exposure: Exposure, image: Radiograph, name: str) -> Float[Array, " size"]:
    """Returns the blur of a Gaussian focal spot on the central ray, integrated over pixels."""
    pitch = image.pitch_mm if exposure.pixel_pitch_mm is None else exposure.pixel_pitch_mm
    if pitch is None:
        raise UserError(f"{name}: the file does not say its pixel pitch: give --pixel_pitch_mm")
    try:
        geometry = Geometry(
            focal_spot_mm=(exposure.focal_spot_mm,) * 2,
            anode_angle_deg=12.0,  # has no effect on the central ray
            source_detector_mm=exposure.source_detector_mm,
            source_object_mm=exposure.source_object_mm,
            pixel_pitch_mm=pitch,
        )
    except ValueError as error:
        raise UserError(f"the exposure is impossible: {error}") from error
    return psf_at(geometry, 0.0, 0.0, field_radius(geometry, 1, 1)).sum(0)


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


def cut_middle(pixels: Image) -> Float32[np.ndarray, "rows columns 1"]:
    """Returns at most `MIDDLE` pixels a side from the middle of an image."""
    height, width, _ = pixels.shape
    rows, columns = min(height, MIDDLE), min(width, MIDDLE)
    top, left = (height - rows) // 2, (width - columns) // 2
    return pixels[top : top + rows, left : left + columns]


_estimated_sigma = jax.jit(estimate_blur_sigma)


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
