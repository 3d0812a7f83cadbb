"""Scores over sigma: what the report's classifiers say of test images of other blurs.

Those that were trained on original images meet the test images blurred by each sigma, and the same
restored by the Wiener filter that knows the kernel. `jxr.studies.sweep.study` asks more, of more
settings.
"""

from typing import Any

import numpy as np

from jxr.config import BlurConfig, ReproduceConfig
from jxr.studies.binary_tasks import BinaryTask, examples
from jxr.studies.classifiers import classification_row, head_recipe, load_head, predict
from jxr.studies.reproduction.classification_stage import head_name, image_features
from jxr.studies.reproduction.restoration_stage import Run, restore
from jxr.studies.restorers import setting_of

TRAIN_ON = "original"
TESTED: tuple[tuple[str, str | None], ...] = (("blurred", None), ("recovered", "wiener"))


def sweep_stage(run: Run, scored: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns rows like those of the classification, by task and rising sigma.

    Args:
        run: `sweep_sigmas` of its config are the sigmas; it has the heads.
        scored: The classification's rows: the run's own sigma, and no blur, are among them.
    """
    rows: list[dict[str, Any]] = []
    for blur in run.config.sweep_blurs():
        if blur == run.config.blur or leaves_alone(blur):
            rows += known_rows(run.config, blur, scored)
            continue
        _, blurred = run.blurred(blur)
        for test_on, restorer in TESTED:
            with run.stages.timed("features-sweep"):
                images = restore(restorer, run, blur, blurred) if restorer else blurred
                title = f"{test_on} features, sigma {blur.sigma:g}"
                features = image_features(run, images, title)
            identity = {"test_on": test_on, "restorer": restorer}
            rows += [scores(run, task, features, blur, **identity) for task in run.tasks]
    return [row for task in run.tasks for row in rows if row["task"] == task.name]


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
    run: Run, task: BinaryTask, features: np.ndarray, blur: BlurConfig, **identity: Any
) -> dict[str, Any]:
    """Returns the row of one task in one setting; the features are those of all test images."""
    config, dataset = run.config, run.dataset
    chosen = examples(task, dataset.records, dataset.test)
    seen = features[np.searchsorted(dataset.test, chosen.rows)]
    log_odds = []
    for seed in config.seeds:
        directory = run.workdir / head_name(task.name, TRAIN_ON, seed)
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
