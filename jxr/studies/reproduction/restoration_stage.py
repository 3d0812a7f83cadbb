"""The restoration part of the report: what each restorer makes of each blur setting."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from absl import logging

from jxr.config import BlurConfig, ReproduceConfig, RestorerRun
from jxr.files import write_arrays
from jxr.models import load_restorer
from jxr.studies.binary_tasks import BinaryTask
from jxr.studies.dataset import Dataset
from jxr.studies.features import Backbone
from jxr.studies.restorers import (
    Images,
    degraded_pairs,
    in_batches,
    load_unet,
    restoration_row,
    train_unet,
    unet_recipe,
    wiener_restorer,
)
from jxr.studies.wiener_nets import restored_by_net
from jxr.studies.workdir import Stages
from jxr.training.launch import Launch

RESTORERS = ("unet", "wiener", "wiener_net")
EXAMPLES = "examples.npz"


class Run(NamedTuple):
    """What all stages of one reproduction work on."""

    config: ReproduceConfig
    dataset: Dataset
    tasks: tuple[BinaryTask, ...]
    backbone: Backbone
    workdir: Path
    cache: Path
    stages: Stages

    def blurred(self, blur: BlurConfig) -> tuple[Images, Images]:
        """Returns the test images, and what a blur setting makes of them."""
        return degraded_pairs(self.dataset, self.dataset.test, blur, self.config.restorer_seed)


def blur_name(blur: BlurConfig) -> str:
    """Returns a short name that a folder can have, such as `sigma2-standard`."""
    return f"sigma{blur.sigma:g}-{blur.convention}"


def restoration_stage(run: Run, blur: BlurConfig, launch: Launch) -> list[dict[str, Any]]:
    """Trains the U-Net of one blur setting and scores it, all others and doing nothing."""
    config, name = run.config, blur_name(blur)
    unet = RestorerRun(seed=config.restorer_seed, data=config.data, blur=blur, unet=config.unet)
    train_unet(unet, run.dataset, run.workdir / "restorers" / name, f"unet {name}", launch)
    originals, blurred = run.blurred(blur)
    rows = [restoration_row("none", "none", blur, originals, blurred)]
    recipes = {"unet": unet_recipe(config.unet), "wiener": "flat", "wiener_net": "shipped"}
    for restorer, recipe in recipes.items():
        restored = restore(restorer, run, blur, blurred)
        rows.append(restoration_row(restorer, recipe, blur, originals, restored))
        logging.info("%s, %s: MSE %.4g", restorer, name, rows[-1]["mse"])
    return rows


def restore(name: str, run: Run, blur: BlurConfig, blurred: Images) -> Images:
    """Returns the blurred images restored by the restorer `name` of this blur setting."""
    if name == "wiener_net":
        return restored_by_net(load_restorer(), blurred, blur)
    if name == "wiener":
        restorer = wiener_restorer(blur, run.dataset, run.config.restorer_seed)
    else:
        restorer = load_unet(run.config.unet, run.workdir / "restorers" / blur_name(blur))
    return in_batches(restorer, blurred)


def examples_stage(run: Run) -> list[str]:
    """Saves one test image of each class, blurred and restored, for the page to show."""
    dataset, blur = run.dataset, run.config.blur
    labels = [dataset.records[row].label for row in dataset.test]
    titles = sorted(set(labels))
    rows = np.array([dataset.test[labels.index(title)] for title in titles])
    originals, blurred = degraded_pairs(dataset, rows, blur, run.config.restorer_seed)
    recovered = {f"recovered_{name}": restore(name, run, blur, blurred) for name in RESTORERS}
    arrays = {"titles": np.array(titles), "original": originals, "blurred": blurred}
    write_arrays(run.workdir / EXAMPLES, arrays | recovered)
    return titles
