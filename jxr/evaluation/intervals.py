"""Confidence intervals: the bootstrap over images and Wilson's for a fraction."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Float64, Integer, Shaped
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
    values = resampled(statistic, n, arrays, samples, seed)
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def resampled(
    statistic: Callable[..., Any],
    n: int,
    arrays: Sequence[np.ndarray],
    samples: int,
    seed: int,
) -> list[Any]:
    """Returns the statistic of each resample; those where it is NaN are drawn anew."""
    generator = np.random.default_rng(seed)
    values: list[Any] = []
    for _ in range(10 * samples):
        index = generator.integers(0, n, size=n)
        value = statistic(*(array[..., index] for array in arrays))
        if not np.isnan(value).any():
            values.append(value)
        if len(values) == samples:
            return values
    raise ValueError("the statistic is NaN for most resamples; more images are needed")


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


def roc_band(
    labels: Integer[np.ndarray, "n"],
    scores: Float[np.ndarray, "seeds n"],
    grid: Float[np.ndarray, "points"],
    *,
    samples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[Float64[np.ndarray, "points"], Float64[np.ndarray, "points"]]:
    """Pointwise bootstrap band of the ROC curve that is the mean over training seeds.

    Curves are averaged at equal false positive rates ("vertically", Fawcett 2006,
    doi:10.1016/j.patrec.2005.10.010). The resamples are those of `seed_mean_interval` with the
    same seed: over images, not stratified by class, the same images for every training seed. Each
    point's interval holds for that point alone, not for the whole curve at once.

    Args:
        labels: 0 or 1.
        scores: log-odds, or another score that is higher for class 1; one row for each seed.
        grid: false positive rates in [0, 1].
        samples: number of resamples; those with one class only are drawn anew.
        seed: of the bootstrap, not of the training.
        level: the coverage aimed at at each point, between 0 and 1.

    Returns:
        The lower and the upper end of the true positive rate at each point of the grid.

    Raises:
        ValueError: a score is not finite, the labels are not a mix of 0 and 1, or the grid leaves
            [0, 1].
    """
    check(labels, scores)
    if grid.min() < 0 or grid.max() > 1:
        raise ValueError(f"grid must be within [0, 1], got {grid.min()} to {grid.max()}")
    # Sorting once is enough: a resample only changes how often each image counts.
    order = np.argsort(-scores.astype(np.float64), axis=-1, kind="stable")
    descending = np.take_along_axis(scores, order, axis=-1)
    # Equal scores cannot be told apart by a threshold: a curve turns where they end.
    turns = [np.flatnonzero(np.r_[row[1:] != row[:-1], True]) for row in descending]

    def statistic(index: np.ndarray) -> np.ndarray:
        times = np.bincount(index, minlength=labels.size)
        curves = []
        for places, turn in zip(order, turns, strict=True):
            positive = np.cumsum(times[places] * (labels[places] == 1))[turn]
            negative = np.cumsum(times[places] * (labels[places] == 0))[turn]
            if not positive[-1] or not negative[-1]:
                return np.full(grid.size, math.nan)
            fpr, tpr = np.r_[0, negative / negative[-1]], np.r_[0, positive / positive[-1]]
            curves.append(np.interp(grid, fpr, tpr))
        return np.mean(curves, axis=0)

    values = resampled(statistic, labels.size, (np.arange(labels.size),), samples, seed)
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


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
