"""Ways to calibrate classifiers for images of another style, scored beside each other."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float64, Int
from scipy.special import expit

from jxr.config import AdaptationConfig, BlurConfig
from jxr.evaluation import Scaling, fit_unlabelled
from jxr.studies.binary_tasks import Examples
from jxr.studies.classification.study import scaling_of
from jxr.studies.classification.tables import best_threshold_accuracy, mean_ece
from jxr.studies.classifiers import classification_row, paired_differences, paired_row

AS_TRAINED = Scaling(slope=1.0, threshold=0.0)


def scored(
    config: AdaptationConfig,
    known: Float64[np.ndarray, "seeds validation"],
    known_labels: Int[np.ndarray, " validation"],
    said: Float64[np.ndarray, "seeds n"],
    met: Examples,
    identity: Mapping[str, str],
) -> dict[str, Any]:
    """Returns the rows of all ways to calibrate, and notes on what could not be.

    Args:
        config: Seeds and resampling.
        known: Log-odds of validation images of the styles that were trained on.
        known_labels: Their labels.
        said: Log-odds of the images of the style that is new.
        met: These images; labels and patients, to score by and for nothing else.
        identity: What tells the rows from others.
    """
    who = f"{identity['task']} without {identity['met']}"
    calibrated, notes = zip(
        *(
            scaling_of(f"{who}, seed {seed}", known_labels, one, np.ones(len(one)))
            for seed, one in zip(config.seeds, known, strict=True)
        ),
        strict=True,
    )
    adapted = [unlabelled(one) for one in said]
    ways = {
        "as trained": [AS_TRAINED for _ in said],
        "calibrated": calibrated,
        "without labels": [scaling or AS_TRAINED for scaling in adapted],
    }
    answers = {
        way: np.stack([scaling(one) for scaling, one in zip(scalings, said, strict=True)])
        for way, scalings in ways.items()
    }
    labels = met.labels
    table = []
    for way, odds in answers.items():
        probabilities = expit(odds)
        row = classification_row(
            met, odds, samples=config.bootstrap_samples, blur=BlurConfig(sigma=0.0),
            recipe=way, seeds=list(config.seeds), **identity,
        )  # fmt: skip
        table.append(
            row
            | {
                "ece": mean_ece(labels, probabilities),
                "prevalence": float(labels.mean()),
                "mean_probability": float(probabilities.mean()),
                "best_threshold_accuracy": best_threshold_accuracy(labels, said),
                "two_groups": sum(one is not None for one in adapted),
            }
        )
    before, after = answers["as trained"], answers["without labels"]
    comparison = {
        **identity,
        "n": len(labels),
        **paired_differences(met, before, after, samples=config.bootstrap_samples),
        "mcnemar": [
            paired_row(met, *one, seed=seed)
            for seed, *one in zip(config.seeds, before, after, strict=True)
        ],
    }
    return {
        "notes": [note for note in notes if note],
        "classification": table,
        "comparisons": [comparison],
        "few_images": few_images(config, said, labels, identity),
    }


def unlabelled(log_odds: Float64[np.ndarray, " n"]) -> Scaling | None:
    """Returns `fit_unlabelled`, or None where no two groups are to be seen."""
    try:
        return fit_unlabelled(log_odds)
    except ValueError:
        return None


def few_images(
    config: AdaptationConfig,
    said: Float64[np.ndarray, "seeds n"],
    labels: Int[np.ndarray, " n"],
    identity: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Returns the accuracy on all other images, if only some are there to calibrate by."""
    rows = []
    for count in config.images:
        if 2 * count > len(labels):
            continue
        accuracies, seen = [], 0
        for seed, odds in zip(config.seeds, said, strict=True):
            generator = np.random.default_rng(seed)
            for _ in range(config.draws):
                order = generator.permutation(len(labels))
                some, others = order[:count], order[count:]
                scaling = unlabelled(odds[some])
                seen += scaling is not None
                scaled = (scaling or AS_TRAINED)(odds[others])
                # Not `accuracy`: where a class is rare, the others may hold one only.
                accuracies.append(np.mean((scaled >= 0) == labels[others]))
        low, high = np.quantile(accuracies, (0.05, 0.95))
        rows.append(
            {
                **identity,
                "images": count,
                "accuracy": float(np.mean(accuracies)),
                "accuracy_90": [float(low), float(high)],
                "two_groups": seen / len(accuracies),
            }
        )
    return rows
