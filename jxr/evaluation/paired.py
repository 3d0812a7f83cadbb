"""Do two classifiers differ on the same images? McNemar's exact test, the paired bootstrap."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer, Shaped

from jxr.evaluation.intervals import Metric, bootstrap_interval, check_rows, owners, seed_means


@dataclass(frozen=True)
class McNemar:
    """Outcome of the test.

    Attributes:
        b: number of images that only the first classifier gets right.
        c: number of images that only the second classifier gets right.
        p_value: two-sided, exact.
    """

    b: int
    c: int
    p_value: float


def mcnemar(
    correct_a: Bool[np.ndarray, "n"],
    correct_b: Bool[np.ndarray, "n"],
    patients: Shaped[np.ndarray, "n"] | None = None,
) -> McNemar:
    """Exact test that two classifiers are right equally often (McNemar 1947), by patients.

    Images that both get right or both get wrong say nothing about the difference. If there is
    none, a patient's others are as likely to speak for the one classifier as for the other: each
    patient's b - c has a fair coin for its sign, and the p value is how often the sum of all is at
    least as far from 0 as what was seen. For patients of one image each this is McNemar's exact
    test, b binomial with p = 1/2 (doi:10.1007/BF02295996), which takes a patient's images for
    independent and so finds too much.

    Args:
        correct_a: whether the first classifier is right, image by image.
        correct_b: the same of the second, on the same images in the same order.
        patients: whose each image is, in any code; None: no two are of one patient.

    Returns:
        The counts and the p value; the p value is 1 if no image tells the two apart.

    Raises:
        ValueError: the two are not of the same images, or the patients not as many or some missing.
    """
    if correct_a.ndim != 1 or correct_a.shape != correct_b.shape:
        raise ValueError(
            f"correct_a and correct_b must have one answer an image each, not the shapes"
            f" {correct_a.shape} and {correct_b.shape}"
        )
    difference = correct_a.astype(int) - correct_b
    owner = owners(difference.size, patients)
    sizes = np.abs(np.bincount(owner, difference).astype(int))
    probability = np.ones(1)  # of each sum of signed sizes, the sum 0 in the middle
    for size in sizes[sizes > 0]:
        aside = np.zeros(2 * size)
        probability = (np.append(probability, aside) + np.append(aside, probability)) / 2
    sums = np.arange(probability.size) - probability.size // 2
    return McNemar(
        b=int((difference > 0).sum()),
        c=int((difference < 0).sum()),
        p_value=min(1.0, float(probability[np.abs(sums) >= abs(difference.sum())].sum())),
    )


@dataclass(frozen=True)
class Difference:
    """How much the second classifier scores above the first, with its interval.

    Attributes:
        mean: difference of the means over training seeds.
        low: lower end of the interval.
        high: upper end.
    """

    mean: float
    low: float
    high: float


def paired_difference(
    labels: Integer[np.ndarray, "n"],
    first: Float[np.ndarray, "seeds n"],
    second: Float[np.ndarray, "seeds n"],
    metric: Metric,
    *,
    patients: Shaped[np.ndarray, "n"] | None = None,
    samples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Difference:
    """Paired bootstrap of the difference of a metric: both classifiers meet the same resamples.

    What makes images easy or hard for both drops out, so that of classifiers that are alike the
    interval is narrower than that of either score (of unlike ones it can be wider). It speaks of
    other test patients, not of other training seeds.

    Args:
        labels: 0 or 1.
        first: log-odds or probabilities, one row for each seed.
        second: the same of the other classifier, on the same images.
        metric: `accuracy` or `auc`, or alike.
        patients: whose each image is; None: no two are of one patient.
        samples: number of resamples; those with one class only are drawn anew.
        seed: of the bootstrap.
        level: the coverage aimed at, between 0 and 1.

    Raises:
        ValueError: a score is not finite, or the labels are not a mix of 0 and 1.
    """
    for scores in (first, second):
        check_rows(labels, scores)

    def difference(counts: np.ndarray) -> np.ndarray:
        better = seed_means(metric, labels, second, counts)
        return better - seed_means(metric, labels, first, counts)

    low, high = bootstrap_interval(
        difference, labels.size, patients=patients, samples=samples, seed=seed, level=level
    )
    once = np.ones((1, labels.size), int)
    return Difference(mean=float(difference(once)[0]), low=float(low), high=float(high))
