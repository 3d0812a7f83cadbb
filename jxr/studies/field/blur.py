"""One exposure on square pixels: the true blur, its stand-ins, and how far these are from it."""

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int

from jxr.optics import (
    Geometry,
    LinearOperator,
    add_gaussian_noise,
    choose_rank,
    choose_tile,
    dense_blur,
    eigen_psfs,
    field_radius,
    low_rank_operator,
    operator_error,
    psf_field,
    psf_operator,
    quantise,
    sigma_px,
)
from jxr.rng import per_example, stream
from jxr.studies.field.exposures import Exposure

Images = Float32[np.ndarray, "_images height width 1"]
LARGEST_SCALE = 1.5  # of the spot of a stationary PSF


class Field(NamedTuple):
    """The blur of an exposure over an image of size by size pixels.

    Attributes:
        geometry: on the image's pixels; its first row lies on the anode's side.
        size: of the image.
        radius: of all PSFs, in pixels; a stationary one may be scaled by up to `LARGEST_SCALE`.
    """

    geometry: Geometry
    size: int
    radius: int

    def psf_at(self, row: Any, column: Any) -> Float[Array, "psf_size psf_size"]:
        """Returns the PSF of a pixel."""
        return psf_field(self.geometry, self.size, self.size, self.radius)(row, column)

    def stationary_psf(self, scale: float = 1.0) -> Float[Array, "psf_size psf_size"]:
        """Returns the PSF on the central ray, of a spot that is so many times the true one."""
        along, across = self.geometry.focal_spot_mm
        spot = replace(self.geometry, focal_spot_mm=(along * scale, across * scale))
        middle = (self.size - 1) / 2
        return psf_field(spot, self.size, self.size, self.radius)(middle, middle)


def field_of(exposure: Exposure, size: int) -> Field:
    """Returns the field of an exposure, with kernels that hold a scaled stationary PSF as well."""
    geometry = exposure.square(size)
    along, across = geometry.focal_spot_mm
    larger = replace(geometry, focal_spot_mm=(along * LARGEST_SCALE, across * LARGEST_SCALE))
    # One pixel is the widest field that has no line focus.
    radius = max(field_radius(geometry, size, size), field_radius(larger, 1, 1))
    return Field(geometry, size, radius)


def true_blur(field: Field, images: Images) -> Images:
    """Returns the images blurred by the definition, one PSF a pixel."""
    return np.asarray(jax.jit(lambda x: dense_blur(x, field.psf_at))(images))


def recorded(blurred: Images, noise: float, seed: int) -> Images:
    """Returns blurred images with noise of their own, clipped and rounded to 8 bits."""
    keys = per_example(stream(jax.random.key(seed), "field noise"), jnp.arange(len(blurred)))
    noisy = jax.vmap(add_gaussian_noise, in_axes=(0, 0, None))(keys, jnp.asarray(blurred), noise)
    return np.asarray(quantise(noisy, bits=8))


def variant_operator(field: Field, wanted_error: float) -> tuple[LinearOperator, int, int]:
    """Returns a low-rank operator whose PSFs err by less than wanted, its rank and samples.

    Raises:
        ValueError: no rank reaches it, see `choose_rank`.
    """
    rank, samples, _ = choose_rank(field.psf_at, field.size, field.size, wanted_error=wanted_error)
    eigen = eigen_psfs(field.psf_at, field.size, field.size, rank=rank, samples=samples)
    return low_rank_operator(eigen), rank, samples


def describe(field: Field, wanted_error: float, images: Images, blurred: Images) -> dict[str, Any]:
    """Returns sizes of the blur over the field, and the errors of each stand-in for it.

    Args:
        field: the exposure.
        wanted_error: of the low-rank PSFs, as the restorations use them.
        images: some images.
        blurred: what `true_blur` makes of them.
    """
    size = field.size
    operator, rank, samples = variant_operator(field, wanted_error)
    stationary = psf_operator(field.stationary_psf(), method="fft")
    tile = choose_tile(field.psf_at, size, size, wanted_error=wanted_error)
    errors = {}
    for name, stand_in in (("stationary", stationary), ("low_rank", operator)):
        psf_errors = np.asarray(
            operator_error(stand_in, field.psf_at, size, size, places=off_grid(size))
        )
        difference = np.concatenate(
            [np.asarray(stand_in.forward(jnp.asarray(x[None]))) for x in images]
        ) - np.asarray(blurred)
        errors[name] = {
            "psf_error_mean": float(psf_errors.mean()),
            "psf_error_max": float(psf_errors.max()),
            "image_rmse": float(np.sqrt(np.mean(difference.astype(np.float64) ** 2))),
        }
    half = (size - 1) / 2 * field.geometry.pixel_pitch_mm[0]  # type: ignore[index]
    return {
        "geometry": _numbers(field.geometry),
        "psf_pixels": 2 * field.radius + 1,
        "sigma_px": {
            zone: [float(sigma) for sigma in sigma_px(field.geometry, y)]
            for zone, y in (("anode_edge", -half), ("centre", 0.0), ("cathode_edge", half))
        },
        "rank": rank,
        "samples": samples,
        "tile_of_the_same_error": tile.tile,
        "errors": errors,
    }


def off_grid(size: int) -> Int[np.ndarray, "places 2"]:
    """Returns 25 places over the field that are none of those where operators take their PSFs."""
    at = (np.array([0.03, 0.29, 0.47, 0.72, 0.97]) * (size - 1)).astype(int)
    return np.stack(np.meshgrid(at, at, indexing="ij"), -1).reshape(-1, 2)


def _numbers(geometry: Geometry) -> dict[str, Any]:
    return {
        "focal_spot_mm": list(geometry.focal_spot_mm),
        "anode_angle_deg": geometry.anode_angle_deg,
        "source_detector_mm": geometry.source_detector_mm,
        "magnification": float(geometry.magnification),
        "pixel_pitch_mm": float(geometry.pixel_pitch_mm[0]),  # type: ignore[index]
        "shape": type(geometry.shape).__name__,
    }
