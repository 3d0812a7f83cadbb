"""The classifiers of a study by recipe: what each trains on, and the log-odds it gives."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Float64

from jxr.config import ClassificationConfig
from jxr.models import load_restorer
from jxr.studies.binary_tasks import Examples, binary_task, default_tasks, examples
from jxr.studies.classification.fine_tuning import (
    answers,
    frozen_maps,
    load_tuned,
    predict_tuned,
    train_tuned,
)
from jxr.studies.classifiers import load_head, predict, train_head
from jxr.studies.dataset import Dataset
from jxr.studies.features import Backbone, cached_features, dataset_features
from jxr.studies.restorers import degraded_images
from jxr.studies.wiener_nets import restored_by_net
from jxr.training.launch import Launch

TRAIN_ON = ("original", "blurred")
KINDS = (*TRAIN_ON, "recovered")  # of the images that classifiers meet

Images = Float[np.ndarray, "n height width 1"]
Maps = Float[np.ndarray, "n features"]
# Of every image to every question, whether it applies or not.
LogOdds = Float64[np.ndarray, "seeds n tasks"]


class Inputs(NamedTuple):
    """What a study's classifiers are trained on and meet."""

    config: ClassificationConfig
    dataset: Dataset
    backbone: Backbone
    workdir: Path
    cache: Path

    @property
    def tasks(self) -> tuple[str, ...]:
        """Returns the names of the questions, in order."""
        return self.config.tasks or default_tasks(self.dataset.records)

    def examples(self, part: str) -> list[Examples]:
        """Returns which images of a part each question is about, in the order of the questions."""
        rows = np.sort(self.dataset.part(part))
        records = self.dataset.records
        return [examples(binary_task(name, records), records, rows) for name in self.tasks]

    def images(self, part: str, kind: str) -> Images:
        """Returns a part's images, sorted by row: as they are, blurred, or restored after it."""
        rows = np.sort(self.dataset.part(part))
        originals = np.asarray(self.dataset.images[rows])
        if kind == "original":
            return originals
        blurred = degraded_images(originals, rows, self.config.blur, seed=0)
        if kind == "blurred":
            return blurred
        return restored_by_net(load_restorer(), blurred, self.config.blur)

    def source(self, part: str, kind: str) -> dict[str, Any]:
        """Returns what `images` depends on."""
        data = self.config.data
        source: dict[str, Any] = {
            "data": self.dataset.fingerprint,
            "resize": data.resize,
            "part": [part, data.validation_fraction, data.split_seed],
        }
        if kind != "original":
            source["blur"] = dataclasses.asdict(self.config.blur)
        if kind == "recovered":
            source["restorer"] = load_restorer().fingerprint
        return source


def train_heads(inputs: Inputs, train_on: str, launch: Launch) -> None:
    """Trains the report's heads on the frozen convolutions: one for each question and seed."""
    features = kept_features(inputs, "train", train_on)
    rows = np.sort(inputs.dataset.part("train"))
    for name, chosen in zip(inputs.tasks, inputs.examples("train"), strict=True):
        for seed in inputs.config.seeds:
            folder = head_folder(inputs, train_on, name, seed)
            train_head(
                inputs.config.head,
                features,
                chosen._replace(rows=np.searchsorted(rows, chosen.rows)),
                seed=seed,
                directory=folder,
                title=f"{name} on {train_on}, seed {seed}",
                launch=launch,
            )


def head_features(
    inputs: Inputs, images: Images, part: str, kind: str
) -> Float[np.ndarray, "n features"]:
    """Returns VGG-16's features of `inputs.images(part, kind)`."""
    if kind != "recovered":
        return kept_features(inputs, part, kind)
    return cached_features(
        inputs.backbone,
        images,
        inputs.cache,
        title=f"recovered {part} features",
        source=inputs.source(part, kind),
    )


def kept_features(inputs: Inputs, part: str, kind: str) -> Float[np.ndarray, "n features"]:
    """Returns a part's rows of the features that all studies share, sorted by row."""
    return dataset_features(
        inputs.backbone,
        inputs.dataset,
        inputs.cache,
        blur=inputs.config.blur if kind == "blurred" else None,
    )[np.sort(inputs.dataset.part(part))]


def head_log_odds(
    inputs: Inputs, train_on: str, features: Float[np.ndarray, "n features"]
) -> LogOdds:
    """Returns what the report's heads say of images with these features."""
    config = inputs.config.head

    def column(name: str, seed: int) -> np.ndarray:
        folder = head_folder(inputs, train_on, name, seed)
        return predict(config, load_head(config, features.shape[1], folder), features)

    return np.stack(
        [
            np.stack([column(name, seed) for name in inputs.tasks], axis=1)
            for seed in inputs.config.seeds
        ]
    )


def head_folder(inputs: Inputs, train_on: str, task: str, seed: int) -> Path:
    """Returns where a head is kept."""
    return inputs.workdir / "heads" / f"{task}-{train_on}-seed{seed}"


def train_fine_tuned(inputs: Inputs, train_on: str, launch: Launch) -> None:
    """Trains the last blocks for all questions at once: once a seed."""
    config = inputs.config.tuned
    images = inputs.images("train", train_on)
    views = [None, *range(1, config.views + 1)]
    maps = [tuned_maps(inputs, images, "train", train_on, view=view) for view in views]
    wanted = answers(inputs.examples("train"), np.sort(inputs.dataset.part("train")))
    for seed in inputs.config.seeds:
        train_tuned(
            config,
            inputs.backbone,
            maps,
            wanted,
            seed=seed,
            directory=tuned_folder(inputs, train_on, seed),
            title=f"fine-tuning on {train_on}, seed {seed}",
            launch=launch,
        )


def both_maps(inputs: Inputs, images: Images, part: str, kind: str) -> list[Maps]:
    """Returns what the frozen blocks give for the images and for their mirror images."""
    return [tuned_maps(inputs, images, part, kind, mirrored=mirrored) for mirrored in (False, True)]


def tuned_maps(
    inputs: Inputs,
    images: Images,
    part: str,
    kind: str,
    *,
    mirrored: bool = False,
    view: int | None = None,
) -> Maps:
    """Returns what the frozen blocks give for `inputs.images(part, kind)`."""
    what = "" if view is None else f" view {view}"
    return frozen_maps(
        inputs.config.tuned,
        inputs.backbone,
        images,
        inputs.cache,
        title=f"{kind} {part}{what}{' mirrored' if mirrored else ''} features",
        source=inputs.source(part, kind),
        mirrored=mirrored,
        view=view,
    )


def fine_tuned_log_odds(inputs: Inputs, train_on: str, maps: list[Maps]) -> LogOdds:
    """Returns what the fine-tuned networks say, the mean over the maps of each image."""
    config = inputs.config.tuned
    folders = [tuned_folder(inputs, train_on, seed) for seed in inputs.config.seeds]

    def said(folder: Path) -> np.ndarray:
        params = load_tuned(config, inputs.backbone, len(inputs.tasks), folder)
        return predict_tuned(config, inputs.backbone, params, maps)

    return np.stack([said(folder) for folder in folders])


def tuned_folder(inputs: Inputs, train_on: str, seed: int) -> Path:
    """Returns where a fine-tuned network is kept."""
    return inputs.workdir / "tuned" / f"{train_on}-seed{seed}"


class Recipe(NamedTuple):
    """How classifiers are trained, what they are given of a part's images, what they say of it."""

    train: Callable[[Inputs, str, Launch], None]
    given: Callable[[Inputs, Images, str, str], Any]
    log_odds: Callable[[Inputs, str, Any], LogOdds]


RECIPES = {
    "report": Recipe(train_heads, head_features, head_log_odds),
    "fine-tuned": Recipe(train_fine_tuned, both_maps, fine_tuned_log_odds),
}
