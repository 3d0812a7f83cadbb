"""Does blur matter? Linear classifiers on frozen features, trained and tested at each sigma.

Nothing but the images differs between two sigmas: no random numbers, no early stopping, and the
strength of the penalty is chosen in the same way on the validation images. So what differs in the
scores is due to the blur and to the finite number of images, which the intervals speak of.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache as once
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from jxr.config import BlurConfig, BlurEffectConfig
from jxr.files import write_json
from jxr.studies.binary_tasks import default_tasks
from jxr.studies.classification.controls_study import (
    Task,
    control_features,
    fitted,
    matched_row,
    open_task,
)
from jxr.studies.classifiers import (
    classification_row,
    keep_predictions,
    paired_differences,
    paired_row,
)
from jxr.studies.dataset import Dataset, load_dataset
from jxr.studies.features import Backbone, dataset_features, load_backbone
from jxr.studies.restorers import check_blur
from jxr.studies.workdir import Study

CONTROL = "global_statistics"
VGG16_CHANNELS = 512

# By sigma, one row for each image of the data set.
Features = dict[float, Float[np.ndarray, "n features"]]
# By the sigmas of training and test: log-odds of the test images, the penalty's strength.
Answers = dict[tuple[float, float], tuple[Float[np.ndarray, "1 test"], float]]


def blur_effect_study(config: BlurEffectConfig, workdir: Path, cache: Path) -> dict[str, Any]:
    """Runs what is left of the study and returns (and writes) its results.

    Args:
        config: Which images, sigmas and tasks.
        workdir: Run directory; gets `results.json`, and what the classifiers say of each test
            image in `predictions/`.
        cache: Folder of decoded images and features, which other runs may share.

    Raises:
        UserError: a mistake in the config, the images or the weights.
    """
    for sigma in config.sigmas:
        check_blur(replace(config.blur, sigma=sigma), config.data.size)
    dataset = load_dataset(config.data, cache)
    names = config.tasks or default_tasks(dataset.records)
    tasks = [open_task(name, dataset, config.caliper) for name in names]
    backbone = load_backbone(config.weights)
    stages = Study(workdir, config, data=dataset.fingerprint, weights=backbone.fingerprint)
    kinds: Mapping[str, Callable[[BlurConfig | None], np.ndarray]] = {
        "vgg16": partial(pooled_features, config, dataset, backbone, cache),
        f"control-{CONTROL}": lambda blur: control_features(dataset, blur, 0, [CONTROL])[CONTROL],
    }
    tables: dict[str, list] = {"classification": [], "matched": [], "comparisons": []}

    @once
    def features_of(kind: str) -> Features:
        features = {}
        for sigma in config.sigmas:
            with stages.timed(f"features-{kind}-sigma{sigma:g}"):
                features[sigma] = kinds[kind](blur_of(config, sigma))
        return features

    def scored(kind: str, task: Task) -> dict[str, list[dict[str, Any]]]:
        answers = answers_of(config, task, features_of(kind))
        said = {f"sigma {a:g}, {b:g}": odds for (a, b), (odds, _) in answers.items()}
        file = workdir / "predictions" / f"{kind}-{task.name}.npz"
        keep_predictions(file, dataset, task.test, said)
        return task_rows(config, task, answers)

    for kind in kinds:
        for task in tasks:
            found = stages.run(f"{kind}/{task.name}", partial(scored, kind, task))
            for name, table in tables.items():
                table += [{"features": kind, **row} for row in found[name]]
    results = {
        "provenance": stages.provenance(dataset.notes),
        **tables,
    }
    write_json(workdir / "results.json", results)
    return results


def blur_of(config: BlurEffectConfig, sigma: float) -> BlurConfig | None:
    """Returns the blur setting of one sigma; at 0 and without noise the images stay as they are."""
    return replace(config.blur, sigma=sigma) if sigma or config.blur.noise else None


def pooled_features(
    config: BlurEffectConfig,
    dataset: Dataset,
    backbone: Backbone,
    cache: Path,
    blur: BlurConfig | None,
) -> Float[np.ndarray, "n 512"]:
    """Returns VGG-16's last features of all images, the mean over places."""
    features = dataset_features(backbone, dataset, cache, blur=blur)
    means = [
        np.asarray(row, np.float64).reshape(-1, VGG16_CHANNELS).mean(axis=0) for row in features
    ]
    return np.stack(means)


def answers_of(config: BlurEffectConfig, task: Task, features: Features) -> Answers:
    """Trains a classifier on each sigma and asks it of the test images at each."""
    answers = {}
    for trained in config.sigmas:
        model = fitted(features[trained], task.train, task.validation)
        for tested in config.sigmas:
            odds = model.decision_function(features[tested][task.test.rows])[None]
            answers[trained, tested] = odds, model[-1].C
    return answers


def task_rows(
    config: BlurEffectConfig, task: Task, answers: Answers
) -> dict[str, list[dict[str, Any]]]:
    """Returns the scores of every pair of sigmas, and how each differs from no blur at all."""
    tables: dict[str, list[dict[str, Any]]] = {"classification": [], "matched": []}
    for (trained, tested), (odds, strength) in answers.items():
        common: dict[str, Any] = {
            "task": task.name,
            "train_sigma": trained,
            "seeds": [0],
            "strength": strength,
            "samples": config.bootstrap_samples,
            "blur": replace(config.blur, sigma=tested),
        }
        tables["classification"].append(classification_row(task.test, odds, **common))
        tables["matched"].append(matched_row(task.pairs, task.test, odds, **common))
    none = (min(config.sigmas),) * 2
    tables["comparisons"] = [
        paired_row(
            task.test,
            answers[none][0][0],
            answers[other][0][0],
            task=task.name,
            train_test_a=list(none),
            train_test_b=list(other),
        )
        | paired_differences(
            task.test, answers[none][0], answers[other][0], samples=config.bootstrap_samples
        )
        for sigma in config.sigmas
        if sigma != none[0]
        # A network for each blur; one network that has not seen the blur.
        for other in ((sigma, sigma), (none[0], sigma))
    ]
    return tables
