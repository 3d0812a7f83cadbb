"""Confidence intervals: the bootstrap over patients."""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Float64, Integer, Shaped

from jxr.evaluation.classification import check

BLOCK = 100  # resamples that are drawn and scored at once: 25 MB of counts for 32,000 images


# `accuracy` or `auc` of `jxr.evaluation.classification`, or alike: maps labels, probabilities and
# counts to a score for each seed and resample.
Metric = Callable[..., np.ndarray]


def bootstrap_interval(
    statistic: Callable[[np.ndarray], np.ndarray],
    n: int,
    *,
    patients: Shaped[np.ndarray, "n"] | None = None,
    samples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[Float64[np.ndarray, "..."], Float64[np.ndarray, "..."]]:
    """Percentile bootstrap interval of a statistic (Efron 1979), over patients.

    Images of one patient are alike, so that patients are drawn, each with all images (the cluster
    bootstrap, Davison and Hinkley 1997, section 3.8). An interval over images would be too narrow.

    Args:
        statistic: maps counts (how often each image was drawn: integers, resamples x n) to the
            statistic of each resample, a number or an array. NaN says that it does not exist for
            this resample (of one class only, say), which is then drawn anew.
        n: number of images, at least 1.
        patients: whose each image is, in any code; None: no two are of one patient. Of few (below
            10 in a class, say) the interval is too narrow, of one it has no width.
        samples: number of resamples.
        seed: of NumPy's generator; the same seed and patients give the same resamples.
        level: the coverage aimed at, between 0 and 1.

    Returns:
        The lower and the upper end, as the statistic of one resample is shaped.

    Raises:
        ValueError: the statistic exists for hardly any resample, there are no images, or the
            patients are not as many or some missing.
    """
    if n < 1:
        raise ValueError(f"a bootstrap needs images, got {n}")
    owner = owners(n, patients)
    size = owner.max() + 1
    generator = np.random.default_rng(seed)
    blocks: list[np.ndarray] = []
    for _ in range(10 * math.ceil(samples / BLOCK)):
        drawn = generator.integers(0, size, size=(BLOCK, size)) + size * np.arange(BLOCK)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=BLOCK * size).reshape(BLOCK, size)
        values = statistic(counts[:, owner])
        exists = ~np.isnan(values.reshape(BLOCK, -1)).any(axis=1)
        blocks.append(values[exists])
        if sum(map(len, blocks)) >= samples:
            break
    else:
        raise ValueError("the statistic is NaN for most resamples; more images are needed")
    values = np.concatenate(blocks)[:samples]
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return np.asarray(low), np.asarray(high)


def owners(n: int, patients: Shaped[np.ndarray, "n"] | None) -> Integer[np.ndarray, "n"]:
    """Returns whose each of n images is, as numbers from 0; without patients each its own.

    Raises:
        ValueError: the patients are not as many, or some are missing: NaN, None, or blank.
    """
    if patients is None:
        return np.arange(n)
    if patients.shape != (n,):
        raise ValueError(f"patients must say whose each of {n} images is, got {patients.shape}")
    # They would all count as one patient, those too that pandas has written as text.
    names = (str(patient).strip() for patient in patients.tolist())
    if missing := sum(name in ("", "<NA>", "NaN", "NaT", "None", "nan") for name in names):
        raise ValueError(
            f"{missing} of {n} patients are missing (NaN, None or blank): give each such image one"
            " of its own"
        )
    return np.unique(patients, return_inverse=True)[1]


def check_rows(labels: np.ndarray, scores: np.ndarray) -> None:
    """Raises ValueError as `check` does, or unless there is one row for each training seed.

    Of a single row without its axis, the mean over seeds would be one over resamples.
    """
    check(labels, scores)
    if scores.ndim != 2:
        raise ValueError(
            f"one row for each seed, not the shape {scores.shape}: of one seed scores[None]"
        )


def seed_means(
    metric: Metric,
    labels: Integer[np.ndarray, "n"],
    probabilities: Float[np.ndarray, "seeds n"],
    counts: Integer[np.ndarray, "resamples n"],
) -> Float64[np.ndarray, "resamples"]:
    """Returns a metric's mean over seeds for each resample, NaN for those of one class only."""
    positives = counts @ labels
    both = (positives > 0) & (positives < counts.sum(axis=1))
    means = metric(labels, probabilities, counts=counts).mean(axis=0)
    return np.where(both, means, math.nan)


def seed_mean_interval(
    labels: Integer[np.ndarray, "n"],
    probabilities: Float[np.ndarray, "seeds n"],
    metric: Metric,
    *,
    patients: Shaped[np.ndarray, "n"] | None = None,
    samples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """Bootstrap interval of a metric's mean over training seeds.

    Each resample takes the same patients for every seed: the seeds share the test images, so that
    they are no independent observations. The interval speaks of other test patients, not of other
    seeds.

    Args:
        labels: 0 or 1.
        probabilities: of class 1, in [0, 1], one row for each seed.
        metric: `accuracy` or `auc`, or alike.
        patients: whose each image is; None: no two are of one patient.
        samples: number of resamples; those with one class only are drawn anew.
        seed: of the bootstrap, not of the training.
        level: the coverage aimed at, between 0 and 1.

    Returns:
        The lower and the upper end.

    Raises:
        ValueError: a probability is not finite, or the labels are not a mix of 0 and 1.
    """
    check_rows(labels, probabilities)
    low, high = bootstrap_interval(
        lambda counts: seed_means(metric, labels, probabilities, counts),
        labels.size,
        patients=patients,
        samples=samples,
        seed=seed,
        level=level,
    )
    return float(low), float(high)


def roc_band(
    labels: Integer[np.ndarray, "n"],
    scores: Float[np.ndarray, "seeds n"],
    grid: Float[np.ndarray, "points"],
    *,
    patients: Shaped[np.ndarray, "n"] | None = None,
    samples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[Float64[np.ndarray, "points"], Float64[np.ndarray, "points"]]:
    """Pointwise bootstrap band of the ROC curve that is the mean over training seeds.

    Curves are averaged at equal false positive rates ("vertically", Fawcett 2006,
    doi:10.1016/j.patrec.2005.10.010). The resamples are those of `seed_mean_interval` with the
    same seed: over patients, not stratified by class, the same for every training seed. Each
    point's interval holds for that point alone, not for the whole curve at once.

    Args:
        labels: 0 or 1.
        scores: log-odds, or another score that is higher for class 1; one row for each seed.
        grid: false positive rates in [0, 1].
        patients: whose each image is; None: no two are of one patient.
        samples: number of resamples; those with one class only are drawn anew.
        seed: of the bootstrap, not of the training.
        level: the coverage aimed at at each point, between 0 and 1.

    Returns:
        The lower and the upper end of the true positive rate at each point of the grid.

    Raises:
        ValueError: a score is not finite, the labels are not a mix of 0 and 1, or the grid leaves
            [0, 1].
    """
    check_rows(labels, scores)
    if grid.min() < 0 or grid.max() > 1:
        raise ValueError(f"grid must be within [0, 1], got {grid.min()} to {grid.max()}")
    # Sorting once is enough: a resample only changes how often each image counts.
    order = np.argsort(-scores.astype(np.float64), axis=-1, kind="stable")
    descending = np.take_along_axis(scores, order, axis=-1)
    # Equal scores cannot be told apart by a threshold: a curve turns where they end.
    turns = [np.flatnonzero(np.r_[row[1:] != row[:-1], True]) for row in descending]

    def statistic(counts: np.ndarray) -> np.ndarray:
        bands = np.full((len(counts), grid.size), math.nan)
        for band, times in zip(bands, counts, strict=True):
            curves = []
            for places, turn in zip(order, turns, strict=True):
                positive = np.cumsum(times[places] * (labels[places] == 1))[turn]
                negative = np.cumsum(times[places] * (labels[places] == 0))[turn]
                if positive[-1] and negative[-1]:
                    fpr, tpr = np.r_[0, negative / negative[-1]], np.r_[0, positive / positive[-1]]
                    curves.append(np.interp(grid, fpr, tpr))
            if curves:
                band[:] = np.mean(curves, axis=0)
        return bands

    return bootstrap_interval(
        statistic, labels.size, patients=patients, samples=samples, seed=seed, level=level
    )
