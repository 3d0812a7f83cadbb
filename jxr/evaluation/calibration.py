"""Are probabilities what they say? Reliability, temperature, and a threshold without labels."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Integer
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture

from jxr.evaluation.classification import check

FEWEST = 10  # log-odds that two groups can be told from


@dataclass(frozen=True)
class Reliability:
    """Predictions by bins of their probability; empty bins are left out.

    Attributes:
        predicted: mean probability of class 1 in each bin.
        observed: fraction of class 1 in each bin.
        count: images in each bin.
        ece: expected calibration error, the mean of |predicted - observed| over images.
    """

    predicted: Float64[np.ndarray, " bins"]
    observed: Float64[np.ndarray, " bins"]
    count: Integer[np.ndarray, " bins"]
    ece: float


@dataclass(frozen=True)
class Scaling:
    """How log-odds are turned into calibrated ones: `slope * (log_odds - threshold)`.

    Attributes:
        slope: one over the temperature.
        threshold: log-odds that stand for a probability of one half.
    """

    slope: float
    threshold: float

    def __call__(self, log_odds: Float[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
        """Returns calibrated log-odds."""
        return self.slope * (log_odds.astype(np.float64) - self.threshold)


def reliability(
    labels: Integer[np.ndarray, " n"], probabilities: Float[np.ndarray, " n"], *, bins: int = 15
) -> Reliability:
    """Sorts predictions into bins of equal width (Guo et al. 2017, https://arxiv.org/abs/1706.04599).

    Unlike there, a bin holds probabilities of class 1, not of the predicted class, so that a shift
    towards one class shows.

    Args:
        labels: 0 or 1.
        probabilities: of class 1, in [0, 1].
        bins: number of bins from 0 to 1.

    Raises:
        ValueError: a probability is not within [0, 1], or the labels are not a mix of 0 and 1.
    """
    check(labels, probabilities)
    if probabilities.min() < 0 or probabilities.max() > 1:
        raise ValueError(f"probabilities from {probabilities.min()} to {probabilities.max()}")
    places = np.minimum((probabilities * bins).astype(int), bins - 1)
    count = np.bincount(places, minlength=bins)
    filled = count > 0
    predicted, observed = (
        np.bincount(places, weights=values, minlength=bins)[filled] / count[filled]
        for values in (probabilities.astype(np.float64), labels)
    )
    count = count[filled]
    ece = float(np.average(np.abs(predicted - observed), weights=count))
    return Reliability(predicted=predicted, observed=observed, count=count, ece=ece)


def fit_scaling(
    labels: Integer[np.ndarray, " n"],
    log_odds: Float[np.ndarray, " n"],
    weights: Float[np.ndarray, " n"] | None = None,
) -> Scaling:
    """Finds the slope and the threshold of the least log loss (temperature scaling with an offset).

    As Platt proposed (1999, "Probabilistic outputs for support vector machines"), each label is
    taken as uncertain by one image in N + 2, so that classes that do not overlap give no infinite
    slope. With weights that give both classes the same sum, the threshold belongs to equal classes.

    Args:
        labels: 0 or 1.
        log_odds: of class 1.
        weights: of the images; equal ones if None.

    Raises:
        ValueError: log-odds are not finite or all the same, the labels are not a mix of 0 and 1, or
            the log-odds do not rise with the label, so that no positive slope helps.
    """
    check(labels, log_odds)
    # In standard units, so that the optimiser meets the same problem whatever the scale.
    centre, scale = log_odds.astype(np.float64).mean(), log_odds.astype(np.float64).std()
    if not np.ptp(log_odds):
        raise ValueError("the log-odds are all the same: nothing to calibrate")
    standard = ((log_odds - centre) / scale)[:, None]
    shares = np.ones(len(labels)) if weights is None else weights / weights.mean()
    counts = np.bincount(labels, minlength=2)
    certain = (counts[labels] + 1) / (counts[labels] + 2)
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-8)
    model.fit(
        np.concatenate([standard, standard]),
        np.concatenate([labels, 1 - labels]),
        np.concatenate([shares * certain, shares * (1 - certain)]),
    )
    slope, offset = float(model.coef_[0, 0]), float(model.intercept_[0])
    if slope <= 0:
        raise ValueError("the log-odds do not rise with the label: nothing to calibrate")
    return Scaling(slope=slope / scale, threshold=centre - scale * offset / slope)


def fit_unlabelled(log_odds: Float[np.ndarray, " n"]) -> Scaling:
    """Finds slope and threshold by images whose labels nobody knows, such as another hospital's.

    The log-odds are taken as a mixture of two normal distributions of one variance, fitted with the
    share of each by expectation maximisation. The posterior log-odds of the upper one are then
    linear in them, so that the order of the images stays (linear discriminant analysis): with means
    a < b, variance v and share p of the upper one, the slope is (b - a) / v, the threshold
    (a + b) / 2 - log(p / (1 - p)) / slope. What the two groups are is not known either: the upper
    one is taken for class 1. Where a classifier does not separate the classes, a tail may be taken
    for a group, and the accuracy falls far: try it on labelled images of another style first.

    Args:
        log_odds: of class 1, of images as they come, both classes among them.

    Raises:
        ValueError: there are fewer than 10, they are not finite or all the same, or the means are
            within two standard deviations, where a mixture has a single peak (Behboodian 1970, "On
            the modes of a mixture of two normal distributions", Technometrics 12).
    """
    values = log_odds.astype(np.float64)
    if len(values) < FEWEST or not np.isfinite(values).all():
        raise ValueError(f"{len(values)} log-odds: two groups need {FEWEST} finite ones or more")
    centre, scale = values.mean(), values.std()
    if not np.ptp(values):
        raise ValueError("the log-odds are all the same: no two groups are to be seen")
    # A small tolerance: from the equal halves of uneven groups, the first steps gain little.
    model = GaussianMixture(2, covariance_type="tied", tol=1e-7, max_iter=10_000, random_state=0)
    model.fit(((values - centre) / scale)[:, None])
    low, high = np.argsort(model.means_[:, 0])
    a, b = model.means_[[low, high], 0]
    variance = float(model.covariances_[0, 0])
    if b - a <= 2 * np.sqrt(variance):
        raise ValueError("the log-odds have a single peak: no two groups are to be seen")
    slope = (b - a) / variance
    prior = np.log(model.weights_[high] / model.weights_[low])
    return Scaling(slope=slope / scale, threshold=centre + scale * ((a + b) / 2 - prior / slope))
