"""How far each pixel of a restored image may be off: bounds whose coverage is calibrated."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64
from scipy.ndimage import gaussian_filter

from jxr.evaluation.images import check_pairs

# Pixels over which the activity of an image is averaged: a standard deviation.
ACTIVITY_SIGMA = 2.0
# The finest calibration that is wanted: each bin has as many pixels.
BINS = 20


class ErrorBound(NamedTuple):
    """A bound on the absolute error of a pixel, by how busy its surroundings are.

    Attributes:
        edges: increasing activities that part the bins, one less than bins.
        bounds: of each bin, in units of the pixel value.
        level: the share of pixels that the bounds were made to cover.
    """

    edges: Float64[np.ndarray, " edges"]
    bounds: Float64[np.ndarray, " bins"]
    level: float


def calibrate(
    originals: Float[np.ndarray, "n height width 1"],
    restored: Float[np.ndarray, "n height width 1"],
    *,
    level: float = 0.9,
) -> ErrorBound:
    """Returns bounds from images whose originals are known, for others of the same kind.

    Split conformal prediction by groups (Vovk, Lindsay, Nouretdinov and Gammerman, "Mondrian
    confidence machine", 2003): in each of `BINS` equally large groups of pixels of like activity,
    the quantile ceil((m + 1) level) / m of their m absolute errors. Were pixels exchangeable, a new
    one would be covered with probability `level`, in every group. Pixels of one image are alike, so
    this does not hold for a single image, and on average over images only about, the better the
    more there are. (Were all errors of an image equal, bounds of 5 images for a level of 0.9 would
    cover 5/6, of 192 images 173/193.) Measure it (`coverage`).

    Args:
        originals: the truth.
        restored: the estimates.
        level: the share to be covered, in (0, 1).

    Raises:
        ValueError: a level out of its range, or too few pixels for it; or see `check_pairs`.
    """
    check_pairs(originals, restored)
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), not {level}")
    busy = activity(restored).ravel()
    errors = np.abs(restored.astype(np.float64) - originals).ravel()
    edges = np.quantile(busy, np.linspace(0, 1, BINS + 1)[1:-1])
    groups = np.searchsorted(edges, busy, side="right")
    bounds = np.empty(BINS)
    for group in range(BINS):
        # Equal activities (a black frame) can leave a group empty: all pixels stand in for it.
        members = errors[groups == group]
        members = members if members.size else errors
        rank = int(np.ceil((members.size + 1) * level))
        if rank > members.size:
            raise ValueError(f"{members.size} pixels are too few for a level of {level}")
        bounds[group] = np.partition(members, rank - 1)[rank - 1]
    return ErrorBound(edges, bounds, level)


def error_map(
    bound: ErrorBound, restored: Float[np.ndarray, "n height width 1"]
) -> Float64[np.ndarray, "n height width 1"]:
    """Returns the bound of each pixel, in units of the pixel value."""
    return bound.bounds[np.searchsorted(bound.edges, activity(restored), side="right")]


def coverage(
    bound: ErrorBound,
    originals: Float[np.ndarray, "n height width 1"],
    restored: Float[np.ndarray, "n height width 1"],
) -> Float64[np.ndarray, " n"]:
    """Returns the share of pixels of each image whose error is within the bound.

    Raises:
        ValueError: see `check_pairs`.
    """
    check_pairs(originals, restored)
    errors = np.abs(restored.astype(np.float64) - originals)
    return (errors <= error_map(bound, restored)).mean(axis=(1, 2, 3))


def activity(
    images: Float[np.ndarray, "n height width 1"],
) -> Float64[np.ndarray, "n height width 1"]:
    """Returns the local root mean square of the gradient, by a Gaussian window."""
    down, along = np.gradient(images.astype(np.float64), axis=(1, 2))
    squares = down**2 + along**2
    return np.sqrt(gaussian_filter(squares, (0, ACTIVITY_SIGMA, ACTIVITY_SIGMA, 0)))
