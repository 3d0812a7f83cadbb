"""Confidence intervals: the bootstrap over images and Wilson's for a fraction."""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Integer, Shaped
from scipy.stats import norm

from jxr.evaluation.classification import check


def bootstrap_interval(
    statistic: Callable[..., float],
    *arrays: Shaped[np.ndarray, "... _n"],
    samples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a statistic over images (Efron 1979).

    Args:
        statistic: maps the resampled arrays to one number; NaN says that the statistic does not
            exist for this resample (one class only, say), which is then drawn anew.
        *arrays: the images lie along the last axis of each; all are resampled alike.
        samples: number of resamples.
        seed: of NumPy's generator; the same seed and n give the same resamples.
        level: the coverage aimed at, between 0 and 1.

    Returns:
        The lower and the upper end.

    Raises:
        ValueError: the arrays differ in their number of images or hold none, or the statistic
            exists for hardly any resample.
    """
    sizes = {array.shape[-1] for array in arrays}
    if len(sizes) != 1 or 0 in sizes:
        raise ValueError(f"arrays must hold the same images along the last axis, got {sizes}")
    n = sizes.pop()
    generator = np.random.default_rng(seed)
    values: list[float] = []
    for _ in range(10 * samples):
        index = generator.integers(0, n, size=n)
        value = statistic(*(array[..., index] for array in arrays))
        if not math.isnan(value):
            values.append(value)
        if len(values) == samples:
            break
    else:
        raise ValueError("the statistic is NaN for most resamples; more images are needed")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def seed_mean_interval(
    labels: Integer[np.ndarray, "n"],
    probabilities: Float[np.ndarray, "seeds n"],
    metric: Callable[[np.ndarray, np.ndarray], np.ndarray],
    *,
    samples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """Bootstrap interval of a metric's mean over training seeds.

    Each resample takes the same images for every seed: the seeds share the test images, so that
    they are no independent observations. The interval speaks of other test images, not of other
    seeds.

    Args:
        labels: 0 or 1.
        probabilities: of class 1, in [0, 1], one row for each seed.
        metric: `accuracy` or `auc` of `jxr.evaluation.classification`, or alike.
        samples: number of resamples; those with one class only are drawn anew.
        seed: of the bootstrap, not of the training.
        level: the coverage aimed at, between 0 and 1.

    Returns:
        The lower and the upper end.

    Raises:
        ValueError: a probability is not finite, or the labels are not a mix of 0 and 1.
    """
    check(labels, probabilities)

    def statistic(labels: np.ndarray, probabilities: np.ndarray) -> float:
        if labels.min() == labels.max():
            return math.nan
        return float(metric(labels, probabilities).mean())

    return bootstrap_interval(
        statistic, labels, probabilities, samples=samples, seed=seed, level=level
    )


def wilson_interval(successes: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a fraction (Wilson 1927, doi:10.1080/01621459.1927.10502953).

    Unlike the usual p +- 1.96 standard errors it stays within [0, 1] and is right near its ends.

    Args:
        successes: from 0 to n.
        n: number of trials, at least 1.
        level: the coverage aimed at, between 0 and 1.

    Returns:
        The lower and the upper end.

    Raises:
        ValueError: n is below 1, or the successes are not within 0 and n.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"need 0 <= successes <= n and n >= 1, got {successes} of {n}")
    z = float(norm.ppf((1 + level) / 2))
    p = successes / n
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return max(0.0, centre - half), min(1.0, centre + half)
