"""Exposures in millimetres: how large a focal spot is, seen from anywhere on the detector.

The tube's axis, from cathode to anode, lies along the detector's rows; the central ray leaves the
middle of the focal spot at the anode angle to the target's surface and meets the middle of the
detector at a right angle. Positions on the detector are measured from there: y with the rows, x
with the columns. **The first row lies on the anode's side**, so y grows towards the cathode (flip
images taken the other way).

A point of the object is a pinhole: it casts an image of the focal spot, enlarged by M - 1 with the
magnification M. Away from the central ray the tilted target is seen under another angle. A piece
of it at nominal coordinate u (along, as imaged) lies u / tan(theta) nearer to the detector, which
moves its image outwards by that times the tangent of the ray. To first order in the size of the
spot over the source-object distance (about one in a thousand) its image lies at

    y = (M - 1) u (1 + t_y / tan(theta)),    x = (M - 1) (v + u t_x / tan(theta)),

with t = position / source-detector distance. So the length along y is
L sin(theta - phi) / cos(phi), L = f / sin(theta) the actual length on the target and phi the angle
towards the anode (t_y = -tan(phi)), the line-focus principle over the field; across, the size
stays, and the rectangle becomes a parallelogram.
"""

import math
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array

from jxr.optics.checks import check_range
from jxr.optics.focal_spots import FocalSpot, GaussianSpot
from jxr.optics.psf import Scalar
from jxr.optics.transfer import axis_pitches

# Beyond the edge of the anode's shadow the spot would be seen from behind.
SHADOW = 1e-3


@dataclass(frozen=True)
class Geometry:
    """An exposure: sizes and distances in millimetres. Numbers may be traced.

    Attributes:
        focal_spot_mm: size of the focal spot as the central ray sees it, along the anode-cathode
            axis and across it; what "size" means is said in `jxr.optics.focal_spots`. > 0.
        anode_angle_deg: between the target's surface and the central ray; 0 to 90, often 12.
        source_detector_mm: from the focal spot to the detector.
        source_object_mm: from the focal spot to the plane of the object, at most that.
        pixel_pitch_mm: distance of neighbouring pixels on the detector, or of the pixels that an
            image was reduced to (`resampled`): one number, or one from row to row and one from
            column to column.
        shape: how the emission is spread over the size.
    """

    focal_spot_mm: tuple[Scalar, Scalar]
    anode_angle_deg: Scalar
    source_detector_mm: Scalar
    source_object_mm: Scalar
    pixel_pitch_mm: Scalar | tuple[Scalar, Scalar]
    shape: FocalSpot = field(default_factory=GaussianSpot)

    def __post_init__(self):
        if isinstance(self.focal_spot_mm, float | int):
            raise ValueError(f"focal_spot_mm must be two sizes, not the one {self.focal_spot_mm}")
        check_range("focal_spot_mm along", self.focal_spot_mm[0], 0)
        check_range("focal_spot_mm across", self.focal_spot_mm[1], 0)
        check_range("anode_angle_deg", self.anode_angle_deg, 0, 90)
        check_range("source_detector_mm", self.source_detector_mm, 0)
        check_range("source_object_mm", self.source_object_mm, 0)
        axis_pitches(self.pixel_pitch_mm)  # checks them
        # Separate from the range: it needs both distances, and either may be traced.
        gap = self.source_detector_mm - self.source_object_mm
        check_range("source_detector_mm - source_object_mm", gap, 0, closed=True)

    @property
    def magnification(self) -> Scalar:
        """M = source-detector / source-object distance, >= 1: of an object in its plane."""
        return self.source_detector_mm / self.source_object_mm


class EffectiveSpot(NamedTuple):
    """A focal spot as a point of the detector sees it: a parallelogram for a rectangular spot.

    Attributes:
        along_mm: its length along the anode-cathode axis.
        across_mm: its size across, at any one height.
        skew: how far its long sides lean: x by y, 0 for a rectangle.
    """

    along_mm: Scalar
    across_mm: Scalar
    skew: Scalar


def effective_focal_spot(geometry: Geometry, y_mm: Scalar, x_mm: Scalar) -> EffectiveSpot:
    """Returns size and shape of the spot as seen from a position on the detector.

    Args:
        geometry: the exposure.
        y_mm: from the central ray with the rows, towards the cathode; may be traced.
        x_mm: from the central ray with the columns; may be traced.

    Returns:
        along = f sin(theta - phi) / (cos(phi) sin(theta)) = f (1 + t_y / tan(theta)), which falls
        to zero at the edge of the anode's shadow (phi = theta) and is held at f / 1000 beyond,
        where no ray arrives; across = its nominal size; skew = t_x / (tan(theta) + t_y).
    """
    slope = anode_slope(geometry)
    stretch = jnp.maximum(1 + y_mm / geometry.source_detector_mm / slope, SHADOW)
    skew = x_mm / geometry.source_detector_mm / (slope * stretch)
    along, across = geometry.focal_spot_mm
    return EffectiveSpot(along * stretch, jnp.asarray(across, float), skew)


def penumbra_mm(geometry: Geometry, y_mm: Scalar = 0.0, x_mm: Scalar = 0.0) -> EffectiveSpot:
    """Returns the size of the blur on the detector, f (M - 1), with f seen from that position.

    Arguments are those of `effective_focal_spot`, and so is the result, in mm on the detector.
    """
    spot = effective_focal_spot(geometry, y_mm, x_mm)
    enlargement = geometry.magnification - 1
    return EffectiveSpot(enlargement * spot.along_mm, enlargement * spot.across_mm, spot.skew)


def sigma_px(geometry: Geometry, y_mm: Scalar = 0.0, x_mm: Scalar = 0.0) -> tuple[Scalar, Scalar]:
    """Returns the standard deviation of the blur along rows' and columns' direction, in pixels.

    That of the Gaussian with the same second moments: for comparison with a sigma in pixels, and
    for a stationary stand-in. It is the blur's own, without the pixels' aperture (1/12 pixel^2).
    Arguments are those of `effective_focal_spot`.
    """
    spot = effective_focal_spot(geometry, y_mm, x_mm)
    pitch_y, pitch_x = axis_pitches(geometry.pixel_pitch_mm)
    along, across = geometry.shape.std
    down, wide = along * spot.along_mm, across * spot.across_mm
    # Across, the part that goes with the position along leans with it; the rest is independent.
    correlation = geometry.shape.correlation
    leaning = correlation * wide + spot.skew * down
    rest = math.sqrt(1 - correlation**2) * wide
    # Enlarged last: at M = 1 the blur is 0, where a hypotenuse has no derivative.
    enlargement = geometry.magnification - 1
    return enlargement * down / pitch_y, enlargement * jnp.hypot(rest, leaning) / pitch_x


def resampled(
    geometry: Geometry, shape: tuple[int, int], new_shape: tuple[int, int] = (224, 224)
) -> Geometry:
    """Returns the geometry for images that were resized: the same field on another grid.

    Args:
        geometry: of the detector.
        shape: height and width of the image on the detector, in pixels.
        new_shape: height and width that it was resized to, a network's input by default. The
            aspect ratio need not be kept: the pitch then differs between rows and columns.

    Raises:
        ValueError: if a size is not positive.
    """
    for name, sizes in (("shape", shape), ("new_shape", new_shape)):
        check_range(name, sizes, 0)
    pitch_y, pitch_x = axis_pitches(geometry.pixel_pitch_mm)
    pitches = (pitch_y * shape[0] / new_shape[0], pitch_x * shape[1] / new_shape[1])
    return replace(geometry, pixel_pitch_mm=pitches)


def anode_slope(geometry: Geometry) -> Array:
    """Returns tan(anode angle), > 0."""
    # In float32 the number nearest to 90 degrees lies beyond the pole, where the tangent is < 0.
    return jnp.abs(jnp.tan(jnp.deg2rad(jnp.asarray(geometry.anode_angle_deg, float))))
