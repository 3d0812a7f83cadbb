"""A classification study's tables: scores, matched pairs, thresholds, calibration, comparisons."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int
from scipy.special import expit, logit

from jxr.config import ClassificationConfig
from jxr.evaluation import reliability, threshold_at_sensitivity
from jxr.studies.binary_tasks import Examples
from jxr.studies.classification.controls_study import matched_row, pairs_of
from jxr.studies.classifiers import (
    band_row,
    classification_row,
    mean_scores,
    paired_differences,
    paired_row,
)

Rows = list[dict[str, Any]]


class Cell(NamedTuple):
    """Which classifier, and which images it meets."""

    recipe: str
    train_on: str
    test_on: str


class Answered(NamedTuple):
    """What all classifiers say to one question about some images."""

    name: str  # of the question
    chosen: Examples
    prevalence: float  # of yes among validation images
    sharpness: Float[np.ndarray, " n"]  # of the images before any blur
    # Above 0 is yes. All but the report's own are for classes that are equally frequent.
    log_odds: dict[Cell, Float64[np.ndarray, "seeds n"]]


# What readers ask a screening test for, on validation images.
SENSITIVITIES = (0.90, 0.95, 0.99)

# (train_on, test_on) of classifiers that are compared, within a recipe.
COMPARED = (
    (("original", "original"), ("blurred", "blurred")),
    (("original", "original"), ("original", "blurred")),
    (("original", "original"), ("original", "recovered")),
    (("original", "blurred"), ("original", "recovered")),
)


def identity(answered: Answered, cell: Cell) -> dict[str, Any]:
    """Returns what tells a cell's row from others."""
    return {
        "task": answered.name,
        **cell._asdict(),
        "restorer": "wiener_net" if cell.test_on == "recovered" else None,
    }


def score_rows(answered: Answered, config: ClassificationConfig) -> Rows:
    """Returns the scores of every cell, at log-odds of 0."""
    return rows_of_cells(partial(classification_row, answered.chosen), answered, config)


def matched_rows(answered: Answered, config: ClassificationConfig) -> Rows:
    """Returns the scores of every cell on pairs of images, one of each class, of one sharpness."""
    pairs = pairs_of(answered.name, answered.chosen.labels, answered.sharpness, config.caliper)
    return rows_of_cells(partial(matched_row, pairs, answered.chosen), answered, config)


def rows_of_cells(
    row: Callable[..., dict[str, Any]], answered: Answered, config: ClassificationConfig
) -> Rows:
    """Returns what `row` makes of every cell's log-odds."""
    return [
        row(
            values,
            samples=config.bootstrap_samples,
            blur=config.blur,
            seeds=list(config.seeds),
            **identity(answered, cell),
        )
        for cell, values in answered.log_odds.items()
    ]


def operating_rows(answered: Answered, validation: Answered, config: ClassificationConfig) -> Rows:
    """Returns what thresholds give that have a certain sensitivity on validation images.

    They are chosen for each seed, on images of the kind that it was trained on. Calibration keeps
    the order of the images, so that the same networks calibrated otherwise have the same rows.
    """
    rows = []
    for cell, values in answered.log_odds.items():
        if cell.recipe == "report-calibrated" or cell.recipe.endswith("-uncalibrated"):
            continue
        known = validation.log_odds[cell._replace(test_on=cell.train_on)]
        for wanted in SENSITIVITIES:
            thresholds = [
                threshold_at_sensitivity(validation.chosen.labels, row, wanted) for row in known
            ]
            scores = mean_scores(
                answered.chosen,
                values - np.array(thresholds)[:, None],
                samples=config.bootstrap_samples,
            )
            rows.append({**identity(answered, cell), "sensitivity_wanted": wanted, **scores})
    return rows


def calibration_rows(answered: Answered, config: ClassificationConfig) -> Rows:
    """Returns reliability curves: all seeds' predictions together, and the mean error of a seed.

    Beside them, the accuracy that the best threshold would give, chosen on these very images: what
    a recipe's order of the images allows, and no score of it.

    To log-odds that are for equally frequent classes, those of the classes' frequency among
    validation images are added; the report's own hold them already.
    """
    rows = []
    for cell, values in answered.log_odds.items():
        prior = 0.0 if cell.recipe == "report" else float(logit(answered.prevalence))
        probabilities = expit(values + prior)
        curve = reliability(np.tile(answered.chosen.labels, len(values)), probabilities.ravel())
        rows.append(
            {
                **identity(answered, cell),
                "ece": mean_ece(answered.chosen.labels, probabilities),
                "best_threshold_accuracy": best_threshold_accuracy(answered.chosen.labels, values),
                "prevalence": float(answered.chosen.labels.mean()),
                "assumed_prevalence": answered.prevalence,
                "predicted": curve.predicted.tolist(),
                "observed": curve.observed.tolist(),
                "count": curve.count.tolist(),
            }
        )
    return rows


def mean_ece(labels: Int[np.ndarray, " n"], probabilities: Float64[np.ndarray, "seeds n"]) -> float:
    """Returns the mean over seeds of the expected calibration error."""
    return float(np.mean([reliability(labels, one).ece for one in probabilities]))


def best_threshold_accuracy(
    labels: Int[np.ndarray, " n"], log_odds: Float[np.ndarray, "seeds n"]
) -> float:
    """Returns the most that a threshold a seed gives, the mean over seeds.

    It is no score, for these very images choose the thresholds.
    """

    def best(odds: Float[np.ndarray, " n"]) -> float:
        return max(
            ((odds >= threshold) == labels).mean() for threshold in (*np.unique(odds), np.inf)
        )

    return float(np.mean([best(odds) for odds in log_odds]))


def comparison_rows(answered: Answered, config: ClassificationConfig) -> Rows:
    """Returns how the second of two classifiers differs from the first on the same images.

    Differences of means over seeds with their paired interval, how many single decisions are the
    same, and McNemar's test of each seed.
    """
    rows = []
    for recipe in dict.fromkeys(cell.recipe for cell in answered.log_odds):
        for pair in COMPARED:
            cells = [Cell(recipe, *one) for one in pair]
            first, second = (answered.log_odds[cell] for cell in cells)
            rows.append(
                {
                    "task": answered.name,
                    "recipe": recipe,
                    "classifier_a": describe(cells[0]),
                    "classifier_b": describe(cells[1]),
                    "n": len(answered.chosen.labels),
                    **paired_differences(
                        answered.chosen, first, second, samples=config.bootstrap_samples
                    ),
                    "agreement": float(((first >= 0) == (second >= 0)).mean()),
                    "mcnemar": [
                        paired_row(answered.chosen, *one, seed=seed)
                        for seed, *one in zip(config.seeds, first, second, strict=True)
                    ],
                }
            )
    return rows


def describe(cell: Cell) -> str:
    """Returns a readable name of a classifier and the images it sees."""
    return f"{cell.train_on} -> {cell.test_on}"


def band_rows(answered: Answered, config: ClassificationConfig) -> Rows:
    """Returns the 95 % band of every cell's mean ROC curve."""
    return [
        band_row(
            answered.chosen,
            values,
            samples=config.bootstrap_samples,
            **identity(answered, cell),
        )
        for cell, values in answered.log_odds.items()
    ]


TABLES: Mapping[str, Callable[[Answered, ClassificationConfig], Rows]] = {
    "classification": score_rows,
    "matched": matched_rows,
    "calibration": calibration_rows,
    "comparisons": comparison_rows,
    "roc_band": band_rows,
}
