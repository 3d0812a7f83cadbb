"""Heads on frozen features: training, prediction, scores."""

import dataclasses
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from jxr.config import BlurConfig, HeadConfig, WeightsConfig
from jxr.data import batches
from jxr.evaluation import (
    accuracy,
    auc,
    mcnemar,
    paired_difference,
    roc,
    roc_band,
    score,
    seed_mean_interval,
)
from jxr.evaluation.intervals import Metric
from jxr.files import write_arrays
from jxr.models import abstract, apply
from jxr.studies.binary_tasks import Examples
from jxr.studies.dataset import Dataset
from jxr.studies.restorers import in_batches, setting_of
from jxr.training.checkpoints import load_params
from jxr.training.launch import PLAIN, Launch
from jxr.training.loop import fit
from jxr.training.processes import this_part
from jxr.training.tasks import build_head, classifier_task

# By name, of log-odds: those of 0 are called positive.
METRICS: dict[str, Metric] = {"accuracy": partial(accuracy, threshold=0.0), "auc": auc}


def head_recipe(config: HeadConfig, weights: WeightsConfig) -> str:
    """Returns `report` for the report's protocol, and else what marks this one.

    How memory is saved and how often there are a line and a checkpoint changes no result and is
    not part of it.
    """
    schedule, usual = config.schedule, HeadConfig().schedule
    kept = ("accumulate", "log_every", "checkpoint_every")
    same = dataclasses.replace(schedule, **{name: getattr(usual, name) for name in kept})
    if dataclasses.replace(config, schedule=same) == HeadConfig() and weights.kind == "imagenet":
        return "report"
    hidden = "-".join(map(str, config.hidden)) or "linear"
    recipe = f"{weights.kind}-head{hidden}-dropout{config.dropout:g}-epochs{schedule.epochs}"
    return f"{recipe}-bfloat16" if schedule.precision == "bfloat16" else recipe


def train_head(
    config: HeadConfig,
    features: Float[np.ndarray, "n features"],
    chosen: Examples,
    *,
    seed: int,
    directory: Path,
    title: str,
    launch: Launch = PLAIN,
) -> Any:
    """Trains a head on rows of the cached features, or goes on with it; returns its parameters."""
    iterator = batches(
        {"features": features, "label": label_column(chosen, len(features))},
        rows=chosen.rows,
        batch_size=config.schedule.batch_size,
        seed=seed,
        part=this_part(),
    )
    return fit(
        classifier_task(config, features.shape[1]),
        iterator,
        schedule=config.schedule,
        steps=config.schedule.steps(len(chosen.rows)),
        seed=seed,
        directory=directory,
        title=title,
        launch=launch,
    )


def label_column(chosen: Examples, length: int) -> Int[np.ndarray, " n"]:
    """Returns the labels of the examples at their rows, among so many; elsewhere -1."""
    labels = np.full(length, -1, np.int32)
    labels[chosen.rows] = chosen.labels
    return labels


def load_head(config: HeadConfig, in_features: int, directory: Path) -> Any:
    """Returns the parameters of the head that was trained in `directory`.

    Raises:
        UserError: there is no checkpoint, or it is of another head.
    """
    _, template = abstract(build_head(config, in_features))
    return load_params(directory / "checkpoints", template)


def predict(
    config: HeadConfig, params: Any, features: Float[np.ndarray, "n features"]
) -> Float[np.ndarray, " n"]:
    """Returns the log-odds of the positive class for each image, float64.

    Not the probability: far from the boundary it rounds to 1, and images that the head tells apart
    would be tied in the ROC curve.
    """
    graphdef, _ = abstract(build_head(config, features.shape[1]))
    pairs = in_batches(lambda batch: _logits(graphdef, params, batch), features).astype(np.float64)
    return pairs[:, 1] - pairs[:, 0]


@partial(jax.jit, static_argnums=0)
def _logits(graphdef: Any, params: Any, features: Array) -> Array:
    return apply(graphdef, params, features)


def keep_predictions(
    path: Path, dataset: Dataset, chosen: Examples, log_odds: Mapping[str, np.ndarray]
) -> None:
    """Writes what classifiers say of images, beside their paths and labels, as `.npz`.

    Scores and intervals can be had anew of it, without any network.

    Args:
        path: of the file; its folder is made if need be.
        dataset: the images.
        chosen: those that the classifiers met.
        log_odds: of class 1 by classifier, the last axis that of the images.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    paths = np.array([dataset.records[row].path for row in chosen.rows])
    write_arrays(path, {**log_odds, "paths": paths, "labels": chosen.labels})


def classification_row(
    chosen: Examples,
    log_odds: Float[np.ndarray, "seeds n"],
    *,
    samples: int,
    blur: BlurConfig,
    **identity: Any,
) -> dict[str, Any]:
    """Returns one row of the classification table: means over seeds, intervals over patients."""
    return {
        **identity,
        **setting_of(blur),
        "n": len(chosen.labels),
        "patients": len(np.unique(chosen.patients)),
        **mean_scores(chosen, log_odds, samples=samples),
        "auc_ci95": interval(chosen, log_odds, auc, samples=samples),
    }


def interval(
    chosen: Examples, log_odds: Float[np.ndarray, "seeds n"], metric: Metric, *, samples: int
) -> list[float]:
    """Returns the two ends of the interval of a mean over seeds, over patients."""
    return list(
        seed_mean_interval(
            chosen.labels, log_odds, metric, patients=chosen.patients, samples=samples
        )
    )


def mean_scores(
    chosen: Examples, log_odds: Float[np.ndarray, "seeds n"], *, samples: int
) -> dict[str, Any]:
    """Returns means over seeds of the scores at log-odds of 0, and the accuracy's interval."""
    scores = [score(chosen.labels, row, threshold=0.0) for row in log_odds]
    names = ("accuracy", "auc", "sensitivity", "specificity")
    return {
        **{name: float(np.mean([getattr(one, name) for one in scores])) for name in names},
        "accuracy_ci95": interval(chosen, log_odds, METRICS["accuracy"], samples=samples),
    }


def roc_row(
    labels: Int[np.ndarray, " n"], log_odds: Float[np.ndarray, " n"], **identity: Any
) -> dict[str, Any]:
    """Returns the ROC curve of one classifier on one set of images."""
    false_positive, true_positive, _ = roc(labels, log_odds)
    return {**identity, "fpr": false_positive.tolist(), "tpr": true_positive.tolist()}


def band_row(
    chosen: Examples,
    log_odds: Float[np.ndarray, "seeds n"],
    *,
    samples: int,
    **identity: Any,
) -> dict[str, Any]:
    """Returns the 95 % band of the mean ROC curve over seeds, over patients."""
    grid = np.linspace(0, 1, 101)
    low, high = roc_band(chosen.labels, log_odds, grid, patients=chosen.patients, samples=samples)
    return {**identity, "fpr": grid.tolist(), "tpr_ci95": [low.tolist(), high.tolist()]}


def paired_differences(
    chosen: Examples,
    first: Float[np.ndarray, "seeds n"],
    second: Float[np.ndarray, "seeds n"],
    *,
    samples: int,
) -> dict[str, Any]:
    """Returns by how much the second classifier's mean accuracy and AUC are above the first's."""
    row: dict[str, Any] = {}
    for name, metric in METRICS.items():
        found = paired_difference(
            chosen.labels, first, second, metric, patients=chosen.patients, samples=samples
        )
        row |= {f"{name}_difference": found.mean}
        row |= {f"{name}_difference_ci95": [found.low, found.high]}
    return row


def paired_row(
    chosen: Examples,
    first: Float[np.ndarray, " n"],
    second: Float[np.ndarray, " n"],
    **identity: Any,
) -> dict[str, Any]:
    """Returns McNemar's test by patients between two classifiers' decisions, by their log-odds."""
    yes = chosen.labels == 1
    test = mcnemar((first >= 0) == yes, (second >= 0) == yes, chosen.patients)
    return {**identity, "b": test.b, "c": test.c, "p_value": test.p_value, "n": len(chosen.labels)}
