"""How strong to regularise: discrepancy principle, cross-validation, validation images."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, Key

from jxr.optics.checks import as_images, check_range
from jxr.optics.operators import LinearOperator
from jxr.optics.psf import Scalar

# Takes blurred images and a strength, which is traced; returns the restored images.
Solver = Callable[
    [Float[Array, "*batch height width channels"], Float[Array, ""]],
    Float[Array, "*batch height width channels"],
]


def on_validation(
    solver: Solver,
    blurred: Float[Array, "*batch height width channels"],
    originals: Float[Array, "*batch height width channels"],
    candidates: Float[Array, " candidates"],
) -> tuple[Float[Array, ""], Float[Array, " candidates"]]:
    """Returns the candidate strength with the smallest restoration error on given images.

    For validation images, never test images. For the Wiener filter
    `jxr.restoration.choose_noise_to_signal` does the same at the cost of one transform.

    Args:
        solver: the method, for example `lambda y, k: tikhonov(y, operator, k)`.
        blurred: the images to restore.
        originals: what they were before the blur.
        candidates: the strengths to try.

    Returns:
        The best candidate, and the mean squared error of every one.

    Raises:
        ValueError: if there is no candidate, or one is negative or not finite.
    """
    check_range("candidates", candidates, 0, closed=True)

    def mean_squared_error(strength):
        error = solver(blurred, strength) - originals
        # Two short means rather than one long one: float32 sums lose digits with their length.
        return jnp.mean(jnp.mean(error**2, axis=(-3, -2, -1)))

    mses = lax.map(mean_squared_error, candidates)
    return candidates[smallest(mses)], mses


def smallest(values: Float[Array, " n"]) -> Int[Array, ""]:
    """Returns the place of the smallest value; `argmin` would take NaN for it."""
    return jnp.argmin(jnp.where(jnp.isnan(values), jnp.inf, values))


def discrepancy(
    solver: Solver,
    blurred: Float[Array, "*batch height width channels"],
    operator: LinearOperator,
    noise_std: Scalar,
    *,
    low: Scalar,
    high: Scalar,
    bisections: int = 20,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Returns the strength at which the residual A x - y is as large as the noise.

    Morozov's principle: an image that fits the data closer than the noise has fitted noise. It
    smooths more than the best strength does, the more so the more pixels carry no signal. Bisects
    the logarithm of the strength, for the residual grows with it. One strength for all images
    given; for one each, `jax.vmap` over them.

    Args:
        solver: see `on_validation`; its residual must grow with the strength.
        blurred: y, with noise.
        operator: A.
        noise_std: the standard deviation of the noise, in units of `blurred`; may be traced, see
            `estimate_noise_std`.
        low: the smallest strength to consider, > 0.
        high: the largest.
        bisections: a static number; each takes a solve and halves log(high / low).

    Returns:
        The strength, and (by one solve more) the standard deviation of the residual there as a
        multiple of `noise_std`: 1 where the principle could be met; otherwise the strength has
        gone as near to `low` (above 1) or `high` (below 1) as the bisections allow.

    Raises:
        ValueError: if noise_std or low is not > 0, high below low, or bisections negative; or
            the images are no float numbers or lack an axis.
    """
    blurred = as_images("blurred", blurred)
    check_range("noise_std", noise_std, 0)
    check_range("low", low, 0)
    check_range("high - low", high - low, 0, closed=True)
    check_range("bisections", bisections, 0, closed=True)

    def ratio(strength):
        residual = operator.forward(solver(blurred, strength)) - blurred
        variance = jnp.mean(jnp.mean(residual**2, axis=(-3, -2, -1)))
        return jnp.sqrt(variance) / jnp.asarray(noise_std, blurred.dtype)

    def halve(_, bounds):
        lower, upper = bounds
        middle = (lower + upper) / 2
        too_weak = ratio(jnp.exp(middle)) < 1
        return jnp.where(too_weak, middle, lower), jnp.where(too_weak, upper, middle)

    bounds = (
        jnp.log(jnp.asarray(low, blurred.dtype)),
        jnp.log(jnp.asarray(high, blurred.dtype)),
    )
    lower, upper = lax.fori_loop(0, bisections, halve, bounds)
    strength = jnp.exp((lower + upper) / 2)
    return strength, ratio(strength)


def gcv(
    solver: Solver,
    blurred: Float[Array, "*batch height width channels"],
    operator: LinearOperator,
    candidates: Float[Array, " candidates"],
    key: Key[Array, ""],
) -> tuple[Float[Array, ""], Float[Array, " candidates"]]:
    """Returns the candidate strength with the smallest generalised cross-validation score.

    The score is mean((y - A x)^2) / (1 - tr(H) / n)^2, H the derivative of A x by y: the error of
    predicting each pixel from the others, with no need to know the noise, which must be white.
    The best prediction of y is not yet the best restoration, which often wants more strength.
    See Golub, Heath and Wahba, Technometrics 21 (1979), doi:10.1080/00401706.1979.10489751. The
    trace is estimated from one random vector of signs, Hutchinson, Commun. Stat. Simul. Comput. 18
    (1989), doi:10.1080/03610918908812806, the same for all candidates; with n = 50,000 values its
    error is below one per cent of n.

    Args:
        solver: see `on_validation`; must have a forward derivative (`jax.jvp`). It need not be
            linear.
        blurred: y.
        operator: A.
        candidates: the strengths to try.
        key: a typed key for the random signs.

    Returns:
        The best candidate, and the score of every one, an estimate of the squared error of
        prediction plus the noise variance; infinite where the fit leaves nothing to judge by.

    Raises:
        ValueError: if there is no candidate, one is negative or not finite, or the images are no
            float numbers.
    """
    blurred = as_images("blurred", blurred)
    check_range("candidates", candidates, 0, closed=True)
    signs = jax.random.rademacher(key, blurred.shape, blurred.dtype)

    def score(strength):
        predicted, moved = jax.jvp(
            lambda y: operator.forward(solver(y, strength)), (blurred,), (signs,)
        )
        residual = jnp.mean(jnp.mean((blurred - predicted) ** 2, axis=(-3, -2, -1)))
        freedom = jnp.mean(jnp.mean(signs * (signs - moved), axis=(-3, -2, -1)))
        fitted = freedom**2 == 0  # all the data: 0 / 0
        return jnp.where(fitted, jnp.inf, residual / jnp.where(fitted, 1, freedom) ** 2)

    scores = lax.map(score, candidates)
    return candidates[smallest(scores)], scores
