"""What is asked for of a radiograph, and what is told or estimated of its blur and noise."""

import dataclasses
import functools
import math
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32

from jxr.data.radiograph import Radiograph
from jxr.errors import UserError
from jxr.optics import (
    Geometry,
    cut_profile,
    field_radius,
    gaussian_profile,
    kernel_radius,
    psf_at,
)
from jxr.restoration import estimate_blur_sigma, estimate_noise_std
from jxr.restoration.wiener_bank import kernel_width

Method = Literal["network", "wiener", "richardson_lucy", "total_variation"]
METHODS: tuple[Method, ...] = get_args(Method)

LEAST_TILE = 64  # has some room beside the halo of the network, 24 pixels on each side
# An estimated width may be off by a fifth at most times, see `estimate_blur_sigma`.
ESTIMATED_WIDTH_ERROR = 0.1
# Estimates, and choices of strength, look at the middle of an image only.
MIDDLE = 512
RADIUS_STEP = 4

Image = Float32[np.ndarray, "height width 1"]


@dataclasses.dataclass(frozen=True)
class Exposure:
    """How an image was taken, in millimetres; `pixel_pitch_mm` is None where the file says it."""

    focal_spot_mm: float
    source_detector_mm: float
    source_object_mm: float
    pixel_pitch_mm: float | None = None

    def __post_init__(self):
        self.geometry(1.0 if self.pixel_pitch_mm is None else self.pixel_pitch_mm)

    def geometry(self, pitch: float) -> Geometry:
        """Returns the exposure on a detector of this distance of pixels, in millimetres.

        Raises:
            UserError: there is no such exposure.
        """
        try:
            geometry = Geometry(
                focal_spot_mm=(self.focal_spot_mm,) * 2,
                anode_angle_deg=12.0,  # has no effect on the central ray
                source_detector_mm=self.source_detector_mm,
                source_object_mm=self.source_object_mm,
                pixel_pitch_mm=pitch,
            )
            field_radius(geometry, 1, 1)  # says if it is beyond all numbers
        except ValueError as error:
            raise UserError(f"the exposure is impossible: {error}") from error
        return geometry


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
        if self.noise is not None and self.noise > 1:
            raise UserError(f"--noise is {self.noise}: give at most 1, the range of an image")
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
        check_reach(radius, image, name)
        kernel = cut_profile(gaussian_profile(sigma, radius=radius), sigma)
    if wanted.noise is not None:
        noise, noise_from = wanted.noise, "given"
    elif smallest < 4:
        raise UserError(f"{name}: too small to estimate its noise: give --noise")
    else:
        measured = float(_estimated_noise(jnp.asarray(middle)))  # NaN: no detail at all
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
    geometry = exposure.geometry(pitch)
    radius = field_radius(geometry, 1, 1)
    check_reach(radius, image, name)
    return central_profile(geometry, radius)


@functools.cache  # images of one detector share it, and a new one is compiled
def central_profile(geometry: Geometry, radius: int) -> Float[Array, " size"]:
    """Returns the profile of the focal spot's PSF on the central ray."""
    return jax.jit(lambda: psf_at(geometry, 0.0, 0.0, radius).sum(0))()


def check_reach(radius: int, image: Radiograph, name: str) -> None:
    """Raises UserError for an image that is smaller than its blur, before a kernel is made."""
    height, width = image.pixels.shape[:2]
    if radius >= min(height, width):
        raise UserError(
            f"{name}: {width} x {height} pixels are too few for a blur that reaches {radius}: leave"
            " the image out, or tell a smaller blur"
        )


def cut_middle(pixels: Image) -> Float32[np.ndarray, "rows columns 1"]:
    """Returns at most `MIDDLE` pixels a side from the middle of an image."""
    height, width, _ = pixels.shape
    rows, columns = min(height, MIDDLE), min(width, MIDDLE)
    top, left = (height - rows) // 2, (width - columns) // 2
    return pixels[top : top + rows, left : left + columns]


_estimated_sigma = jax.jit(estimate_blur_sigma)
_estimated_noise = jax.jit(estimate_noise_std)
