"""The whole report, stage by stage: restorers, features, heads, and the matrix of their scores,
and scores over sigma.

A stage that finished is never done again, and one that was stopped goes on where it was, so the
same command is called until it ends.
"""

from functools import partial
from pathlib import Path
from typing import Any

from jxr.config import ReproduceConfig
from jxr.files import write_json
from jxr.models import load_restorer
from jxr.studies.binary_tasks import BinaryTask, binary_task, default_tasks, examples
from jxr.studies.dataset import Dataset, load_dataset
from jxr.studies.features import load_backbone
from jxr.studies.reproduction.classification_stage import classification_stage
from jxr.studies.reproduction.restoration_stage import (
    Run,
    blur_name,
    examples_stage,
    restoration_stage,
)
from jxr.studies.reproduction.sweep_stage import sweep_stage
from jxr.studies.restorers import check_blur, check_reflect, check_unet
from jxr.studies.workdir import Study
from jxr.training.launch import PLAIN, Launch


def reproduce(
    config: ReproduceConfig, workdir: Path, cache: Path, launch: Launch = PLAIN
) -> dict[str, Any]:
    """Runs what is left of the whole report and returns (and writes) its results.

    Args:
        config: All of it.
        workdir: Run directory: checkpoints, metrics, predictions, `results.json`.
        cache: Folder of decoded images and features, which other runs may share.
        launch: How train steps are spread over devices; the results are the same.

    Raises:
        UserError: a mistake in the config, the images or the weights; results that were there
            before stay as they are.
    """
    for blur in (*config.restoration_blurs(), *config.sweep_blurs()):
        check_blur(blur, config.data.size)
        check_reflect(blur)
    check_unet(config.unet, config.data.size)
    dataset = load_dataset(config.data, cache)
    tasks = binary_tasks(config, dataset)
    backbone = load_backbone(config.weights)
    stages = Study(
        workdir,
        config,
        data=dataset.fingerprint,
        weights=backbone.fingerprint,
        restorer=load_restorer().fingerprint,
    )
    run = Run(config, dataset, tasks, backbone, workdir, cache, stages)

    restoration = []
    for blur in config.restoration_blurs():
        work = partial(restoration_stage, run, blur, launch)
        restoration += stages.run(f"restoration-{blur_name(blur)}", work)
    tables = stages.run("classification", partial(classification_stage, run, launch))
    sweep = []
    if config.sweep_sigmas:
        sweep = stages.run("sweep", partial(sweep_stage, run, tables["classification"]))
    stages.run("examples", partial(examples_stage, run))
    results = {
        "provenance": stages.provenance(dataset.notes),
        "images": dataset.counts(),
        **tables,
        "restoration": restoration,
        "sweep": sweep,
    }
    write_json(workdir / "results.json", results)
    return results


def binary_tasks(config: ReproduceConfig, dataset: Dataset) -> tuple[BinaryTask, ...]:
    """Returns the tasks of the run, each with images of both classes to train and to test on."""
    names = config.tasks or default_tasks(dataset.records)
    tasks = tuple(binary_task(name, dataset.records) for name in names)
    for task in tasks:
        for part in (dataset.train, dataset.test):
            examples(task, dataset.records, part)
    return tasks
