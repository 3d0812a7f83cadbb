"""The restoration part of the report: what each restorer makes of each blur setting."""

from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from jxr.config import BlurConfig, ReproduceConfig, RestorerRun
from jxr.files import write_arrays
from jxr.models import load_restorer
from jxr.studies.dataset import Dataset
from jxr.studies.restorers import (
    degraded_images,
    in_batches,
    load_unet,
    restoration_row,
    train_unet,
    unet_recipe,
    wiener_restorer,
)
from jxr.studies.wiener_nets import restored_by_net
from jxr.training.launch import Launch

RESTORERS = ("unet", "wiener", "wiener_net")
EXAMPLES = "examples.npz"


def blur_name(blur: BlurConfig) -> str:
    """Returns a short name that a folder can have, such as `sigma2-standard`."""
    return f"sigma{blur.sigma:g}-{blur.convention}"


def restoration_stage(
    config: ReproduceConfig, blur: BlurConfig, dataset: Dataset, workdir: Path, launch: Launch
) -> list[dict[str, Any]]:
    """Trains the U-Net of one blur setting and scores it, all others and doing nothing."""
    run = RestorerRun(seed=config.restorer_seed, data=config.data, blur=blur, unet=config.unet)
    directory = workdir / "restorers" / blur_name(blur)
    train_unet(run, dataset, directory, f"unet {blur_name(blur)}", launch)
    originals = np.asarray(dataset.images[dataset.test])
    blurred = degraded_images(originals, dataset.test, blur, config.restorer_seed)
    rows = [restoration_row("none", "none", blur, originals, blurred)]
    recipes = {"unet": unet_recipe(config.unet), "wiener": "flat", "wiener_net": "shipped"}
    for name, recipe in recipes.items():
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
    if name == "wiener_net":
        return restored_by_net(load_restorer(), blurred, blur)
    if name == "wiener":
        restorer = wiener_restorer(blur, dataset, config.restorer_seed)
    else:
        restorer = load_unet(config.unet, workdir / "restorers" / blur_name(blur))
    return in_batches(restorer, blurred)


def examples_stage(config: ReproduceConfig, dataset: Dataset, workdir: Path) -> list[str]:
    """Saves one test image of each class, blurred and restored, for the page to show."""
    labels = [dataset.records[row].label for row in dataset.test]
    titles = sorted(set(labels))
    rows = np.array([dataset.test[labels.index(title)] for title in titles])
    originals = np.asarray(dataset.images[rows])
    blurred = degraded_images(originals, rows, config.blur, config.restorer_seed)
    recovered = {
        f"recovered_{name}": restore(name, config, config.blur, dataset, workdir, blurred)
        for name in RESTORERS
    }
    arrays = {"titles": np.array(titles), "original": originals, "blurred": blurred}
    write_arrays(workdir / EXAMPLES, arrays | recovered)
    return titles
