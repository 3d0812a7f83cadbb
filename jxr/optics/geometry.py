"""From a focal spot in millimetres to its point-spread function anywhere on the detector.

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
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from jxr.optics.checks import check_range
from jxr.optics.focal_spots import FocalSpot, GaussianSpot
from jxr.optics.psf import Scalar
from jxr.optics.transfer import Transfer, axis_pitches

# A row of pixels is cut into this many strips of the spot, each with one skew.
STRIPS = 32

# Below this size in pixels a spot is a point; keeps 0/0 out of values and gradients.
POINT = 1e-4

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
    slope = _anode_slope(geometry)
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
    blur = penumbra_mm(geometry, y_mm, x_mm)
    pitch_y, pitch_x = axis_pitches(geometry.pixel_pitch_mm)
    along, across = geometry.shape.std
    down = along * blur.along_mm
    return down / pitch_y, jnp.hypot(across * blur.across_mm, blur.skew * down) / pitch_x


def psf_at(
    geometry: Geometry, y_px: Scalar, x_px: Scalar, radius: int
) -> Float[Array, "size size"]:
    """Returns the point-spread function at a position, integrated over each pixel.

    The image of the spot is cut exactly at the pixels' edges along y. Along x it is exact on the
    column of the central ray; elsewhere the lean of each strip of a 32nd of a row is replaced by
    the shift of its middle, which moves less than 1 in 10,000 of the mass.

    What a pixel collects includes its aperture, so this is the response to a point on the
    detector. A spot much smaller than a pixel gives the identity: to keep the little blur that it
    makes, apply `spot_transfer` by `jxr.optics.transfer_blur`.

    Args:
        geometry: the exposure; its numbers may be traced, `jax.grad` by its sizes works.
        y_px: rows from the central ray, towards the cathode; may be traced, as may x_px.
        x_px: columns from the central ray.
        radius: static, in pixels; see `field_radius`. What reaches beyond it is cut off.

    Returns:
        (2 radius + 1, 2 radius + 1) of unit sum, in the default float dtype.

    Raises:
        ValueError: if the radius is negative, or so small that it holds nothing of the spot (seen
            only where values are known, not while they are traced).

    >>> import jxr
    >>> bedside = jxr.Geometry(
    ...     focal_spot_mm=(1.2, 1.2),
    ...     anode_angle_deg=12.0,
    ...     source_detector_mm=1000.0,
    ...     source_object_mm=800.0,
    ...     pixel_pitch_mm=0.1,
    ... )
    >>> bedside.magnification
    1.25
    >>> jxr.psf_at(bedside, 0.0, 0.0, radius=4).shape  # of an image of the spot 3 pixels wide
    (9, 9)
    """
    if radius < 0:
        raise ValueError(f"radius must be >= 0, not {radius}")
    pitch_y, pitch_x = axis_pitches(geometry.pixel_pitch_mm)
    blur = penumbra_mm(geometry, y_px * pitch_y, x_px * pitch_x)
    rows_per_size = jnp.maximum(blur.along_mm / pitch_y, POINT)
    columns_per_size = jnp.maximum(blur.across_mm / pitch_x, POINT)
    edges = jnp.arange(-radius, radius + 2, dtype=rows_per_size.dtype) - 0.5

    # The part of the spot that falls on each row of pixels, in strips.
    reach = geometry.shape.reach[0]
    u = jnp.clip(edges / rows_per_size, -reach, reach)
    steps = jnp.arange(STRIPS + 1, dtype=u.dtype) / STRIPS
    u = u[:-1, None] + (u[1:] - u[:-1])[:, None] * steps
    lean = (u[:, 1:] + u[:, :-1]) / 2 * rows_per_size * blur.skew * (pitch_y / pitch_x)
    v = (edges - lean[..., None]) / columns_per_size
    mass_below = geometry.shape.mass_below
    strips = mass_below(u[:, 1:, None], v) - mass_below(u[:, :-1, None], v)
    mass = jnp.maximum(jnp.diff(strips.sum(1), axis=1), 0)
    total = mass.sum()
    check_range("radius: the part of the spot within it", total, 0)
    return mass / total


def psf_field(
    geometry: Geometry, height: int, width: int, radius: int
) -> Callable[[Scalar, Scalar], Float[Array, "size size"]]:
    """Returns the PSF as a function of row and column, as a shift-variant blur takes it.

    Args:
        geometry: the exposure.
        height: of the detector, in pixels; the central ray meets its middle.
        width: of the detector, in pixels.
        radius: of the kernels, in pixels, see `field_radius`.

    Returns:
        psf(row, column) of `psf_at`; row and column count from the first pixel's centre and may
        be traced or between pixels.

    Raises:
        ValueError: if the first row lies in the anode's shadow (the heel cuts the field off), or a
            size is below 1.
    """
    check_range("height and width", (height, width), 1, closed=True)
    pitch_y, _ = axis_pitches(geometry.pixel_pitch_mm)
    slope = _anode_slope(geometry)
    tangent = (height - 1) / 2 * pitch_y / geometry.source_detector_mm
    check_range("anode_angle_deg: tan(angle) - tan(ray to the first row)", slope - tangent, 0)

    def psf(row, column):
        return psf_at(geometry, row - (height - 1) / 2, column - (width - 1) / 2, radius)

    return psf


def field_radius(geometry: Geometry, height: int, width: int) -> int:
    """Returns the smallest radius of a kernel that holds the blur everywhere on the detector.

    Args:
        geometry: the exposure, of plain numbers: the radius is static.
        height: of the detector, in pixels.
        width: of the detector, in pixels.

    Raises:
        ValueError: if a size is below 1.
    """
    check_range("height and width", (height, width), 1, closed=True)
    pitch_y, pitch_x = axis_pitches(geometry.pixel_pitch_mm)
    # Largest in the corner on the cathode's side: longest, and leaning as far as anywhere.
    corner = ((height - 1) / 2 * pitch_y, (width - 1) / 2 * pitch_x)
    blur = penumbra_mm(geometry, *corner)
    along, across = geometry.shape.reach
    down = along * float(blur.along_mm)
    right = across * float(blur.across_mm) + float(blur.skew) * down
    return max(1, math.ceil(max(down / float(pitch_y), right / float(pitch_x)) - 0.5))


def spot_transfer(geometry: Geometry, y_mm: Scalar = 0.0, x_mm: Scalar = 0.0) -> Transfer:
    """Returns the Fourier transform of the blur on the detector, without the pixels' aperture.

    For `jxr.optics.transfer_blur`, which blurs a whole image by it: a stationary blur, right where
    the geometry is that of the given position. Composes with a scintillator's MTF by
    `jxr.optics.compose`. Arguments are those of `effective_focal_spot`.
    """
    blur = penumbra_mm(geometry, y_mm, x_mm)

    def transfer(fy, fx):
        along = blur.along_mm * (fy + blur.skew * fx)
        return geometry.shape.transfer(
            along.astype(fy.dtype), (blur.across_mm * fx).astype(fx.dtype)
        )

    return transfer


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


def _anode_slope(geometry: Geometry) -> Array:
    """Returns tan(anode angle), > 0."""
    # In float32 the number nearest to 90 degrees lies beyond the pole, where the tangent is < 0.
    return jnp.abs(jnp.tan(jnp.deg2rad(jnp.asarray(geometry.anode_angle_deg, float))))
