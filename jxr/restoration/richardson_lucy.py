"""Richardson-Lucy deconvolution: plain, accelerated, damped, or with total variation."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jxr.optics.checks import as_images, check_number
from jxr.optics.operators import LinearOperator, check_operator
from jxr.optics.psf import Scalar
from jxr.restoration.total_variation import divergence, gradient, touching_sum, unit_of

# Keeps quotients of black pixels finite; far below one grey level of any detector.
DARK = 1e-12

# White's exponent N: how sharply damping sets in at the threshold.
DAMPING_ORDER = 10

# Slopes below this part of the mean brightness count as flat: total variation has no derivative
# at 0, so lengths are sqrt(slope^2 + (0.01 mean)^2).
TV_SMOOTHING = 1e-2


def richardson_lucy(
    blurred: Float[Array, "*batch height width channels"],
    operator: LinearOperator,
    *,
    iterations: int,
    accelerate: bool = False,
    tv: Scalar | None = None,
    damping: Scalar | None = None,
    start: Float[Array, "*batch height width channels"] | None = None,
) -> Float[Array, "*batch height width channels"]:
    """Restores by Richardson-Lucy iterations, x <- x / (A^T 1) * A^T(y / (A x)).

    Each step raises the likelihood of Poisson counts y with mean A x, keeps x >= 0 and keeps the
    flux: sum(x * A^T 1) = sum(y), the plain sum for a blur that loses no light at the boundary.
    Few iterations are the regularisation: noise grows with their number. Every image and channel
    goes its own way. Differentiable; in reverse mode memory grows with the iterations.

    Args:
        blurred: linear intensity of any positive scale; negative values, which noise can give,
            count as 0, for no intensity explains them.
        operator: A and its adjoint, with weights >= 0.
        iterations: their static number.
        accelerate: whether to predict each step from the two before, see Biggs and Andrews,
            "Acceleration of iterative image restoration algorithms", Appl. Opt. 36 (1997),
            doi:10.1364/AO.36.001766. The same limit in a third of the iterations or less, each
            two to three times as long on a CPU; the likelihood may fall for single steps.
        tv: weight, 0 to 1e6, of total variation beside the Poisson log-likelihood, which for counts
            has weight 1; about 1e-3 to 1e-1. See Dey et al., "Richardson-Lucy algorithm with total
            variation regularization for 3D confocal microscope deconvolution", Microsc. Res.
            Tech. 69 (2006), doi:10.1002/jemt.20294. Their step, a division by
            A^T 1 - tv div(grad x / |grad x|), oscillates in flat areas; here the slopes are
            majorised (De Pierro, IEEE Trans. Med. Imaging 14 (1995), doi:10.1109/42.370409), so
            that each plain step lowers the same objective, for any weight. It does not keep the
            flux. May be traced.
        damping: > 0; differences y - A x below this many standard deviations of Poisson noise are
            not fitted further, see White, "Image restoration using the damped Richardson-Lucy
            method", Proc. SPIE 2198 (1994), doi:10.1117/12.176819. For `blurred` in counts; an
            image of other scale takes T times the noise's standard deviation at brightness 1, that
            is T / sqrt(counts for brightness 1). It does not keep the flux. May be traced.
        start: the first estimate, > 0 wherever the result may be; None starts from the mean
            brightness of each image, with `tv` from one plain step on.

    Returns:
        The restored images, >= 0, of the shape and dtype of `blurred`.

    Raises:
        ValueError: if iterations, tv or damping is out of its range, or the images are no float
            numbers.

    >>> import jxr
    >>> import jax.numpy as jnp
    >>> from jxr.optics import separable_operator
    >>> sharp = jnp.full((32, 32, 1), 0.1).at[10:20, 10:20].set(1.0)
    >>> operator = separable_operator(jxr.gaussian_profile(1.0, radius=4), symmetric=True)
    >>> restored = jxr.richardson_lucy(operator.forward(sharp), operator, iterations=20)
    >>> round(float(restored.sum() / sharp.sum()), 3)  # no light is lost
    1.0
    """
    blurred = as_images("blurred", blurred)
    check_operator(operator)
    if iterations < 0:
        raise ValueError(f"iterations must be >= 0, not {iterations}")
    if tv is not None:
        check_number("tv", tv, 0, 1e6, closed=True)
    if damping is not None:
        check_number("damping", damping, 0)
    observed = jnp.maximum(blurred, 0)
    unit = unit_of(observed)
    observed = observed / unit
    mean = jnp.mean(observed, axis=(-3, -2), keepdims=True)
    sensitivity = jnp.maximum(operator.adjoint(jnp.ones_like(observed)), DARK)
    threshold = None if damping is None else jnp.asarray(damping, unit.dtype) / jnp.sqrt(unit)
    # An operator by FFT rounds relative to the brightest pixel: what it says of black ones, even
    # below zero, is no expectation to divide by.
    floor = jnp.maximum(10 * jnp.finfo(observed.dtype).eps * mean, DARK)

    def step(x, tv=tv):
        # The barrier keeps XLA from computing blur and floor in one loop, which is not vectorised:
        # on a CPU the whole iteration would take two and a half times as long.
        expected = lax.optimization_barrier(jnp.maximum(operator.forward(x), floor))
        ratio = observed / expected
        if threshold is not None:
            ratio = 1 + _damping_factor(observed, expected, threshold) * (ratio - 1)
        evidence = x * jnp.maximum(operator.adjoint(ratio), 0)
        if tv is None:
            return evidence / sensitivity
        return _tv_step(x, evidence, sensitivity, jnp.asarray(tv, x.dtype), TV_SMOOTHING * mean)

    if start is not None:
        first = start.astype(observed.dtype) / unit
    elif tv is None:
        first = jnp.broadcast_to(mean, observed.shape)
    else:
        # A flat image has no edges to spare, and would be slow to grow them.
        first = step(jnp.broadcast_to(mean, observed.shape), tv=None)
    if not accelerate:
        return unit * lax.fori_loop(0, iterations, lambda _, x: step(x), first)

    def accelerated(_, state):
        x, previous, change, change_before = state
        power = _inner(change_before, change_before)
        # 0 / 0 in the first two steps: nothing to go by, so no prediction.
        slope = _inner(change, change_before) / jnp.where(power > 0, power, 1)
        ahead = x + jnp.clip(slope, 0, 1) * (x - previous)
        # A pixel set to 0 would stay there for ever, so a prediction may at most halve it.
        ahead = jnp.maximum(ahead, x / 2)
        following = step(ahead)
        return following, x, following - ahead, change

    nothing = jnp.zeros_like(first)
    state = (first, first, nothing, nothing)
    return unit * lax.fori_loop(0, iterations, accelerated, state)[0]


def _tv_step(x, evidence, sensitivity, weight, smoothing):
    """The minimiser of sensitivity z - evidence log z + a quadratic that lies above the TV term.

    With u = weight / |grad x| the quadratic bends by a = 2 u, summed over the pixel's differences,
    about a point where its slope is that of the TV term at x.
    """
    down, along = gradient(x)
    inverse = lax.rsqrt(down**2 + along**2 + (smoothing + DARK) ** 2)
    bend = 2 * weight * touching_sum(inverse)
    slope = sensitivity - weight * divergence(down * inverse, along * inverse) - bend * x
    # The positive root of bend z^2 + slope z - evidence, in the form that does not cancel.
    root = jnp.sqrt(slope**2 + 4 * bend * evidence + DARK**2)
    positive = slope > 0
    safe_bend = jnp.where(positive, 1, bend)
    return jnp.where(positive, 2 * evidence / (root + slope), (root - slope) / (2 * safe_bend))


def _inner(a, b):
    """The inner product of each image and channel with its partner."""
    return jnp.sum(a * b, axis=(-3, -2), keepdims=True)


def _damping_factor(observed, expected, threshold):
    """U^(N-1) (N - (N-1) U), with U the misfit in units of the threshold, cut off at 1."""
    # y log(Ax / y) is 0 for y = 0; the inner `where` keeps its gradient finite.
    positive = observed > 0
    log_ratio = jnp.log(expected / jnp.where(positive, observed, expected))
    misfit = expected - observed - observed * log_ratio
    # Rounding can leave it below 0, and its ninth power far below; a tiny threshold squares to 0.
    limit = jnp.maximum(threshold**2 / 2, DARK**2)
    misfit = jnp.clip(misfit, 0, limit) / limit
    order = DAMPING_ORDER
    return misfit ** (order - 1) * (order - (order - 1) * misfit)
