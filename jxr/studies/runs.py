"""Single runs: train one head or one U-Net, and evaluate what was trained."""

from pathlib import Path
from typing import Any

import numpy as np

from jxr.config import ClassifierRun, DataConfig, RestorerRun
from jxr.config_dict import completed, from_config_dict
from jxr.errors import UserError
from jxr.files import write_json
from jxr.provenance import provenance
from jxr.studies.binary_tasks import binary_task, examples
from jxr.studies.classifiers import (
    classification_row,
    head_recipe,
    load_head,
    predict,
    roc_row,
    train_head,
)
from jxr.studies.dataset import Dataset, load_dataset
from jxr.studies.features import dataset_features, load_backbone
from jxr.studies.restorers import (
    check_blur,
    check_unet,
    degraded_images,
    in_batches,
    load_unet,
    restoration_row,
    train_unet,
    unet_recipe,
    wiener_restorer,
)
from jxr.studies.workdir import check_finished, claim, claimed, read_run
from jxr.training.launch import PLAIN, Launch


def train_classifier(
    run: ClassifierRun,
    workdir: Path,
    cache: Path,
    launch: Launch = PLAIN,
    *,
    accept_changes: bool = False,
) -> None:
    """Trains one head in `workdir`, or goes on with it; for the rest see `fit` and `claimed`.

    Raises:
        UserError: a mistake in the config, the images or the weights.
    """
    check_blur(run.blur, run.data.size)
    dataset = load_dataset(run.data, cache)
    chosen = examples(binary_task(run.task, dataset.records), dataset.records, dataset.train)
    backbone = load_backbone(run.weights)
    fingerprints = {"data": dataset.fingerprint, "weights": backbone.fingerprint}
    with claimed(workdir, run, accept_changes, **fingerprints):
        train_head(
            run.head,
            dataset_features(
                backbone, dataset, cache, blur=run.blur if run.train_on == "blurred" else None
            ),
            chosen,
            seed=run.seed,
            directory=workdir,
            title=f"{run.task} on {run.train_on}",
            launch=launch,
        )


def train_restorer(
    run: RestorerRun,
    workdir: Path,
    cache: Path,
    launch: Launch = PLAIN,
    *,
    accept_changes: bool = False,
) -> None:
    """Trains one U-Net in `workdir`, or goes on with it; for the rest see `fit` and `claimed`.

    Raises:
        UserError: a mistake in the config or the images.
    """
    check_blur(run.blur, run.data.size)
    check_unet(run.unet, run.data.size)
    dataset = load_dataset(run.data, cache)
    with claimed(workdir, run, accept_changes, data=dataset.fingerprint):
        train_unet(run, dataset, workdir, f"unet sigma {run.blur.sigma:g}", launch)


def evaluate(
    workdir: Path, cache: Path, part: str, *, data_path: str | None = None
) -> dict[str, Any]:
    """Scores the finished run in `workdir` on the validation or the test images.

    Test images are for a recipe that is finished; choices are made on validation images. Where the
    images lie now, if not where they were, is `data_path`; that is noted in the run.

    Returns:
        Rows as in results.json, which is written to `workdir/PART.json`.

    Raises:
        UserError: there is no run, it is not finished, or its images or weights cannot be used or
            are others.
    """
    values = read_run(workdir)
    values.pop("fingerprints")
    if data_path is not None and "data" in values:
        values["data"]["path"] = data_path
    if "net" in values:
        raise UserError(
            f"{workdir} holds a restorer for all blurs: export it by experiments.export_restorer"
            " and score it by experiments.restorer"
        )
    if "task" in values:
        head_run = from_config_dict(ClassifierRun, completed(ClassifierRun, values))
        results = evaluate_classifier(head_run, workdir, cache, part)
    elif "unet" in values and "sigmas" not in values:
        unet_run = from_config_dict(RestorerRun, completed(RestorerRun, values))
        results = evaluate_restorer(unet_run, workdir, cache, part)
    else:
        raise UserError(f"{workdir} holds no single run: a study's scores are in its results.json")
    write_json(workdir / f"{part}.json", results)
    return results


def run_images(data: DataConfig, cache: Path) -> Dataset:
    """Returns the images of a run that is there already; an error says what if they have moved."""
    try:
        return load_dataset(data, cache)
    except UserError as error:
        raise UserError(f"{error}; or, if they have moved, say where to by --data_path") from error


def evaluate_classifier(
    run: ClassifierRun, workdir: Path, cache: Path, part: str
) -> dict[str, Any]:
    """Scores one head on original and on blurred images."""
    dataset = run_images(run.data, cache)
    backbone = load_backbone(run.weights)
    claim(workdir, run, data=dataset.fingerprint, weights=backbone.fingerprint)
    task = binary_task(run.task, dataset.records)
    learnt = examples(task, dataset.records, dataset.train)
    check_finished(workdir, run.head.schedule.steps(len(learnt.rows)), "train_classifier")
    chosen = examples(task, dataset.records, dataset.part(part))
    classification, curves = [], []
    for test_on, blur in (("original", None), ("blurred", run.blur)):
        features = dataset_features(backbone, dataset, cache, blur=blur)
        params = load_head(run.head, features.shape[1], workdir)
        log_odds = predict(run.head, params, features[chosen.rows])
        identity: dict[str, Any] = {
            "task": run.task,
            "recipe": head_recipe(run.head, run.weights),
            "train_on": run.train_on,
            "test_on": test_on,
            "restorer": None,
        }
        classification.append(
            classification_row(
                chosen,
                log_odds[None],
                samples=2000,
                blur=run.blur,
                seeds=[run.seed],
                **identity,
            )
        )
        curves.append(roc_row(chosen.labels, log_odds, seed=run.seed, **identity))
    origin = provenance(run, data=dataset.fingerprint, weights=backbone.fingerprint)
    return {
        "provenance": origin | {"notes": dataset.notes_on(part)},
        "images": dataset.counts(),
        "part": part,
        "classification": classification,
        "roc": curves,
    }


def evaluate_restorer(run: RestorerRun, workdir: Path, cache: Path, part: str) -> dict[str, Any]:
    """Scores one U-Net beside the Wiener filter and the blurred images themselves."""
    dataset = run_images(run.data, cache)
    claim(workdir, run, data=dataset.fingerprint)
    check_finished(workdir, run.unet.schedule.steps(len(dataset.train)), "train_restorer")
    rows = dataset.part(part)
    originals = np.asarray(dataset.images[rows])
    blurred = degraded_images(originals, rows, run.blur, run.seed)
    methods = {}
    if run.blur.boundary == "reflect":  # the only one that the Wiener filter here can undo
        methods[("wiener", "flat")] = wiener_restorer(run.blur, dataset, run.seed)
    methods[("unet", unet_recipe(run.unet))] = load_unet(run.unet, workdir)
    table = [restoration_row("none", "none", run.blur, originals, blurred)]
    for (name, recipe), restorer in methods.items():
        restored = in_batches(restorer, blurred)
        table.append(restoration_row(name, recipe, run.blur, originals, restored))
    origin = provenance(run, data=dataset.fingerprint)
    return {
        "provenance": origin | {"notes": list(dataset.notes)},
        "images": dataset.counts(),
        "part": part,
        "restoration": table,
    }
