"""What the blur of real exposures does to images as a network sees them, beside the report's."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jxr.evaluation import mse
from jxr.optics import (
    Geometry,
    Transfer,
    gaussian_blur,
    kernel_radius,
    penumbra_mm,
    sigma_px,
    spot_transfer,
    transfer_blur,
)
from jxr.studies.field.blur import Images
from jxr.studies.field.exposures import EXPOSURES, SPOTS, Exposure

REPORT_SIGMAS = (1.0, 2.0)
BATCH = 32

# The mean squared error of rounding to 8 bits: a twelfth of a grey level squared.
EIGHT_BIT_MSE = 1 / 12 / 255**2


def geometry_rows(exposures: dict[str, Exposure], size: int) -> list[dict[str, Any]]:
    """Returns the blur of each exposure with each focal spot, on its detector and at a size.

    Args:
        exposures: by name, see `field_exposures`; one whose spot is none of the usual sizes is
            listed with that spot only.
        size: in pixels, of the images that a network sees.

    Returns:
        Rows with magnification, penumbra f (M - 1) in mm and in pixels of the small image, and the
        standard deviation of the blur in pixels: along the anode-cathode axis and across, at the
        centre; along also at the anode's and the cathode's edge.
    """
    rows = []
    for name, exposure in exposures.items():
        usual = [(spot, spot) for spot in SPOTS]
        for spot in usual if exposure.spot_mm in usual else [exposure.spot_mm]:
            detector, small = exposure.geometry(spot), exposure.at_size(spot, size)
            edge = exposure.field_mm[0] / 2
            penumbra = float(penumbra_mm(detector).along_mm)
            rows.append(
                {
                    "exposure": name,
                    "title": exposure.title,
                    "spot_mm": list(spot),
                    "field_mm": list(exposure.field_mm),
                    "magnification": float(detector.magnification),
                    "penumbra_mm": penumbra,
                    "penumbra_px_small": penumbra / float(small.pixel_pitch_mm[0]),  # type: ignore[index]
                    "sigma_px_detector": _pair(sigma_px(detector)),
                    "sigma_px_small": _pair(sigma_px(small)),
                    "sigma_px_small_anode_edge": _pair(sigma_px(small, -edge)),
                    "sigma_px_small_cathode_edge": _pair(sigma_px(small, edge)),
                }
            )
    return rows


def clinical_rows(images: Images) -> list[dict[str, Any]]:
    """Returns `geometry_rows` with what each blur does to small images.

    `mse_centre` has the blur of the central ray everywhere, `mse_cathode_edge` the largest one of
    the field everywhere. Blurs are applied by their transfer functions, for they are far narrower
    than a pixel; so they are of what the pixels hold, not of finer detail that was lost before.

    Args:
        images: square, in [0, 1].
    """
    size = images.shape[1]
    rows = geometry_rows(EXPOSURES, size)
    for row in rows:
        exposure = EXPOSURES[row["exposure"]]
        small = exposure.at_size(tuple(row["spot_mm"]), size)
        for place, y in (("centre", 0.0), ("cathode_edge", exposure.field_mm[0] / 2)):
            row[f"mse_{place}"] = _mse_after(transferred(small, spot_transfer(small, y)), images)
    return rows


def report_rows(images: Images) -> list[dict[str, Any]]:
    """Returns what the report's Gaussian blurs do to the same images."""
    return [
        {"sigma": sigma, "mse": _mse_after(_gaussian(sigma), images)} for sigma in REPORT_SIGMAS
    ]


def transferred(geometry: Geometry, transfer: Transfer) -> Callable[[Array], Array]:
    """Returns the stationary blur by a transfer function on the geometry's pixels."""
    return lambda x: transfer_blur(x, transfer, geometry.pixel_pitch_mm)


def _gaussian(sigma: float) -> Callable[[Array], Array]:
    return lambda x: gaussian_blur(x, sigma, radius=kernel_radius(sigma))


def _mse_after(blur: Callable[[Array], Array], images: Images) -> float:
    compiled = jax.jit(blur)
    # Batches of one shape, the last one overlapping, so that nothing is compiled twice.
    errors = np.empty(len(images))
    for start in range(0, len(images), BATCH):
        first = max(0, min(start, len(images) - BATCH))
        batch = np.asarray(images[first : first + BATCH])
        errors[first : first + BATCH] = mse(batch, np.asarray(compiled(jnp.asarray(batch))))
    return float(errors.mean())


def _pair(values: Any) -> list[float]:
    return [float(value) for value in values]
