"""Heads on frozen features: which images a task has, training, prediction, scores."""

from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from flax import nnx
from jaxtyping import Float, Int

from jxr.config import BlurConfig, HeadConfig, WeightsConfig
from jxr.data import Record, batches
from jxr.errors import UserError
from jxr.evaluation import accuracy, auc, mcnemar, roc, score, seed_mean_interval
from jxr.models import apply, split
from jxr.studies.restorers import in_batches
from jxr.training.checkpoints import load_params
from jxr.training.loop import fit
from jxr.training.tasks import build_head, classifier_task

TaskName = Literal["normal_vs_pneumonia", "bacterial_vs_viral"]
TASKS: tuple[TaskName, ...] = ("normal_vs_pneumonia", "bacterial_vs_viral")

# The positive class is pneumonia in the first task and viral pneumonia in the second.
POSITIVE: dict[TaskName, dict[str, int]] = {
    "normal_vs_pneumonia": {"normal": 0, "bacteria": 1, "virus": 1},
    "bacterial_vs_viral": {"bacteria": 0, "virus": 1},
}


class Examples(NamedTuple):
    """The images of one task in one part of the data: rows of the data set, and labels 0 or 1."""

    rows: Int[np.ndarray, " n"]
    labels: Int[np.ndarray, " n"]


def examples(
    task: TaskName, records: tuple[Record, ...], part: Int[np.ndarray, " part"]
) -> Examples:
    """Returns those rows of `part` that the task is about.

    Raises:
        UserError: one of the two classes is empty.
    """
    classes = POSITIVE[task]
    rows = np.array([row for row in part if records[row].label in classes], np.int64)
    labels = np.array([classes[records[row].label] for row in rows], np.int32)
    if len(set(labels.tolist())) < 2:
        raise UserError(f"{task}: one of the two classes has no images in this part of the data")
    return Examples(rows, labels)


def head_recipe(config: HeadConfig, weights: WeightsConfig) -> str:
    """Returns `report` for the report's protocol, and else what marks this one."""
    if config == HeadConfig() and weights.kind == "imagenet":
        return "report"
    hidden = "-".join(map(str, config.hidden))
    return f"{weights.kind}-head{hidden}-dropout{config.dropout:g}-epochs{config.schedule.epochs}"


def train_head(
    config: HeadConfig,
    features: Float[np.ndarray, "n features"],
    chosen: Examples,
    *,
    seed: int,
    directory: Path,
    title: str,
) -> Any:
    """Trains a head on rows of the cached features, or goes on with it; returns its parameters."""
    steps = config.schedule.epochs * len(chosen.rows) // config.schedule.batch_size
    labels = np.full(len(features), -1, np.int32)
    labels[chosen.rows] = chosen.labels
    iterator = batches(
        {"features": features, "label": labels},
        rows=chosen.rows,
        batch_size=config.schedule.batch_size,
        seed=seed,
    )
    return fit(
        classifier_task(config, features.shape[1]),
        iterator,
        schedule=config.schedule,
        steps=steps,
        seed=seed,
        directory=directory,
        title=title,
    )


def load_head(config: HeadConfig, in_features: int, directory: Path) -> Any:
    """Returns the parameters of the head that was trained in `directory`.

    Raises:
        UserError: there is no checkpoint, or it is of another head.
    """
    build = build_head(config, in_features)
    template = jax.eval_shape(lambda: split(build(jax.random.key(0)))[1])
    return load_params(directory / "checkpoints", template)


def predict(
    config: HeadConfig, params: Any, features: Float[np.ndarray, "n features"]
) -> Float[np.ndarray, " n"]:
    """Returns the log-odds of the positive class for each image, float64.

    Not the probability: far from the boundary it rounds to 1, and images that the head tells apart
    would be tied in the ROC curve.
    """
    build = build_head(config, features.shape[1])
    graphdef, _ = split(nnx.eval_shape(lambda: build(jax.random.key(0))))
    logits = jax.jit(lambda params, batch: apply(graphdef, params, batch))
    pairs = in_batches(lambda batch: logits(params, batch), features).astype(np.float64)
    return pairs[:, 1] - pairs[:, 0]


def classification_row(
    labels: Int[np.ndarray, " n"],
    log_odds: Float[np.ndarray, "seeds n"],
    *,
    samples: int,
    blur: BlurConfig,
    **identity: Any,
) -> dict[str, Any]:
    """Returns one row of the classification table: means over seeds, intervals over images."""
    scores = [score(labels, row, threshold=0.0) for row in log_odds]
    decided = partial(accuracy, threshold=0.0)

    def mean(name: str) -> float:
        return float(np.mean([getattr(one, name) for one in scores]))

    return {
        **identity,
        "sigma": blur.sigma,
        "convention": blur.convention,
        "noise": blur.noise,
        "input_precision": blur.input_precision,
        "n": len(labels),
        **{name: mean(name) for name in ("accuracy", "auc", "sensitivity", "specificity")},
        "accuracy_ci95": list(seed_mean_interval(labels, log_odds, decided, samples=samples)),
        "auc_ci95": list(seed_mean_interval(labels, log_odds, auc, samples=samples)),
    }


def roc_row(
    labels: Int[np.ndarray, " n"], log_odds: Float[np.ndarray, " n"], **identity: Any
) -> dict[str, Any]:
    """Returns the ROC curve of one classifier on one set of images."""
    false_positive, true_positive, _ = roc(labels, log_odds)
    return {**identity, "fpr": false_positive.tolist(), "tpr": true_positive.tolist()}


def paired_row(
    labels: Int[np.ndarray, " n"],
    first: Float[np.ndarray, " n"],
    second: Float[np.ndarray, " n"],
    **identity: Any,
) -> dict[str, Any]:
    """Returns McNemar's test between two classifiers' decisions, by their log-odds."""
    test = mcnemar((first >= 0) == labels, (second >= 0) == labels)
    return {**identity, "b": test.b, "c": test.c, "p_value": test.p_value, "n": len(labels)}
