"""The classification part of the report: features, heads, and the matrix of their scores."""

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from jxr.studies.binary_tasks import BinaryTask, Examples, examples
from jxr.studies.classifiers import (
    band_row,
    classification_row,
    head_recipe,
    keep_predictions,
    load_head,
    paired_row,
    predict,
    roc_row,
    train_head,
)
from jxr.studies.features import cached_features, dataset_features
from jxr.studies.reproduction.restoration_stage import RESTORERS, Run, restore
from jxr.training.launch import Launch

TRAIN_ON = ("original", "blurred")

# What the report's text compares; McNemar's test says whether the difference is more than chance.
COMPARED = (
    (("original", "original", None), ("blurred", "blurred", None)),
    (("original", "original", None), ("original", "blurred", None)),
    (("original", "original", None), ("original", "recovered", "unet")),
    (("original", "blurred", None), ("original", "recovered", "unet")),
    (("original", "original", None), ("original", "recovered", "wiener")),
    (("original", "original", None), ("original", "recovered", "wiener_net")),
)


def classification_stage(run: Run, launch: Launch) -> dict[str, Any]:
    """Features, heads, and the scores of every head on every kind of test images."""
    config, dataset = run.config, run.dataset
    features = {}
    for name, blur in (("original", None), ("blurred", config.blur)):
        with run.stages.timed(f"features-{name}"):
            features[name] = dataset_features(
                run.backbone, dataset, run.cache, blur=blur, seed=config.restorer_seed
            )
    _, blurred = run.blurred(config.blur)
    for name in RESTORERS:
        with run.stages.timed(f"features-{name}"):
            restored = restore(name, run, config.blur, blurred)
            features[name] = image_features(run, restored, f"{name} features")
    for task in run.tasks:
        for train_on in TRAIN_ON:
            for seed in config.seeds:
                name = head_name(task.name, train_on, seed)
                with run.stages.timed("heads"):
                    train_head(
                        config.head,
                        features[train_on],
                        examples(task, dataset.records, dataset.train),
                        seed=seed,
                        directory=run.workdir / name,
                        title=name,
                        launch=launch,
                    )
    return score_tables(run, features)


def image_features(run: Run, images: np.ndarray, title: str) -> np.ndarray:
    """Returns the features of images that are known by nothing but their pixels."""
    source = {"images": hashlib.sha256(images.tobytes()).hexdigest()}
    return cached_features(run.backbone, images, run.cache, title=title, source=source)


def head_name(task: str, train_on: str, seed: int) -> str:
    """Returns the folder of a head, below the run directory."""
    return f"heads/{task}-{train_on}-seed{seed}"


def matrix() -> Iterator[tuple[str, str, str | None]]:
    """Yields (train_on, test_on, restorer): what the report compares and the rest of the grid."""
    for train_on in TRAIN_ON:
        for test_on in ("original", "blurred"):
            yield train_on, test_on, None
        for restorer in RESTORERS:
            yield train_on, "recovered", restorer


def score_tables(run: Run, features: dict[str, np.ndarray]) -> dict[str, Any]:
    """Predicts all test images with every head, saves the log-odds, and returns the tables."""
    config, dataset = run.config, run.dataset
    tables: dict[str, list] = {"classification": [], "paired": [], "roc": [], "roc_band": []}
    for task in run.tasks:
        chosen = examples(task, dataset.records, dataset.test)
        log_odds = task_log_odds(run, task, chosen, features)
        for (train_on, test_on, restorer), values in log_odds.items():
            identity: dict[str, Any] = {
                "task": task.name,
                "recipe": head_recipe(config.head, config.weights),
                "train_on": train_on,
                "test_on": test_on,
                "restorer": restorer,
            }
            tables["classification"].append(
                classification_row(
                    chosen,
                    values,
                    samples=config.bootstrap_samples,
                    blur=config.blur,
                    seeds=list(config.seeds),
                    **identity,
                )
            )
            tables["roc_band"].append(
                band_row(chosen, values, samples=config.bootstrap_samples, **identity)
            )
            for seed, row in zip(config.seeds, values, strict=True):
                tables["roc"].append(roc_row(chosen.labels, row, seed=seed, **identity))
        for first, second in COMPARED:
            for index, seed in enumerate(config.seeds):
                tables["paired"].append(
                    paired_row(
                        chosen,
                        log_odds[first][index],
                        log_odds[second][index],
                        task=task.name,
                        classifier_a=describe(*first),
                        classifier_b=describe(*second),
                        seed=seed,
                    )
                )
    return tables


def describe(train_on: str, test_on: str, restorer: str | None) -> str:
    """Returns a readable name of a classifier and the images it sees."""
    return f"{train_on} -> {test_on}" + (f" ({restorer})" if restorer else "")


def task_log_odds(
    run: Run, task: BinaryTask, chosen: Examples, features: dict[str, np.ndarray]
) -> dict[tuple[str, str, str | None], np.ndarray]:
    """Returns (seeds, n) log-odds of every cell of the matrix, and saves them as .npz."""
    config, workdir = run.config, run.workdir
    # Of restored images there are those of test only.
    among_test = np.searchsorted(run.dataset.test, chosen.rows)
    in_features = features["original"].shape[1]
    heads = {
        (train_on, seed): load_head(
            config.head, in_features, workdir / head_name(task.name, train_on, seed)
        )
        for train_on in TRAIN_ON
        for seed in config.seeds
    }
    result = {}
    for train_on, test_on, restorer in matrix():
        seen = features[restorer][among_test] if restorer else features[test_on][chosen.rows]
        result[train_on, test_on, restorer] = np.stack(
            [predict(config.head, heads[train_on, seed], seen) for seed in config.seeds]
        )
    keep_predictions(
        workdir / "predictions" / f"{task.name}.npz",
        run.dataset,
        chosen,
        {describe(*cell): values for cell, values in result.items()},
    )
    return result
