"""The whole report, stage by stage: restorers, features, heads, and the matrix of their scores.

A stage that finished is never done again, and one that was stopped goes on where it was, so the
same command is called until it ends.
"""

import hashlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from jxr.config import BlurConfig, ReproduceConfig, RestorerRun
from jxr.provenance import provenance
from jxr.studies.classifiers import (
    TASKS,
    Examples,
    classification_row,
    examples,
    head_recipe,
    load_head,
    paired_row,
    predict,
    roc_row,
    train_head,
)
from jxr.studies.dataset import Dataset, load_dataset
from jxr.studies.features import Backbone, cached_features, dataset_features, load_backbone
from jxr.studies.restorers import (
    check_blur,
    check_reflect,
    check_unet,
    degraded_images,
    in_batches,
    load_unet,
    restoration_row,
    train_unet,
    unet_recipe,
    wiener_restorer,
)
from jxr.studies.workdir import Stages, claim, write_json

TRAIN_ON = ("original", "blurred")
RESTORERS = ("unet", "wiener")


def reproduce(config: ReproduceConfig, workdir: Path, cache: Path) -> dict[str, Any]:
    """Runs what is left of the whole report and returns (and writes) its results.

    Args:
        config: All of it.
        workdir: Run directory: checkpoints, metrics, predictions, `results.json`.
        cache: Folder of decoded images and features, which other runs may share.

    Raises:
        UserError: a mistake in the config, the images or the weights; results that were there
            before stay as they are.
    """
    for blur in config.restoration_blurs():
        check_blur(blur, config.data.size)
        check_reflect(blur)
    check_unet(config.unet, config.data.size)
    dataset = load_dataset(config.data, cache)
    for task in TASKS:
        for part in (dataset.train, dataset.test):
            examples(task, dataset.records, part)
    backbone = load_backbone(config.weights)
    fingerprints = {"data": dataset.fingerprint, "weights": backbone.fingerprint}
    claim(workdir, config, **fingerprints)
    stages = Stages(workdir / "stages")

    restoration = []
    for blur in config.restoration_blurs():
        restoration += stages.run(
            f"restoration-{blur_name(blur)}",
            partial(restoration_stage, config, blur, dataset, workdir),
        )
    tables = stages.run(
        "classification",
        partial(classification_stage, config, dataset, backbone, workdir, cache, stages),
    )
    results = {
        "provenance": {
            **provenance(config, **fingerprints),
            "stage_seconds": stages.seconds(),
            "stage_commits": stages.commits(),
        },
        **tables,
        "restoration": restoration,
    }
    write_json(workdir / "results.json", results)
    return results


def blur_name(blur: BlurConfig) -> str:
    """Returns a short name that a folder can have, such as `sigma2-standard`."""
    return f"sigma{blur.sigma:g}-{blur.convention}"


def head_name(task: str, train_on: str, seed: int) -> str:
    """Returns the folder of a head, below the run directory."""
    return f"heads/{task}-{train_on}-seed{seed}"


def restoration_stage(
    config: ReproduceConfig, blur: BlurConfig, dataset: Dataset, workdir: Path
) -> list[dict[str, Any]]:
    """Trains the U-Net of one blur setting and scores it, the Wiener filter and doing nothing."""
    run = RestorerRun(seed=config.restorer_seed, data=config.data, blur=blur, unet=config.unet)
    train_unet(run, dataset, workdir / "restorers" / blur_name(blur), f"unet {blur_name(blur)}")
    originals = np.asarray(dataset.images[dataset.test])
    blurred = degraded_images(originals, dataset.test, blur, config.restorer_seed)
    rows = [restoration_row("none", "none", blur, originals, blurred)]
    for name, recipe in (("wiener", "flat"), ("unet", unet_recipe(config.unet))):
        restored = restore(name, config, blur, dataset, workdir, blurred)
        rows.append(restoration_row(name, recipe, blur, originals, restored))
        logging.info("%s, %s: MSE %.4g", name, blur_name(blur), rows[-1]["mse"])
    return rows


def restore(
    name: str,
    config: ReproduceConfig,
    blur: BlurConfig,
    dataset: Dataset,
    workdir: Path,
    blurred: np.ndarray,
) -> np.ndarray:
    """Returns the blurred images restored by the restorer `name` of this blur setting."""
    if name == "wiener":
        restorer = wiener_restorer(blur, dataset, config.restorer_seed)
    else:
        restorer = load_unet(config.unet, workdir / "restorers" / blur_name(blur))
    return in_batches(restorer, blurred)


def recovered_features(
    name: str,
    config: ReproduceConfig,
    dataset: Dataset,
    backbone: Backbone,
    workdir: Path,
    cache: Path,
) -> np.ndarray:
    """Returns the features of the test images, blurred and then restored by the restorer `name`."""
    originals = np.asarray(dataset.images[dataset.test])
    blurred = degraded_images(originals, dataset.test, config.blur, config.restorer_seed)
    restored = restore(name, config, config.blur, dataset, workdir, blurred)
    source = {"images": hashlib.sha256(restored.tobytes()).hexdigest()}
    return cached_features(backbone, restored, cache, title=f"{name} features", source=source)


def matrix() -> Iterator[tuple[str, str, str | None]]:
    """Yields (train_on, test_on, restorer): what the report compares and the rest of the grid."""
    for train_on in TRAIN_ON:
        for test_on in ("original", "blurred"):
            yield train_on, test_on, None
        for restorer in RESTORERS:
            yield train_on, "recovered", restorer


def classification_stage(
    config: ReproduceConfig,
    dataset: Dataset,
    backbone: Backbone,
    workdir: Path,
    cache: Path,
    stages: Stages,
) -> dict[str, Any]:
    """Features, heads, and the scores of every head on every kind of test images."""
    features = {}
    for name, blur in (("original", None), ("blurred", config.blur)):
        with stages.timed(f"features-{name}"):
            features[name] = dataset_features(
                backbone,
                dataset,
                cache,
                resize=config.data.resize,
                blur=blur,
                seed=config.restorer_seed,
            )
    for name in RESTORERS:
        with stages.timed(f"features-{name}"):
            features[name] = recovered_features(name, config, dataset, backbone, workdir, cache)
    for task in TASKS:
        for train_on in TRAIN_ON:
            for seed in config.seeds:
                name = head_name(task, train_on, seed)
                with stages.timed("heads"):
                    train_head(
                        config.head,
                        features[train_on],
                        examples(task, dataset.records, dataset.train),
                        seed=seed,
                        directory=workdir / name,
                        title=name,
                    )
    return score_tables(config, dataset, features, workdir)


def score_tables(
    config: ReproduceConfig, dataset: Dataset, features: dict[str, np.ndarray], workdir: Path
) -> dict[str, Any]:
    """Predicts all test images with every head, saves the log-odds, and returns the tables."""
    tables: dict[str, list] = {"classification": [], "paired": [], "roc": []}
    for task in TASKS:
        chosen = examples(task, dataset.records, dataset.test)
        log_odds = task_log_odds(task, chosen, config, dataset, features, workdir)
        for (train_on, test_on, restorer), values in log_odds.items():
            identity: dict[str, Any] = {
                "task": task,
                "recipe": head_recipe(config.head, config.weights),
                "train_on": train_on,
                "test_on": test_on,
                "restorer": restorer,
            }
            tables["classification"].append(
                classification_row(
                    chosen.labels,
                    values,
                    samples=config.bootstrap_samples,
                    blur=config.blur,
                    seeds=list(config.seeds),
                    **identity,
                )
            )
            for seed, row in zip(config.seeds, values, strict=True):
                tables["roc"].append(roc_row(chosen.labels, row, seed=seed, **identity))
        for first, second in COMPARED:
            for index, seed in enumerate(config.seeds):
                tables["paired"].append(
                    paired_row(
                        chosen.labels,
                        log_odds[first][index],
                        log_odds[second][index],
                        task=task,
                        classifier_a=describe(*first),
                        classifier_b=describe(*second),
                        seed=seed,
                    )
                )
    return tables


# What the report's text compares; McNemar's test says whether the difference is more than chance.
COMPARED = (
    (("original", "original", None), ("blurred", "blurred", None)),
    (("original", "original", None), ("original", "blurred", None)),
    (("original", "original", None), ("original", "recovered", "unet")),
    (("original", "blurred", None), ("original", "recovered", "unet")),
    (("original", "original", None), ("original", "recovered", "wiener")),
)


def describe(train_on: str, test_on: str, restorer: str | None) -> str:
    """Returns a readable name of a classifier and the images it sees."""
    return f"{train_on} -> {test_on}" + (f" ({restorer})" if restorer else "")


def task_log_odds(
    task: Any,
    chosen: Examples,
    config: ReproduceConfig,
    dataset: Dataset,
    features: dict[str, np.ndarray],
    workdir: Path,
) -> dict[tuple[str, str, str | None], np.ndarray]:
    """Returns (seeds, n) log-odds of every cell of the matrix, and saves them as .npz."""
    among_test = np.searchsorted(dataset.test, chosen.rows)  # restored images are test images only
    in_features = features["original"].shape[1]
    heads = {
        (train_on, seed): load_head(
            config.head, in_features, workdir / head_name(task, train_on, seed)
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
    folder = workdir / "predictions"
    folder.mkdir(exist_ok=True)
    paths = [dataset.records[row].path for row in chosen.rows]
    arrays: dict[str, Any] = {describe(*cell): values for cell, values in result.items()}
    np.savez(folder / f"{task}.npz", paths=np.array(paths), labels=chosen.labels, **arrays)
    return result
