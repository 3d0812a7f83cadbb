"""Weights under which a nuisance, such as the style of acquisition, tells nothing of the class.

Overlap weights (Li, Morgan and Zaslavsky 2018, doi:10.1080/01621459.2016.1260466): where a model
gives an image the probability e of being positive by its nuisance alone, a positive image counts
1 - e and a negative one e. If the model is right, the weighted classes have the same distribution
of the nuisance; images that look like the other class count most. Under a shift of the nuisance
between training and use, it is they that tell how a classifier will do.
"""

import numpy as np
from jaxtyping import Float, Float64, Integer, Shaped
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FOLDS = 5
STRENGTH = 0.1  # scikit-learn's C


def overlap_weights(
    labels: Integer[np.ndarray, " n"],
    nuisance: Float[np.ndarray, "n features"],
    groups: Shaped[np.ndarray, " n"],
) -> Float64[np.ndarray, " n"]:
    """Returns a weight for each image; those of a class sum to 1/2.

    The probabilities are those of a logistic regression that has not seen the image's group.

    Args:
        labels: 0 or 1.
        nuisance: what shall tell nothing.
        groups: of images that belong together, such as a patient's.

    Raises:
        ValueError: see `check_folds`.
    """
    check_folds(labels, groups)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=10_000))
    propensity = cross_val_predict(
        model, nuisance, labels, groups=groups, cv=GroupKFold(FOLDS), method="predict_proba"
    )[:, 1]
    weights = np.where(labels == 1, 1 - propensity, propensity)
    return equal_classes(labels, weights)


def check_folds(labels: Integer[np.ndarray, " n"], groups: Shaped[np.ndarray, " n"]) -> None:
    """Raises ValueError if there are less than five groups, or four fifths of them lack a class."""
    if len(np.unique(groups)) < FOLDS:
        raise ValueError(f"images are of {len(np.unique(groups))} patients: {FOLDS} are needed")
    for known, _ in GroupKFold(FOLDS).split(labels, groups=groups):
        if len(np.unique(labels[known])) < 2:
            raise ValueError("images of one class are of too few patients")


def equal_classes(
    labels: Integer[np.ndarray, " n"], weights: Float[np.ndarray, " n"] | None = None
) -> Float64[np.ndarray, " n"]:
    """Returns the weights (ones if None), scaled so that those of each class sum to 1/2."""
    result = np.ones(len(labels)) if weights is None else weights.astype(np.float64)
    for label in (0, 1):
        result = np.where(labels == label, result / (2 * result[labels == label].sum()), result)
    return result
