"""The heads of a run, and the calibration of their log-odds on the run's own validation images.

It is fitted once, on the images as they are, not blurred, and kept in the run directory, so that
later calls need neither data set nor cache.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging
from jaxtyping import Float64, Int
from scipy.special import log_expit

from jxr.config import ClassifierRun, ReproduceConfig
from jxr.errors import UserError
from jxr.evaluation import fit_scaling
from jxr.files import write_json
from jxr.models.functional import params_fingerprint
from jxr.provenance import provenance
from jxr.studies.binary_tasks import binary_task, examples
from jxr.studies.classifiers import load_head, predict
from jxr.studies.dataset import Dataset, load_dataset
from jxr.studies.features import Backbone, dataset_features, feature_count
from jxr.studies.reproduction.classification_stage import head_name
from jxr.studies.reproduction.reproduce import binary_tasks
from jxr.studies.workdir import check_finished, claim

FILE = "calibration.json"

Config = ClassifierRun | ReproduceConfig


def load_heads(workdir: Path, config: Config, task: str) -> tuple[Any, ...]:
    """Returns the parameters of a task's heads; of the report's, all seeds on original images.

    Raises:
        UserError: there is no checkpoint, or it is of another head.
    """
    if isinstance(config, ReproduceConfig):
        folders = [workdir / head_name(task, "original", seed) for seed in config.seeds]
    else:
        folders = [workdir]
    features = feature_count(config.data.size)
    return tuple(load_head(config.head, features, folder) for folder in folders)


def read_calibration(workdir: Path) -> dict[str, Any] | None:
    """Returns what calibration.json holds, or None if there is none.

    Raises:
        UserError: it is damaged.
    """
    path = workdir / FILE
    if not path.exists():
        return None
    try:
        kept = json.loads(path.read_text())
        for task in kept["tasks"]:
            numbers = [task[key] for key in ("slope", "threshold", "images", "positives")]
            if not (np.isfinite(numbers).all() and task["heads"] and "_vs_" in task["task"]):
                raise ValueError("impossible values")
        return kept
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: damaged ({error}): delete it, and it is fitted again from the run's images"
        ) from error


def calibrate(
    workdir: Path,
    config: Config,
    fingerprints: dict[str, str],
    backbone: Backbone,
    cache: Path,
) -> dict[str, Any]:
    """Fits the calibration and keeps it in the run directory.

    Args:
        workdir: The run directory; gets calibration.json.
        config: Of the run.
        fingerprints: Of the run.
        backbone: the run's weights.
        cache: Folder of decoded images and features.

    Returns:
        What the file holds.

    Raises:
        UserError: the run's images are gone or others; it is not finished; or a task's log-odds do
            not rise with the label, so that there is nothing to calibrate.
    """
    logging.info("%s: calibrated once, on the run's validation images", workdir)
    try:
        dataset = load_dataset(config.data, cache)
    except UserError as error:
        raise UserError(
            f"{workdir}: its images are needed once, to calibrate it: {error}; or give their place"
            " by --data_path"
        ) from error
    claim(workdir, config, **(fingerprints | {"data": dataset.fingerprint}))
    if isinstance(config, ReproduceConfig):
        names = [task.name for task in binary_tasks(config, dataset)]
    else:
        names = [config.task]
        chosen = examples(binary_task(config.task, dataset.records), dataset.records, dataset.train)
        check_finished(workdir, config.head.schedule.steps(len(chosen.rows)), "train_classifier")
    features = dataset_features(backbone, dataset, cache, blur=None)
    kept = {
        "fitted_on": "the run's validation images, as they are",
        "tasks": [fitted(workdir, config, name, dataset, features) for name in names],
        "provenance": provenance(config, **fingerprints),
    }
    write_json(workdir / FILE, kept)
    return kept


def fitted(
    workdir: Path, config: Config, name: str, dataset: Dataset, features: np.ndarray
) -> dict[str, Any]:
    """Returns the entry of one task in calibration.json."""
    heads = load_heads(workdir, config, name)
    task = binary_task(name, dataset.records)
    chosen = examples(task, dataset.records, dataset.validation)
    seen = features[chosen.rows]
    log_odds = np.mean([predict(config.head, params, seen) for params in heads], axis=0)
    try:
        scaling = fit_scaling(chosen.labels, log_odds)
    except ValueError as error:
        raise UserError(
            f"{workdir}: {name} cannot be calibrated, for on validation images {error}: train"
            " longer, or on more images"
        ) from error
    return {
        "task": name,
        "heads": [params_fingerprint(params) for params in heads],
        "slope": scaling.slope,
        "threshold": scaling.threshold,
        "images": len(chosen.labels),
        "positives": int(chosen.labels.sum()),
        "log_loss": log_loss(chosen.labels, scaling(log_odds)),
        "log_loss_uncalibrated": log_loss(chosen.labels, log_odds),
    }


def log_loss(labels: Int[np.ndarray, " n"], log_odds: Float64[np.ndarray, " n"]) -> float:
    """Returns the mean of minus the logarithm of the probability of what is so."""
    return float(-log_expit(np.where(labels == 1, log_odds, -log_odds)).mean())
