"""Scores on pairs of images, one of each class, that are alike in a nuisance such as sharpness.

A nuisance that differs between the classes can be what a classifier has learned. Among pairs that
are alike in it, it can no longer tell the classes apart.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float64, Int, Integer, Shaped

from jxr.evaluation.classification import auc, check, score
from jxr.evaluation.intervals import Metric, seed_mean_interval


@dataclass(frozen=True)
class Pairs:
    """Pairs of a negative and a positive image; no image is in two of them.

    Attributes:
        negative: place of each pair's image with label 0.
        positive: place of each pair's image with label 1.
        smd_before: standardised mean difference of the nuisance, class 1 less class 0: the
            difference of the means over the root of the mean variance of the two classes.
        smd_after: the same of the pairs, in the same unit (that of all images), so that fewer
            images alone do not change it.
    """

    negative: Int[np.ndarray, " pairs"]
    positive: Int[np.ndarray, " pairs"]
    smd_before: float
    smd_after: float


def match_pairs(
    labels: Integer[np.ndarray, " n"], nuisance: Float[np.ndarray, " n"], caliper: float
) -> Pairs:
    """Matches images of the two classes, one to one, by a single number of each.

    Nearest neighbours without replacement: of all pairs that are still possible, the closest is
    taken first, and of equally close ones that of the images which come first. Images without a
    partner within the caliper are left out (Austin 2014, doi:10.1002/sim.6004).

    Args:
        labels: 0 or 1.
        nuisance: the number in which the two of a pair shall be alike.
        caliper: largest difference of a pair, in units of the nuisance's standard deviation (the
            root of the mean variance of the two classes).

    Returns:
        The pairs, closest first.

    Raises:
        ValueError: no two images are within the caliper, a number is not finite, or the labels are
            not a mix of 0 and 1.
    """
    check(labels, nuisance)
    negatives, positives = np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)
    low, high = nuisance[negatives].astype(np.float64), nuisance[positives].astype(np.float64)
    unit = np.sqrt((low.var() + high.var()) / 2) or 1.0  # all alike: any unit will do
    distance = np.abs(low[:, None] - high) / unit
    order = np.argsort(distance, axis=None, kind="stable")
    close = order[distance.ravel()[order] <= caliper]
    free = np.ones(len(low), bool), np.ones(len(high), bool)
    chosen = []
    for i, j in zip(*np.unravel_index(close, distance.shape), strict=True):
        if free[0][i] and free[1][j]:
            free[0][i] = free[1][j] = False
            chosen.append((i, j))
    if not chosen:
        raise ValueError(f"no two images of different classes are within a caliper of {caliper:g}")
    first, second = np.array(chosen).T
    return Pairs(
        negative=negatives[first],
        positive=positives[second],
        smd_before=float((high.mean() - low.mean()) / unit),
        smd_after=float((high[second].mean() - low[first].mean()) / unit),
    )


def matched_scores(
    pairs: Pairs,
    log_odds: Float[np.ndarray, "seeds n"],
    *,
    patients: Shaped[np.ndarray, "n"] | None = None,
    samples: int = 2000,
) -> dict[str, Any]:
    """The scores of a classifier on matched images, as they stand in results.json.

    Args:
        pairs: of `match_pairs`, places among the n images.
        log_odds: of class 1, one row for each training seed; 0 or more is called positive.
        patients: whose each of the n images is; None: no two are of one patient.
        samples: number of resamples of the bootstrap. It draws patients, with those of their images
            that have partners, and does not keep pairs together: a patient's images may have
            partners of several patients. But the classes weigh the same in each, as they do here.
            It does not match anew: what other pairs would have been found is not in the interval.

    Returns:
        `n`, the number of images in pairs; `accuracy`, `auc`, `sensitivity` and `specificity`,
        means over seeds; `accuracy_ci95` and `auc_ci95`, for other patients. Half of the
        images are positive, whatever their part among all, so that the accuracy is not comparable
        with that of all images; sensitivity, specificity and AUC are.

    Raises:
        ValueError: a score is not finite.
    """
    labels = np.repeat([0, 1], len(pairs.negative))
    places = np.concatenate([pairs.negative, pairs.positive])
    both = log_odds[:, places]
    owners = None if patients is None else patients[places]
    scores = [score(labels, row, threshold=0.0) for row in both]

    def interval(metric: Metric) -> list[float]:
        return list(seed_mean_interval(labels, both, metric, patients=owners, samples=samples))

    return {
        "n": len(labels),
        **{
            name: float(np.mean([getattr(one, name) for one in scores]))
            for name in ("accuracy", "auc", "sensitivity", "specificity")
        },
        "accuracy_ci95": interval(balanced_accuracy),
        "auc_ci95": interval(auc),
    }


def balanced_accuracy(
    labels: Integer[np.ndarray, " n"],
    log_odds: Float[np.ndarray, "seeds n"],
    *,
    counts: Integer[np.ndarray, "resamples n"],
) -> Float64[np.ndarray, "seeds resamples"]:
    """Returns the mean of sensitivity and specificity at log-odds of 0, a `Metric`.

    It is the accuracy where the classes are equally frequent; a class without images counts as 0.
    """
    right = (log_odds >= 0) == (labels == 1)
    shares = []
    for of_class in (labels, 1 - labels):
        times = counts * of_class
        shares.append(right @ times.T / np.maximum(times.sum(axis=1), 1))
    return np.mean(shares, axis=0)
