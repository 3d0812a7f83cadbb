"""Scores of a two-class classifier: accuracy, AUC, sensitivity, specificity and the ROC curve."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Integer
from sklearn.metrics import roc_curve


@dataclass(frozen=True)
class Scores:
    """What one classifier scores on one set of images.

    Attributes:
        accuracy: fraction of right decisions.
        auc: area under the ROC curve.
        sensitivity: fraction of the positive images (label 1) that are called positive.
        specificity: fraction of the negative images (label 0) that are called negative.
    """

    accuracy: float
    auc: float
    sensitivity: float
    specificity: float


def check(labels: np.ndarray, probabilities: np.ndarray) -> None:
    """Raises ValueError unless the labels are 0 and 1, both occur, and every probability is finite.

    An infinite or undefined probability means a diverged model; ranking it would hide that. NumPy
    would broadcast a column of probabilities, or compare a list of labels, without a word.
    """
    for name, values in (("labels", labels), ("probabilities", probabilities)):
        if not isinstance(values, np.ndarray):
            raise ValueError(
                f"{name} must be a NumPy array, not {type(values).__name__}: take np.asarray"
            )
    if labels.ndim != 1 or probabilities.shape[-1:] != labels.shape:
        raise ValueError(
            f"labels of shape {labels.shape} and probabilities of shape {probabilities.shape}: give"
            " one label an image, and one probability an image along the last axis"
        )
    if not np.isfinite(probabilities).all():
        raise ValueError("probabilities hold NaN or infinity; the model has diverged")
    if not np.isin(labels, (0, 1)).all():
        raise ValueError(f"labels must be 0 or 1, got {np.unique(labels)[:5]}")
    if np.unique(labels).size < 2:
        raise ValueError("labels hold only one class; evaluate on images of both classes")


def accuracy(
    labels: Integer[np.ndarray, "n"],
    probabilities: Float[np.ndarray, "*seeds n"],
    threshold: float = 0.5,
    *,
    counts: Integer[np.ndarray, "resamples n"] | None = None,
) -> Float64[np.ndarray, "..."]:
    """Fraction of images whose decision `probability >= threshold` equals the label.

    Args:
        labels: 0 or 1.
        probabilities: of class 1, in [0, 1]; one row for each seed, if any.
        threshold: the smallest probability called positive.
        counts: how often each image counts, one row for each resample of a bootstrap; once if None.

    Returns:
        One accuracy for each seed (a zero-dimensional array without seeds); with counts, a last
        axis of resamples.

    Raises:
        ValueError: a probability is not finite, or the labels are not a mix of 0 and 1.
    """
    check(labels, probabilities)
    right = (probabilities >= threshold) == (labels == 1)
    if counts is None:
        return np.asarray(right.mean(axis=-1))
    return right @ counts.T / counts.sum(axis=-1)


def auc(
    labels: Integer[np.ndarray, "n"],
    probabilities: Float[np.ndarray, "*seeds n"],
    *,
    counts: Integer[np.ndarray, "resamples n"] | None = None,
) -> Float64[np.ndarray, "..."]:
    """Area under the ROC curve: how often a positive image outranks a negative one.

    It is the Mann-Whitney statistic, where ties count one half (Hanley and McNeil 1982,
    doi:10.1148/radiology.143.1.7063747). Images are sorted once for all resamples.

    Args:
        labels: 0 or 1.
        probabilities: of class 1 (any increasing function of them gives the same AUC); one row
            for each seed, if any.
        counts: how often each image counts, one row for each resample of a bootstrap; once if None.

    Returns:
        One AUC for each seed (a zero-dimensional array without seeds); with counts, a last axis of
        resamples, NaN for those of one class only.

    Raises:
        ValueError: a probability is not finite, or the labels are not a mix of 0 and 1.
    """
    check(labels, probabilities)
    times = np.ones((1, labels.size), int) if counts is None else counts
    areas = np.empty((*probabilities.shape[:-1], len(times)))
    for seed in np.ndindex(probabilities.shape[:-1]):
        order = np.argsort(probabilities[seed], kind="stable")
        ascending, ranked = probabilities[seed][order], times[:, order]
        firsts = np.flatnonzero(np.r_[True, ascending[1:] != ascending[:-1]])  # of equal ones
        positives = np.add.reduceat(ranked * labels[order], firsts, axis=1)
        negatives = np.add.reduceat(ranked * (1 - labels[order]), firsts, axis=1)
        below = np.cumsum(negatives, axis=1) - negatives
        wins = (positives * (below + negatives / 2)).sum(axis=1)
        pairs = positives.sum(axis=1) * negatives.sum(axis=1)
        areas[seed] = np.divide(wins, pairs, out=np.full(len(times), np.nan), where=pairs > 0)
    return np.asarray(areas[..., 0]) if counts is None else areas


def score(
    labels: Integer[np.ndarray, "n"], probabilities: Float[np.ndarray, "n"], threshold: float = 0.5
) -> Scores:
    """All scores of one classifier.

    Args:
        labels: 0 or 1.
        probabilities: of class 1; or another score with a threshold of its own, such as log-odds
            with 0.
        threshold: the smallest probability called positive.

    Returns:
        The scores, as Python numbers.

    Raises:
        ValueError: a probability is not finite, or the labels are not a mix of 0 and 1.
    """
    check(labels, probabilities)
    called = probabilities >= threshold
    return Scores(
        accuracy=float(accuracy(labels, probabilities, threshold)),
        auc=float(auc(labels, probabilities)),
        sensitivity=float(called[labels == 1].mean()),
        specificity=float((~called[labels == 0]).mean()),
    )


def threshold_at_sensitivity(
    labels: Integer[np.ndarray, "n"], scores: Float[np.ndarray, "n"], sensitivity: float
) -> float:
    """The highest threshold that calls enough of the positive images positive.

    Chosen on validation images, it is an operating point: what it does on others, `score` says.

    Args:
        labels: 0 or 1.
        scores: log-odds, or another score that is higher for class 1.
        sensitivity: the fraction of positive images wanted, above 0 and at most 1.

    Returns:
        The score of one of the positive images: that image and all above it are called positive.

    Raises:
        ValueError: the sensitivity is out of range, a score is not finite, or the labels are not a
            mix of 0 and 1.
    """
    check(labels, scores)
    if not 0 < sensitivity <= 1:
        raise ValueError(f"sensitivity must be above 0 and at most 1, got {sensitivity}")
    descending = np.sort(scores[labels == 1])[::-1]
    reached = np.arange(1, descending.size + 1) / descending.size
    return float(descending[np.argmax(reached >= sensitivity)])


def roc(
    labels: Integer[np.ndarray, "n"], probabilities: Float[np.ndarray, "n"]
) -> tuple[
    Float64[np.ndarray, "points"], Float64[np.ndarray, "points"], Float64[np.ndarray, "points"]
]:
    """The ROC curve, without the points that lie on a straight line between others.

    Args:
        labels: 0 or 1.
        probabilities: of class 1, or an increasing function of them, such as log-odds.

    Returns:
        False positive rates and true positive rates, from (0, 0) to (1, 1), and the threshold of
        each point; the first threshold is infinite.

    Raises:
        ValueError: a probability is not finite, or the labels are not a mix of 0 and 1.
    """
    check(labels, probabilities)
    fpr, tpr, thresholds = roc_curve(labels, probabilities.astype(np.float64))
    return fpr.astype(np.float64), tpr.astype(np.float64), thresholds
