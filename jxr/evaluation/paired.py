"""McNemar's exact test: do two classifiers differ on the same images?"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool
from scipy.stats import binom


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


def mcnemar(correct_a: Bool[np.ndarray, "n"], correct_b: Bool[np.ndarray, "n"]) -> McNemar:
    """Exact test that two classifiers are right equally often (McNemar 1947).

    Images that both get right or both get wrong say nothing about the difference. If there is
    none, each of the b + c others is a fair coin: b is binomial with p = 1/2 (the exact form of
    doi:10.1007/BF02295996, which also holds for few discordant images).

    Args:
        correct_a: whether the first classifier is right, image by image.
        correct_b: the same of the second, on the same images in the same order.

    Returns:
        The counts and the p value; the p value is 1 if no image tells the two apart.
    """
    b = int((correct_a & ~correct_b).sum())
    c = int((correct_b & ~correct_a).sum())
    # Twice the smaller tail counts the middle term twice if b == c: hence the limit of 1.
    p_value = min(1.0, 2 * float(binom.cdf(min(b, c), b + c, 0.5)))
    return McNemar(b=b, c=c, p_value=p_value)
