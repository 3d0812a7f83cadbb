"""Shapes of a focal spot: how its emission is spread over its nominal size.

Coordinates are fractions of the nominal size, as the central ray sees the spot: u along the
anode-cathode axis, v across it. Both point as the spot's *image* on the detector does (u with the
rows, v with the columns), so a pinhole picture of a spot is used the way it was taken.

The size of a shape is its full width where the line spread falls to 15 % of its maximum, the width
that IEC 60336:2020 evaluates on slit and pinhole radiograms. It is the size itself, not the
*nominal value* printed on a tube: the standard lets a spot be larger than its nominal value.
"""

import math
from dataclasses import dataclass, field

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import ndtr
from jaxtyping import Array, Complex, Float
from scipy.optimize import brentq, minimize_scalar

LEVEL = 0.15

# Width at the level of a Gaussian of standard deviation 1, and where we cut its tails (the mass
# beyond is 6e-7).
GAUSSIAN_WIDTH = 2 * math.sqrt(2 * math.log(1 / LEVEL))
GAUSSIAN_REACH = 5.0


@dataclass(frozen=True)
class UniformSpot:
    """Emits evenly from a rectangle: the textbook's spot, whose blur is the penumbra itself."""

    def mass_below(
        self, u: Float[Array, "*#shape"], v: Float[Array, "*#shape"]
    ) -> Float[Array, "*#shape"]:
        """Returns the fraction of the emission from below u and below v; the shapes broadcast."""
        return jnp.clip(u + 0.5, 0, 1) * jnp.clip(v + 0.5, 0, 1)

    def transfer(
        self, fu: Float[Array, "*shape"], fv: Float[Array, "*shape"]
    ) -> Float[Array, "*shape"]:
        """Returns the Fourier transform at frequencies in cycles per size; 1 at zero."""
        return jnp.sinc(fu) * jnp.sinc(fv)

    @property
    def std(self) -> tuple[float, float]:
        """Standard deviations along and across, as fractions of the size."""
        return (1 / math.sqrt(12), 1 / math.sqrt(12))

    @property
    def correlation(self) -> float:
        """Of the positions along and across, from -1 to 1."""
        return 0.0

    @property
    def reach(self) -> tuple[float, float]:
        """Half the extent along and across, as fractions of the size."""
        return (0.5, 0.5)


@dataclass(frozen=True)
class GaussianSpot:
    """A Gaussian on each axis; its standard deviation is the size divided by 3.90."""

    def mass_below(
        self, u: Float[Array, "*#shape"], v: Float[Array, "*#shape"]
    ) -> Float[Array, "*#shape"]:
        """See `UniformSpot.mass_below`."""
        return ndtr(u * GAUSSIAN_WIDTH) * ndtr(v * GAUSSIAN_WIDTH)

    def transfer(
        self, fu: Float[Array, "*shape"], fv: Float[Array, "*shape"]
    ) -> Float[Array, "*shape"]:
        """See `UniformSpot.transfer`."""
        return jnp.exp(-2 * (jnp.pi / GAUSSIAN_WIDTH) ** 2 * (fu**2 + fv**2))

    @property
    def std(self) -> tuple[float, float]:
        """See `UniformSpot.std`."""
        return (1 / GAUSSIAN_WIDTH, 1 / GAUSSIAN_WIDTH)

    @property
    def correlation(self) -> float:
        """See `UniformSpot.correlation`."""
        return 0.0

    @property
    def reach(self) -> tuple[float, float]:
        """See `UniformSpot.reach`."""
        return (GAUSSIAN_REACH / GAUSSIAN_WIDTH, GAUSSIAN_REACH / GAUSSIAN_WIDTH)


@dataclass(frozen=True)
class DoubleGaussianSpot:
    """Two equal parallel Gaussian bands, side by side across the anode-cathode axis.

    Stands for a spot with bright edge bands, which resolves less than a uniform one of its size
    ("Mammographic resolution: influence of focal spot intensity distribution and geometry",
    Nickoloff et al. 1990, compares such distributions). The pair of Gaussians is our model of it.
    For a core with a wide tail, measure it and use a `MeasuredSpot`.

    Attributes:
        separation: distance of the bands in standard deviations of one; above 2 there is a dip
            between them, 0 is the `GaussianSpot`.
    """

    separation: float = 3.0

    def __post_init__(self):
        if not (math.isfinite(self.separation) and self.separation >= 0):
            raise ValueError(f"separation must be finite and >= 0, not {self.separation}")

    def mass_below(
        self, u: Float[Array, "*#shape"], v: Float[Array, "*#shape"]
    ) -> Float[Array, "*#shape"]:
        """See `UniformSpot.mass_below`."""
        width, half = self._width(), self.separation / 2
        across = (ndtr(v * width - half) + ndtr(v * width + half)) / 2
        return ndtr(u * GAUSSIAN_WIDTH) * across

    def transfer(
        self, fu: Float[Array, "*shape"], fv: Float[Array, "*shape"]
    ) -> Float[Array, "*shape"]:
        """See `UniformSpot.transfer`."""
        width = self._width()
        bands = jnp.cos(jnp.pi * self.separation / width * fv)
        return bands * jnp.exp(-2 * jnp.pi**2 * ((fu / GAUSSIAN_WIDTH) ** 2 + (fv / width) ** 2))

    @property
    def std(self) -> tuple[float, float]:
        """See `UniformSpot.std`."""
        return (1 / GAUSSIAN_WIDTH, math.sqrt(1 + self.separation**2 / 4) / self._width())

    @property
    def correlation(self) -> float:
        """See `UniformSpot.correlation`."""
        return 0.0

    @property
    def reach(self) -> tuple[float, float]:
        """See `UniformSpot.reach`."""
        across = (self.separation / 2 + GAUSSIAN_REACH) / self._width()
        return (GAUSSIAN_REACH / GAUSSIAN_WIDTH, across)

    def _width(self) -> float:
        """The width of the pair at the level, in standard deviations of one band."""
        half = self.separation / 2

        def profile(t):
            return math.exp(-((t - half) ** 2) / 2) + math.exp(-((t + half) ** 2) / 2)

        # Highest between the middle (bands that merge) and the centre of a band.
        top = minimize_scalar(lambda t: -profile(t), bounds=(0, half), method="bounded")
        highest = max(-top.fun, profile(0), profile(half))
        return 2 * brentq(lambda t: profile(t) - LEVEL * highest, half, half + 4)


@dataclass(frozen=True, eq=False)
class MeasuredSpot:
    """A pinhole picture of a spot; even within each of the picture's pixels.

    The focal-spot size of a geometry is then the extent of the whole picture in the plane of the
    spot: its pixels times their pitch, divided by the pinhole camera's enlargement. The centroid
    is put on the central ray, for a shift of the spot cannot be told from one of the picture.

    Attributes:
        picture: rows along the anode-cathode axis, as the pinhole camera's detector takes it with
            its first row on the anode's side; background subtracted, none negative; scaled to unit
            sum.
    """

    picture: Float[np.ndarray, "rows columns"]
    _below: Float[np.ndarray, "rows_plus_1 columns_plus_1"] = field(init=False, repr=False)
    _centre: tuple[float, float] = field(init=False, repr=False)

    def __post_init__(self):
        picture = np.asarray(self.picture, np.float64)
        if picture.ndim != 2 or not (
            np.isfinite(picture).all() and (picture >= 0).all() and picture.sum() > 0
        ):
            raise ValueError(
                "picture must be a matrix, finite, >= 0 and not all zero: subtract the background "
                "and clip"
            )
        picture = picture / picture.sum()
        below = np.pad(picture.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        u, v = _cells(picture.shape[0]), _cells(picture.shape[1])
        centre = (float(picture.sum(1) @ u), float(picture.sum(0) @ v))
        for name, value in (("picture", picture), ("_below", below), ("_centre", centre)):
            object.__setattr__(self, name, value)

    def mass_below(
        self, u: Float[Array, "*#shape"], v: Float[Array, "*#shape"]
    ) -> Float[Array, "*#shape"]:
        """See `UniformSpot.mass_below`. Bilinear in the cumulative sums, which is exact."""
        rows, columns = self.picture.shape
        row, row_part = _locate(u + self._centre[0], rows)
        column, column_part = _locate(v + self._centre[1], columns)
        below = jnp.asarray(self._below, u.dtype)
        first = below[row, column] * (1 - column_part) + below[row, column + 1] * column_part
        last = below[row + 1, column] * (1 - column_part) + below[row + 1, column + 1] * column_part
        return first * (1 - row_part) + last * row_part

    def transfer(
        self, fu: Float[Array, "*shape"], fv: Float[Array, "*shape"]
    ) -> Complex[Array, "*shape"]:
        """See `UniformSpot.transfer`; complex, for the picture need not be symmetric."""
        rows, columns = self.picture.shape
        u = jnp.asarray(_cells(rows) - self._centre[0], fu.dtype)
        v = jnp.asarray(_cells(columns) - self._centre[1], fu.dtype)
        picture = jnp.asarray(self.picture, fu.dtype)

        # One frequency at a time over the picture, in batches: the table of all pairs would be
        # the size of the image times that of the picture.
        def at(frequency):
            along = jnp.exp(-2j * jnp.pi * frequency[0] * u)
            across = jnp.exp(-2j * jnp.pi * frequency[1] * v)
            real = jnp.matmul(picture, across, precision=lax.Precision.HIGHEST)
            return jnp.matmul(along, real, precision=lax.Precision.HIGHEST)

        pairs = (fu.ravel(), fv.ravel())
        points = lax.map(at, pairs, batch_size=4096).reshape(fu.shape)
        return points * jnp.sinc(fu / rows) * jnp.sinc(fv / columns)

    @property
    def std(self) -> tuple[float, float]:
        """See `UniformSpot.std`."""

        def spread(weights, centre):
            size = weights.size
            variance = weights @ (_cells(size) - centre) ** 2 + 1 / (12 * size**2)
            return math.sqrt(variance)

        along = spread(self.picture.sum(1), self._centre[0])
        return (along, spread(self.picture.sum(0), self._centre[1]))

    @property
    def correlation(self) -> float:
        """See `UniformSpot.correlation`."""
        rows, columns = self.picture.shape
        u, v = _cells(rows) - self._centre[0], _cells(columns) - self._centre[1]
        return float(u @ self.picture @ v) / math.prod(self.std)

    @property
    def reach(self) -> tuple[float, float]:
        """See `UniformSpot.reach`."""
        return (0.5 + abs(self._centre[0]), 0.5 + abs(self._centre[1]))


FocalSpot = UniformSpot | GaussianSpot | DoubleGaussianSpot | MeasuredSpot


def _cells(count):
    """Centres of `count` equal cells of [-1/2, 1/2]."""
    return (np.arange(count) + 0.5) / count - 0.5


def _locate(position, count):
    """The cell that a position in [-1/2, 1/2] lies in, and how far into it (0 to 1)."""
    cells = jnp.clip((position + 0.5) * count, 0, count)
    index = jnp.minimum(cells.astype(int), count - 1)
    return index, cells - index
