"""Point-spread functions and transfer functions of a focal spot seen through a geometry.

How sizes change over the detector, and where positions are measured from: `jxr.optics.geometry`.
"""

import math
from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from jxr.optics.checks import check_range
from jxr.optics.geometry import Geometry, anode_slope, penumbra_mm
from jxr.optics.psf import Scalar
from jxr.optics.transfer import Transfer, axis_pitches

# A row of pixels is cut into this many strips of the spot, each with one skew.
STRIPS = 32

# Below this size in pixels a spot is a point; keeps 0/0 out of values and gradients.
POINT = 1e-4


def psf_at(
    geometry: Geometry, y_px: Scalar, x_px: Scalar, radius: int
) -> Float[Array, "size size"]:
    """Returns the point-spread function at a position, integrated over each pixel.

    The image of the spot is cut exactly at the pixels' edges along y. Along x it is exact on the
    column of the central ray; elsewhere the lean of each strip of a 32nd of a row is replaced by
    the shift of its middle. For smooth spots on a detector's field that moves less than 1 in 10,000
    of the mass; for a measured one with sharp detail, or at the edge of the anode's shadow, up to 2
    in 1,000.

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
    slope = anode_slope(geometry)
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
        ValueError: if a size is below 1, or the blur reaches further than can be counted.
    """
    check_range("height and width", (height, width), 1, closed=True)
    pitch_y, pitch_x = axis_pitches(geometry.pixel_pitch_mm)
    # Largest in the corner on the cathode's side: longest, and leaning as far as anywhere.
    corner = ((height - 1) / 2 * pitch_y, (width - 1) / 2 * pitch_x)
    blur = penumbra_mm(geometry, *corner)
    along, across = geometry.shape.reach
    down = along * float(blur.along_mm)
    right = across * float(blur.across_mm) + float(blur.skew) * down
    reach = max(down / float(pitch_y), right / float(pitch_x))
    check_range("reach of the blur in pixels", reach, 0, closed=True)
    return max(1, math.ceil(reach - 0.5))


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
