"""Sums of Gaussians fitted to a measured edge or slit profile.

For noisy profiles: a sum of Gaussians is smooth by construction, and its PSF is exact, for a
two-dimensional Gaussian has a line spread of the same standard deviation.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.optimize import least_squares
from scipy.special import ndtr

from jxr.optics.checks import check_range
from jxr.optics.measured import Profile, checked_profile, line_spread_from_slit
from jxr.optics.psf import pixel_masses


@dataclass(frozen=True)
class GaussianMixture:
    """An isotropic PSF: concentric Gaussians, narrowest first.

    Attributes:
        weights: their shares, of unit sum.
        sigmas_mm: their standard deviations along each axis.
        centre_mm: where the edge or slit lay, from the profile's first sample.
    """

    weights: tuple[float, ...]
    sigmas_mm: tuple[float, ...]
    centre_mm: float

    def transfer(
        self, fy: Float[Array, "rows columns"], fx: Float[Array, "rows columns"]
    ) -> Float[Array, "rows columns"]:
        """Returns the transfer function at frequencies in cycles/mm, for `transfer_blur`."""
        squared = -2 * jnp.pi**2 * (fy**2 + fx**2)
        total = jnp.zeros_like(fy)
        for weight, sigma in zip(self.weights, self.sigmas_mm, strict=True):
            total += weight * jnp.exp(squared * sigma**2)
        return total

    def psf(self, pixel_pitch_mm: float, radius: int) -> Float[Array, "size size"]:
        """Returns the kernel, integrated over pixels, of unit sum within the radius.

        Raises:
            ValueError: if pixel_pitch_mm is not > 0, or the radius negative.
        """
        check_range("pixel_pitch_mm", pixel_pitch_mm, 0)
        check_range("radius", radius, 0, closed=True)

        def gaussian(sigma):
            line = pixel_masses(sigma / pixel_pitch_mm, radius)
            return jnp.outer(line, line)

        # Scaled once: what lies beyond the radius is missing from the widest most of all.
        parts = zip(self.weights, self.sigmas_mm, strict=True)
        kernel = jnp.asarray(sum(weight * gaussian(sigma) for weight, sigma in parts))
        return kernel / kernel.sum()


def fit_edge(edge: Profile, spacing_mm: float, *, components: int = 1) -> GaussianMixture:
    """Fits an edge blurred by a sum of concentric Gaussians, by least squares.

    On the edge itself, whose noise is independent from sample to sample, not on its differences.

    Args:
        edge: see `jxr.optics.line_spread_from_edge`.
        spacing_mm: of the samples.
        components: the number of Gaussians; 2 for a core with a tail.

    Raises:
        ValueError: for a bad profile, or if the fit does not converge.
    """
    return _fit(edge, spacing_mm, components, ndtr, checked_profile(edge, spacing_mm))


def fit_slit(slit: Profile, spacing_mm: float, *, components: int = 1) -> GaussianMixture:
    """Fits a narrow slit blurred by a sum of concentric Gaussians on an even ground.

    Arguments and errors are those of `fit_edge`, of a profile as in `line_spread_from_slit`.
    """

    def density(x):
        return np.exp(-(x**2) / 2)

    cumulated = np.cumsum(line_spread_from_slit(slit, spacing_mm))
    return _fit(slit, spacing_mm, components, density, cumulated)


def _fit(
    profile: Profile,
    spacing_mm: float,
    components: int,
    response: Callable[[np.ndarray], np.ndarray],
    edge: Profile,
) -> GaussianMixture:
    """Least squares from a start that the edge-like version of the profile gives."""
    profile = checked_profile(profile, spacing_mm)
    check_range("components", components, 1, closed=True)
    if edge[0] == edge[-1]:
        raise ValueError("the edge profile begins and ends at one level: it shows no edge")
    x = np.arange(profile.size) * spacing_mm
    rise = (edge - edge[0]) / (edge[-1] - edge[0])
    quantiles = [x[np.argmax(rise >= q)] for q in (0.16, 0.5, 0.84)]
    width = max((quantiles[2] - quantiles[0]) / 2, spacing_mm / 2)
    spread = np.geomspace(0.7, 2.5, components) if components > 1 else np.ones(1)
    is_slit = response is not ndtr

    # Shares by a softmax and widths by an exponential: any parameters are admissible ones.
    def unpack(parameters):
        centre, logits, logs = parameters[0], parameters[1:components], parameters[components:]
        shares = np.exp(np.concatenate([[0.0], logits]))
        return centre, shares / shares.sum(), np.exp(logs)

    # Level and height enter linearly, so they are solved for at each step, not searched.
    def residuals(parameters):
        centre, weights, sigmas = unpack(parameters)
        scaled = (x[:, None] - centre) / sigmas
        shape = response(scaled) / sigmas if is_slit else response(scaled)
        basis = np.stack([np.ones_like(x), shape @ weights], axis=1)
        return basis @ np.linalg.lstsq(basis, profile, rcond=None)[0] - profile

    start = np.concatenate([[quantiles[1]], np.full(components - 1, -1.5), np.log(width * spread)])
    fit = least_squares(residuals, start, x_scale="jac", max_nfev=1000)
    if not (fit.success and np.isfinite(fit.x).all()):
        raise ValueError(f"the fit of {components} Gaussians did not converge: {fit.message}")
    centre, weights, sigmas = unpack(fit.x)
    order = np.argsort(sigmas)
    return GaussianMixture(
        tuple(weights[order].tolist()), tuple(sigmas[order].tolist()), float(centre)
    )
