"""From a measured edge or slit profile to a line spread, a transfer function and a PSF.

A measurement is analysed once, on the host, in float64. Profiles are evenly sampled and finer than
the blur: as a slanted edge gives them, whose rows are merged into one profile across it (Samei,
Flynn and Reimann, "A method for measuring the presampled MTF of digital radiographic systems using
an edge test device", Med. Phys. 25 (1998) 102-113; Buhr, Guenther-Kohfahl and Neitzel 2003,
doi:10.1118/1.1598673).

One profile fixes a PSF only together with an assumption. Two are offered: *isotropic*, where the
profile's transfer function is the radial slice of the two-dimensional one (the Fourier slice
theorem, the same as an inverse Abel transform, but without dividing by zero at the centre), and
*separable*, with one profile an axis, as focal spots are described. For noisy profiles fit a sum
of Gaussians instead (`jxr.optics.gaussian_fits`).
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.ndimage import gaussian_filter1d

from jxr.optics.checks import check_range
from jxr.optics.focal_spots import LEVEL, MeasuredSpot
from jxr.optics.psf import root
from jxr.optics.transfer import Transfer

Profile = Float[np.ndarray, " samples"]
SHORTEST = 8


def line_spread_from_edge(
    edge: Profile, spacing_mm: float, *, smoothing_mm: float = 0.0
) -> Float[np.ndarray, " samples_minus_1"]:
    """Returns the line spread function: the derivative of an edge profile, of unit area.

    Differences of neighbours, which lie halfway between the samples, so the result is one shorter.
    Their response is that of a slit as wide as the spacing; `modulation_transfer` divides it out.

    Args:
        edge: from one side of the edge to the other, either one the brighter; longer than the blur
            on both sides, for its ends are taken as the two levels.
        spacing_mm: of the samples.
        smoothing_mm: standard deviation of a Gaussian that the profile is smoothed with first.
            Differences amplify noise; smoothing widens the result: its variance grows by
            smoothing_mm^2. 0 smooths nothing; for noisy profiles rather fit (`fit_edge`).

    Raises:
        ValueError: if the profile is short, not finite, has equal ends, or a width is negative.
    """
    edge = checked_profile(edge, spacing_mm)
    check_range("smoothing_mm", smoothing_mm, 0, closed=True)
    if smoothing_mm > 0:
        edge = gaussian_filter1d(edge, smoothing_mm / spacing_mm, mode="nearest")
    step = edge[-1] - edge[0]
    if step == 0:
        raise ValueError("the edge profile begins and ends at one level: it shows no edge")
    return np.diff(edge) / (step * spacing_mm)


def line_spread_from_slit(slit: Profile, spacing_mm: float, *, ends: float = 0.1) -> Profile:
    """Returns the line spread function of a slit profile: background taken off, of unit area.

    Args:
        slit: bright slit on a darker ground, longer than the blur on both sides.
        spacing_mm: of the samples.
        ends: the fraction of the samples at each end whose mean is the background.

    Raises:
        ValueError: if the profile is short, not finite, or not brighter than its background.
    """
    slit = checked_profile(slit, spacing_mm)
    check_range("ends", ends, 0, 0.4)
    count = max(1, round(ends * slit.size))
    above = slit - np.concatenate([slit[:count], slit[-count:]]).mean()
    if above.sum() <= 0:
        raise ValueError("the slit profile is not brighter than its ends: invert it")
    return above / (above.sum() * spacing_mm)


def width_at(line: Profile, spacing_mm: float, level: float = LEVEL) -> float:
    """Returns the full width in mm where a line spread falls to `level` of its maximum.

    At 15 % this is the width by which IEC 60336:2020 sizes focal spots. Linear between samples,
    from the outermost crossing on either side.

    Raises:
        ValueError: if the line spread does not fall to the level at both ends, spacing_mm is not
            > 0, or the level not between 0 and 1.
    """
    line = checked_profile(line, spacing_mm)
    check_range("level", level, 0, 1)
    threshold = level * line.max()
    if threshold <= 0 or max(line[0], line[-1]) >= threshold:
        raise ValueError(f"the line spread does not fall to {level} of its maximum at both ends")
    first, last = np.flatnonzero(line >= threshold)[[0, -1]]
    left = (line[first] - threshold) / (line[first] - line[first - 1])
    right = (line[last] - threshold) / (line[last] - line[last + 1])
    return float((last - first + left + right) * spacing_mm)


def modulation_transfer(
    line: Profile, spacing_mm: float, *, differenced: bool
) -> tuple[Float[np.ndarray, " frequencies"], Float[np.ndarray, " frequencies"]]:
    """Returns frequencies in cycles/mm, up to Nyquist, and the MTF at each; 1 at zero.

    A modulus: where noise outweighs the signal it levels off above zero instead of falling.

    Args:
        line: a line spread function, falling to zero at both ends.
        spacing_mm: of its samples.
        differenced: whether it came from an edge: divides by sinc(f spacing), the response of
            differences, at most by pi / 2.

    Raises:
        ValueError: if the profile is short, not finite or without area, or spacing_mm not > 0.
    """
    line = _with_area(line, spacing_mm)
    frequencies = np.fft.rfftfreq(line.size, spacing_mm)
    modulation = np.abs(np.fft.rfft(line))
    modulation = modulation / modulation[0]
    return frequencies, modulation / np.sinc(
        frequencies * spacing_mm
    ) if differenced else modulation


def isotropic_transfer(frequencies: Profile, modulation: Profile) -> Transfer:
    """Returns a measured MTF as a transfer function of two frequencies: its radial slice.

    For `jxr.optics.transfer_blur` or as a detector's scintillator. Linear between the frequencies,
    constant beyond the last.

    Args:
        frequencies: in cycles/mm, rising.
        modulation: the MTF at each.

    Raises:
        ValueError: if the frequencies do not rise, or the lengths differ.
    """
    if len(frequencies) != len(modulation) or not (np.diff(frequencies) > 0).all():
        raise ValueError("frequencies must rise, and modulation have one value for each")

    def transfer(fy, fx):
        known, values = jnp.asarray(frequencies, fy.dtype), jnp.asarray(modulation, fy.dtype)
        return jnp.interp(root(fy**2 + fx**2), known, values)

    return transfer


def separable_psf(
    line_along: Profile,
    line_across: Float[np.ndarray, " other_samples"],
    spacing_mm: float,
    pixel_pitch_mm: float,
    radius: int,
) -> Float[Array, "size size"]:
    """Returns the product of two line spreads, integrated over pixels, of unit sum.

    Each is centred by its centroid. Negative values (noise) are kept: clipping them would widen
    the tails; restore from noisy profiles by a fit instead.

    Args:
        line_along: from row to row, down the image: what a horizontal edge or slit shows.
        line_across: from column to column.
        spacing_mm: of the samples of both.
        pixel_pitch_mm: of the image.
        radius: of the kernel, in pixels.

    Raises:
        ValueError: if a profile is short, not finite or without area, spacing_mm or pixel_pitch_mm
            not > 0, the radius negative, or nothing of a profile within it.
    """
    check_range("pixel_pitch_mm", pixel_pitch_mm, 0)
    check_range("radius", radius, 0, closed=True)

    def profile(line):
        line = _with_area(line, spacing_mm)
        edges = (np.arange(line.size + 1) - line.size / 2) * spacing_mm
        below = np.concatenate([[0.0], np.cumsum(line)]) / line.sum()
        centroid = line @ (edges[1:] + edges[:-1]) / (2 * line.sum())
        pixels = (np.arange(-radius, radius + 2) - 0.5) * pixel_pitch_mm
        weights = np.diff(np.interp(pixels + centroid, edges, below))
        if not weights.sum():
            raise ValueError(f"nothing of a profile lies within radius {radius}: take a larger one")
        return weights / weights.sum()

    return jnp.asarray(np.outer(profile(line_along), profile(line_across)), float)


def spot_from_slits(
    line_along: Profile,
    line_across: Float[np.ndarray, " other_samples"],
    spacing_mm: float,
    enlargement: float,
) -> tuple[MeasuredSpot, tuple[float, float]]:
    """Returns a focal spot from the line spreads of a slit camera on both axes.

    Args:
        line_along: along the anode-cathode axis, on the camera's detector from the anode's side.
        line_across: across it.
        spacing_mm: of the samples, on the camera's detector.
        enlargement: of the camera: slit-detector over focal spot-slit distance, > 0.

    Returns:
        The shape, separable, without what noise puts below zero, and the `focal_spot_mm` that
        belongs to it.

    Raises:
        ValueError: if spacing_mm or enlargement is not > 0, or see `MeasuredSpot`.
    """
    check_range("spacing_mm", spacing_mm, 0)
    check_range("enlargement", enlargement, 0)
    picture = np.outer(np.maximum(line_along, 0), np.maximum(line_across, 0))
    scale = spacing_mm / enlargement
    return MeasuredSpot(picture), (line_along.size * scale, line_across.size * scale)


def checked_profile(profile: Profile, spacing_mm: float) -> Profile:
    """Returns a measured profile in float64.

    Raises:
        ValueError: if it is short or not finite, or spacing_mm is not > 0.
    """
    check_range("spacing_mm", spacing_mm, 0)
    profile = np.asarray(profile, np.float64)
    if profile.size < SHORTEST or not np.isfinite(profile).all():
        raise ValueError(f"a profile needs {SHORTEST} or more samples, all finite")
    return profile


def _with_area(line: Profile, spacing_mm: float) -> Profile:
    line = checked_profile(line, spacing_mm)
    if line.sum() == 0:
        raise ValueError("the line spread has no area: it cannot be scaled to one")
    return line
