"""Scores over sigma: what the report's classifiers say of test images of other blurs.

Those that were trained on original images meet the test images blurred by each sigma, and the same
restored by the Wiener filter that knows the kernel. `sweep_study` asks more, of more settings.
"""

from pathlib import Path
from typing import Any

import numpy as np

from jxr.config import BlurConfig, ReproduceConfig
from jxr.studies.binary_tasks import BinaryTask, examples
from jxr.studies.classifiers import classification_row, head_recipe, load_head, predict
from jxr.studies.dataset import Dataset
from jxr.studies.features import Backbone
from jxr.studies.reproduction.classification_stage import head_name, image_features
from jxr.studies.reproduction.restoration_stage import restore
from jxr.studies.restorers import degraded_images, setting_of
from jxr.studies.workdir import Stages

TRAIN_ON = "original"
TESTED: tuple[tuple[str, str | None], ...] = (("blurred", None), ("recovered", "wiener"))


def sweep_stage(
    config: ReproduceConfig,
    tasks: tuple[BinaryTask, ...],
    dataset: Dataset,
    backbone: Backbone,
    scored: list[dict[str, Any]],
    *,
    workdir: Path,
    cache: Path,
    stages: Stages,
) -> list[dict[str, Any]]:
    """Returns rows like those of the classification, by task and rising sigma.

    Args:
        config: All of the report; `sweep_sigmas` are the sigmas.
        tasks: The questions.
        dataset: The images.
        backbone: VGG-16.
        scored: The classification's rows: the run's own sigma, and no blur, are among them.
        workdir: Run directory, with the heads.
        cache: Folder of the features.
        stages: Get the time that the features take.
    """
    rows: list[dict[str, Any]] = []
    originals = np.asarray(dataset.images[dataset.test])
    for blur in config.sweep_blurs():
        if blur == config.blur or leaves_alone(blur):
            rows += known_rows(config, blur, scored)
            continue
        blurred = degraded_images(originals, dataset.test, blur, config.restorer_seed)
        for test_on, restorer in TESTED:
            with stages.timed("features-sweep"):
                images = blurred
                if restorer is not None:
                    images = restore(restorer, config, blur, dataset, workdir, blurred)
                title = f"{test_on} features, sigma {blur.sigma:g}"
                features = image_features(backbone, images, cache, title)
            for task in tasks:
                identity = {"test_on": test_on, "restorer": restorer}
                rows.append(scores(config, task, dataset, features, workdir, blur, **identity))
    return [row for task in tasks for row in rows if row["task"] == task.name]


def leaves_alone(blur: BlurConfig) -> bool:
    """Returns whether the setting changes no image, so that there is nothing to restore either."""
    return blur.sigma == 0 and blur.noise == 0 and blur.input_precision == "float32"


def known_rows(
    config: ReproduceConfig, blur: BlurConfig, scored: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Returns what the classification found already, under the names that it has in the sweep."""
    rows = []
    for test_on, restorer in TESTED:
        cell = (test_on, restorer) if blur == config.blur else ("original", None)
        rows += [
            {**row, **setting_of(blur), "test_on": test_on, "restorer": restorer}
            for row in scored
            if row["train_on"] == TRAIN_ON and (row["test_on"], row["restorer"]) == cell
        ]
    return rows


def scores(
    config: ReproduceConfig,
    task: BinaryTask,
    dataset: Dataset,
    features: np.ndarray,
    workdir: Path,
    blur: BlurConfig,
    **identity: Any,
) -> dict[str, Any]:
    """Returns the row of one task in one setting; the features are those of all test images."""
    chosen = examples(task, dataset.records, dataset.test)
    seen = features[np.searchsorted(dataset.test, chosen.rows)]
    log_odds = []
    for seed in config.seeds:
        directory = workdir / head_name(task.name, TRAIN_ON, seed)
        head = load_head(config.head, features.shape[1], directory)
        log_odds.append(predict(config.head, head, seen))
    return classification_row(
        chosen,
        np.stack(log_odds),
        samples=config.bootstrap_samples,
        blur=blur,
        task=task.name,
        recipe=head_recipe(config.head, config.weights),
        train_on=TRAIN_ON,
        seeds=list(config.seeds),
        **identity,
    )
