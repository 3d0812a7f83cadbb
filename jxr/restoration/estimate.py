"""What a blurred image itself tells about its blur and its noise."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.fft import dctn
from jaxtyping import Array, Float

from jxr.optics.checks import as_images, check_range
from jxr.optics.psf import Sampling, cut_profile, gaussian_profile, kernel_radius
from jxr.restoration.spectra import transfer_function

# High-pass filter of Daubechies' wavelet with two vanishing moments: blind to linear slopes.
ROOT3 = 3.0**0.5
DAUBECHIES2 = tuple(h / 32**0.5 for h in (1 - ROOT3, ROOT3 - 3, 3 + ROOT3, -1 - ROOT3))

# The median of |z| for a standard Gaussian z.
GAUSSIAN_MEDIAN = 0.6744897501960817

# Widths tried, in pixels; a parabola through the best three refines them.
SIGMA_STEP = 0.05
# Widths beyond the largest, as multiples of it: only whether one of them fits better counts.
MOST_BEYOND, BEYOND_STEP = 4, 0.2

# The lowest rings of frequencies hold the layout of the anatomy, which follows no spectrum.
RINGS = 64
SKIPPED_RINGS = 2
SCORING_STEPS = 30


def estimate_noise_std(
    images: Float[Array, "*batch height width channels"],
) -> Float[Array, "*batch"]:
    """Returns the standard deviation of white noise in each image.

    The median absolute value of the finest diagonal wavelet coefficients, which smooth content
    hardly reaches, over that of a unit Gaussian: Donoho and Johnstone, Biometrika 81 (1994),
    doi:10.1093/biomet/81.3.425, with Daubechies' filter of four taps. Coefficients that are 0
    are left out: saturated or masked areas show no noise. Fine detail counts as noise, so sharp
    images are overestimated; blurred ones are not.

    Args:
        images: at least 4 by 4 pixels; the channels are pooled.

    Returns:
        One number an image, in units of `images`; NaN for an image without any detail.

    Raises:
        ValueError: if the images are smaller than 4 by 4, or no float numbers.

    >>> import jax, jxr
    >>> import jax.numpy as jnp
    >>> noisy = jxr.add_gaussian_noise(jax.random.key(0), jnp.full((128, 128, 1), 0.5), 0.02)
    >>> round(float(jxr.estimate_noise_std(noisy)), 3)
    0.02
    """
    images = as_images("images", images)
    height, width, _ = images.shape[-3:]
    if min(height, width) < 4:
        raise ValueError(f"images of {height} by {width} pixels are too small: 4 by 4 at least")

    def high_pass(x, axis):
        last = x.shape[axis] - 4
        slices = (lax.slice_in_dim(x, i, i + last + 1, stride=2, axis=axis) for i in range(4))
        return sum(tap * part for tap, part in zip(DAUBECHIES2, slices, strict=True))

    detail = jnp.abs(high_pass(high_pass(images, images.ndim - 3), images.ndim - 2))
    # What is left of a constant area is the rounding of the filter.
    rounding = (
        4 * jnp.finfo(images.dtype).eps * jnp.max(jnp.abs(images), (-3, -2, -1), keepdims=True)
    )
    detail = jnp.where(detail > rounding, detail, jnp.nan)
    return jnp.nanmedian(detail, axis=(-3, -2, -1)) / GAUSSIAN_MEDIAN


def estimate_blur_sigma(
    blurred: Float[Array, "*batch height width channels"],
    *,
    largest: float = 4.0,
    spectrum: Float[Array, "height width"] | None = None,
    sampling: Sampling = "point",
) -> Float[Array, "*batch"]:
    """Estimates the standard deviation of the Gaussian blur of each image, where it is unknown.

    Maximum likelihood in the cosine domain, where an image blurred under 'reflect' has independent
    coefficients of variance a S d^2 + v: S the power spectrum of sharp images, d the transfer of
    the blur, v white noise (Whittle's likelihood, over rings of frequencies). The scale a and v are
    fitted to each image at every width by Fisher scoring, and so is the exponent of the power law
    that stands in for S where no spectrum is given.

    What it finds is blur beyond that of S. On 40 chest images at 224x224 with the spectrum of 200
    training images the root mean square error was 1 to 7 per cent for widths of 1, 2 and 3 pixels
    (float32, 8 bits or noise of 0.01) and 0.05 pixels for a width of 0.5; by the power law it was
    1 to 10 per cent without and 10 to 24 per cent with noise of 0.01, which hides a width of 0.5.
    Widths below about half a pixel are hardly told from none: images differ by as much.

    Args:
        blurred: at least 16 by 16 pixels; the channels are pooled.
        largest: the largest width to tell from others, in pixels, >= 0.1; an estimate of `largest`
            means that the width is that or more. Up to four times of it are tried: images blurred
            more than that, or than a quarter of their size in all, or of which noise has left the
            lowest frequencies only, may look sharp.
        spectrum: S, mean power of sharp images of the same size in the cosine domain, of any scale,
            see `mean_power_spectrum`; None for a power law.
        sampling: of the kernel, see `gaussian_profile`.

    Returns:
        One sigma an image, in pixels and the convention 'standard', in the dtype of `blurred`; 0
        for one without any detail, NaN for one with values that are not finite.

    Raises:
        ValueError: if the images or `largest` are too small, or the images no float numbers.

    >>> import jax, jxr
    >>> import jax.numpy as jnp
    >>> from jax.scipy.fft import idctn
    >>> y, x = jnp.mgrid[:128, :128]
    >>> power_law = jax.random.normal(jax.random.key(0), (128, 128)) / (1 + jnp.hypot(y, x)) ** 1.5
    >>> blurred = jxr.gaussian_blur(idctn(power_law, norm="ortho")[..., None], 2.0, radius=8)
    >>> bool(abs(jxr.estimate_blur_sigma(blurred) - 2.0) < 0.2)
    True
    """
    blurred = as_images("blurred", blurred)
    check_range("largest", largest, 2 * SIGMA_STEP, closed=True)
    height, width, _ = blurred.shape[-3:]
    if min(height, width) < 16:
        raise ValueError(f"images of {height} by {width} pixels are too small: 16 by 16 at least")
    rings, counts, log_frequency = _rings(height, width)
    counts = jnp.asarray(counts, blurred.dtype)

    def ring_means(power):
        return jax.ops.segment_sum(power.ravel(), rings.ravel(), counts.size) / counts

    told_apart = np.linspace(0, largest, math.ceil(largest / SIGMA_STEP - 1e-6) + 1)
    # Wider ones are tried too, for the power law alone may fit them better than `largest` does.
    widest = min(MOST_BEYOND * largest, (min(height, width) - 1) / 4)
    beyond = largest * np.arange(1 + BEYOND_STEP, widest / largest, BEYOND_STEP)
    sigmas = jnp.asarray(np.concatenate([told_apart, beyond]), blurred.dtype)
    base = jnp.ones((height, width), blurred.dtype) if spectrum is None else spectrum
    base = base.astype(blurred.dtype)
    radius = kernel_radius(max(largest, widest))

    def model(sigma):
        profile = cut_profile(gaussian_profile(sigma, radius=radius, sampling=sampling), sigma)
        transfer = transfer_function(profile.astype(base.dtype), height, width)
        return ring_means(base * transfer**2)

    # One width at a time: all of them at once would hold eighty images.
    models = lax.map(model, sigmas)
    tilt = jnp.asarray(log_frequency, blurred.dtype) if spectrum is None else None
    weights = counts.at[:SKIPPED_RINGS].set(0) / 2

    def one_image(image):
        power = dctn(image, axes=(-3, -2), norm="ortho") ** 2
        observed = ring_means(jnp.mean(power, axis=-1))
        misfits = jax.vmap(partial(_misfit, observed, weights=weights, tilt=tilt))(models)
        within, wider = misfits[: told_apart.size], misfits[told_apart.size :]
        refined = _refined_minimum(sigmas[: told_apart.size], within)
        # What the transform leaves of a constant image is its rounding.
        rounding = (4 * jnp.finfo(power.dtype).eps) ** 2 * jnp.sum(power)
        beyond_largest = jnp.min(wider, initial=jnp.inf) < jnp.min(within)
        sigma = jnp.where(beyond_largest, largest, refined)
        sigma = jnp.where(jnp.max(observed[SKIPPED_RINGS:]) > rounding, sigma, 0)
        return jnp.where(jnp.isfinite(rounding), sigma, jnp.nan)

    images = blurred.reshape(-1, *blurred.shape[-3:])
    return jax.vmap(one_image)(images).reshape(blurred.shape[:-3])


def _rings(height, width):
    """The ring of each frequency, the frequencies in each ring, and the rings' log frequency."""
    down, along = np.arange(height) / height, np.arange(width) / width
    frequency = np.hypot(down[:, None], along[None])
    count = min(RINGS, min(height, width) // 2)
    rings = np.minimum(frequency / np.sqrt(2) * count, count - 1).astype(int)
    counts = np.bincount(rings.ravel(), minlength=count)
    log_frequency = np.log(np.bincount(rings.ravel(), frequency.ravel()) / counts)
    return rings, counts, log_frequency - log_frequency.mean()


def _misfit(observed, model, *, weights, tilt):
    """Minus the log-likelihood of one width, the nuisance parameters fitted.

    The variances are exp(t0) model [frequency^-t2] + exp(t1). Counted from what a perfect fit
    would have, so that float32 keeps the digits that tell one width from the next.
    """
    observed = jnp.maximum(observed, 1e-12 * jnp.finfo(observed.dtype).eps * observed.max())

    def parts(t):
        slope = 0 if tilt is None else t[2] * tilt
        signal = jnp.exp(t[0] - slope) * model
        return signal, signal + jnp.exp(t[1])

    def loss(t):
        quotient = observed / parts(t)[1]
        return jnp.sum(weights * (quotient - 1 - jnp.log(quotient)))

    def score(_, state):
        t, damping, value = state
        signal, variance = parts(t)
        rows = [signal / variance, 1 - signal / variance]
        if tilt is not None:
            rows.append(-tilt * rows[0])
        slopes = jnp.stack(rows)
        downhill = (slopes * (weights * (observed / variance - 1))).sum(axis=1)
        fisher = (slopes[:, None] * slopes[None] * weights).sum(axis=2)
        diagonal = jnp.diag(jnp.diag(fisher) + 1e-6)
        step = jnp.clip(jnp.linalg.solve(fisher + damping * diagonal, downhill), -2, 2)
        trial = loss(t + step)
        better = trial < value
        return (
            jnp.where(better, t + step, t),
            jnp.where(better, damping / 5, damping * 5),
            jnp.where(better, trial, value),
        )

    # Starts from the scale of the rings that are still bright, and half of the dimmest as noise.
    bright = weights * (model > 1e-3 * model[SKIPPED_RINGS])
    scale = jnp.sum(bright * observed) / jnp.sum(bright * model)
    start = [jnp.log(scale), jnp.log(observed[-1] / 2)]
    if tilt is not None:
        start.append(jnp.zeros_like(scale))
    t = jnp.stack(start)
    return lax.fori_loop(0, SCORING_STEPS, score, (t, jnp.full_like(t[0], 1e-2), loss(t)))[2]


def _refined_minimum(sigmas, values):
    """The minimum of the parabola through the smallest value and its neighbours."""
    best = jnp.argmin(values)
    middle = jnp.clip(best, 1, sigmas.size - 2)
    before, here, after = values[middle - 1], values[middle], values[middle + 1]
    curvature = jnp.maximum(before - 2 * here + after, jnp.finfo(values.dtype).tiny)
    shift = jnp.clip((before - after) / (2 * curvature), -0.5, 0.5)
    step = sigmas[1] - sigmas[0]
    return jnp.where(best == middle, sigmas[middle] + shift * step, sigmas[best])
