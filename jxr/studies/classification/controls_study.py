"""What shortcuts alone score on the tasks, on all test images and on pairs of equal sharpness."""

from collections.abc import Collection
from functools import cache as once
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from jxr.config import BlurConfig, ControlsConfig
from jxr.errors import UserError
from jxr.evaluation import auc
from jxr.evaluation.matched import Pairs, match_pairs, matched_scores
from jxr.files import write_json
from jxr.studies.binary_tasks import Examples, binary_task, default_tasks, examples
from jxr.studies.classification.controls import CONTROLS, one_sharpness
from jxr.studies.classifiers import classification_row
from jxr.studies.dataset import Dataset, load_dataset
from jxr.studies.restorers import check_blur, degraded_images, in_batches, setting_of
from jxr.studies.workdir import Study

# scikit-learn's C, the weight of the data against the penalty; the strongest penalty first.
STRENGTHS = tuple(float(strength) for strength in np.logspace(-5, 4, 19))
KINDS = ("original", "blurred")
CHUNK = 256  # images whose numbers are computed at once

# By control, one row for each image of the data set.
Features = dict[str, np.ndarray]


class Task(NamedTuple):
    """A task's images, and pairs of its test images that are alike in sharpness."""

    name: str
    train: Examples
    validation: Examples
    test: Examples
    sharpness: np.ndarray  # of each test image, before any blur
    pairs: Pairs  # places among the task's test images


def controls_study(config: ControlsConfig, workdir: Path, cache: Path) -> dict[str, Any]:
    """Runs what is left of the study and returns (and writes) its results.

    Args:
        config: Which images, tasks and blur.
        workdir: Run directory; gets `results.json`.
        cache: Folder of decoded images, which other runs may share.

    Raises:
        UserError: a mistake in the config or the images.
    """
    check_blur(config.blur, config.data.size)
    dataset = load_dataset(config.data, cache)
    names = config.tasks or default_tasks(dataset.records)
    tasks = [open_task(name, dataset, config.caliper) for name in names]
    stages = Study(workdir, config, data=dataset.fingerprint)
    features = once(
        lambda: {
            "original": control_features(dataset, None, config.seed),
            "blurred": control_features(dataset, config.blur, config.seed),
        }
    )

    def scored(task: Task) -> dict[str, list[dict[str, Any]]]:
        return task_rows(task, features(), config)

    found = [stages.run(task.name, partial(scored, task)) for task in tasks]
    results = {
        "provenance": stages.provenance(dataset.notes),
        "classification": [row for rows in found for row in rows["classification"]],
        "matched": [row for rows in found for row in rows["matched"]],
        "matching": [matching_row(task, config.caliper) for task in tasks],
    }
    write_json(workdir / "results.json", results)
    return results


def open_task(name: str, dataset: Dataset, caliper: float) -> Task:
    """Returns a task with its pairs.

    Raises:
        UserError: there is no such task, a class is empty, or no two images make a pair.
    """
    task = binary_task(name, dataset.records)
    train, validation, test = (
        examples(task, dataset.records, part)
        for part in (dataset.train, dataset.validation, dataset.test)
    )
    sharpness = in_batches(one_sharpness, dataset.images[test.rows])
    pairs = pairs_of(name, test.labels, sharpness, caliper)
    return Task(name, train, validation, test, sharpness, pairs)


def pairs_of(
    name: str,
    labels: Int[np.ndarray, " n"],
    sharpness: Float[np.ndarray, " n"],
    caliper: float,
) -> Pairs:
    """Returns `match_pairs` for the images of a task; UserError if no two make a pair."""
    try:
        return match_pairs(labels, sharpness, caliper)
    except ValueError as error:
        raise UserError(f"{name}: {error}: raise --config.caliper") from error


def control_features(
    dataset: Dataset,
    blur: BlurConfig | None,
    seed: int,
    names: Collection[str] = tuple(CONTROLS),
) -> Features:
    """Returns the numbers of those controls for all images, blurred first if a blur is given."""
    parts = []
    for start in range(0, len(dataset.images), CHUNK):
        rows = np.arange(start, min(start + CHUNK, len(dataset.images)))
        images = np.asarray(dataset.images[rows])
        if blur:
            images = degraded_images(images, rows, blur, seed)
        parts.append({name: CONTROLS[name](images) for name in names})
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def task_rows(
    task: Task, features: dict[str, Features], config: ControlsConfig
) -> dict[str, list[dict[str, Any]]]:
    """Returns the scores of every control, trained and tested on original and blurred images.

    `validation_auc` tells whether the test images are easier than those of the training patients.
    """
    tables: dict[str, list[dict[str, Any]]] = {"classification": [], "matched": []}
    for control in CONTROLS:
        for train_on in KINDS:
            model = fitted(features[train_on][control], task.train, task.validation)
            for test_on in KINDS:
                log_odds = model.decision_function(features[test_on][control])
                validation, test = log_odds[task.validation.rows], log_odds[task.test.rows][None]
                common: dict[str, Any] = {
                    "task": task.name,
                    "recipe": f"control-{control}",
                    "train_on": train_on,
                    "test_on": test_on,
                    "restorer": None,
                    "seeds": [0],
                    "features": model.n_features_in_,
                    "strength": model[-1].C,
                    "samples": config.bootstrap_samples,
                    "blur": config.blur,
                }
                tables["classification"].append(
                    classification_row(
                        task.test,
                        test,
                        validation_auc=float(auc(task.validation.labels, validation)),
                        **common,
                    )
                )
                tables["matched"].append(matched_row(task.pairs, task.test, test, **common))
    return tables


def fitted(
    features: Float[np.ndarray, "n features"], train: Examples, validation: Examples
) -> Pipeline:
    """Returns a logistic regression on standardised features, by the training images.

    The strength of its penalty is the one with the least log loss on the validation images; of
    equals, the strongest.
    """

    def candidate(strength: float) -> Pipeline:
        # Newton's method ends at the optimum itself, whatever the features' correlations.
        regression = LogisticRegression(C=strength, solver="newton-cholesky", max_iter=1000)
        model = make_pipeline(StandardScaler(), regression)
        return model.fit(features[train.rows], train.labels)

    def log_loss(model: Pipeline) -> float:
        log_odds = model.decision_function(features[validation.rows])
        return float(np.logaddexp(0, np.where(validation.labels == 1, -log_odds, log_odds)).mean())

    return min(map(candidate, STRENGTHS), key=log_loss)


def matched_row(
    pairs: Pairs,
    chosen: Examples,
    log_odds: Float[np.ndarray, "seeds n"],
    *,
    samples: int,
    blur: BlurConfig,
    **identity: Any,
) -> dict[str, Any]:
    """Returns one row like `classification_row`'s, of a classifier on matched images only.

    Args:
        pairs: of `match_pairs`, places among the task's n images that are scored.
        chosen: these images.
        log_odds: of any classifier, one row a seed.
        samples: of the bootstrap.
        blur: of the blurred images.
        **identity: What tells the row from others.
    """
    return {
        **identity,
        **setting_of(blur),
        **matched_scores(pairs, log_odds, patients=chosen.patients, samples=samples),
    }


def matching_row(task: Task, caliper: float) -> dict[str, Any]:
    """Returns how alike the classes are in sharpness, before and after matching.

    `auc` is that of the sharpness itself as a classifier: below one half, for positive images are
    the less sharp ones, and one half if it tells nothing.
    """
    labels, pairs = task.test.labels, task.pairs
    matched = np.concatenate([pairs.negative, pairs.positive])
    return {
        "task": task.name,
        "matched_on": "mean absolute gradient of the original image",
        "caliper": caliper,
        "negatives": int((labels == 0).sum()),
        "positives": int((labels == 1).sum()),
        "pairs": len(pairs.negative),
        "smd_before": pairs.smd_before,
        "smd_after": pairs.smd_after,
        "auc_before": float(auc(labels, task.sharpness)),
        "auc_after": float(auc(labels[matched], task.sharpness[matched])),
    }
