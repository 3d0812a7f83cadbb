"""Fine-tuned classifiers: their inputs, kept on disk, their training and their predictions."""

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from jxr import rng
from jxr.config import FineTuningConfig
from jxr.data import batches
from jxr.data.augmentation import random_views
from jxr.data.stack import Stack
from jxr.evaluation.overlap import equal_classes
from jxr.models import abstract, apply
from jxr.studies.binary_tasks import Examples
from jxr.studies.features import Backbone, cached_features
from jxr.studies.restorers import in_batches
from jxr.training.checkpoints import load_params
from jxr.training.fine_tuning import build_tuned, fine_tuning_task
from jxr.training.launch import PLAIN, Launch
from jxr.training.loop import fit

Images = Float[np.ndarray, "n height width 1"]


class Answers(NamedTuple):
    """What is asked of each training image, one column a question.

    A weight of 0 says that a question does not apply. Both classes of a question have the same
    weight together, and the mean weight of the images that it applies to is 1.
    """

    labels: Float[np.ndarray, "n questions"]
    weights: Float[np.ndarray, "n questions"]


def answers(questions: Sequence[Examples], rows: Int[np.ndarray, " n"]) -> Answers:
    """Returns the answers of the images `rows`, which are sorted, to all questions."""
    labels, weights = (np.zeros((len(rows), len(questions)), np.float32) for _ in range(2))
    for column, asked in enumerate(questions):
        places = np.searchsorted(rows, asked.rows)
        labels[places, column] = asked.labels
        weights[places, column] = len(places) * equal_classes(asked.labels)
    return Answers(labels, weights)


def maps_side(config: FineTuningConfig) -> int:
    """Returns the side of the feature maps that the frozen blocks give."""
    return config.size // 2 ** (config.first_block - 1)


def frozen_maps(
    config: FineTuningConfig,
    backbone: Backbone,
    images: Images,
    cache: Path,
    *,
    title: str,
    source: dict[str, Any],
    mirrored: bool = False,
    view: int | None = None,
) -> Float[np.ndarray, "n features"]:
    """Returns what the frozen blocks give for images, flattened, as a float16 memory map.

    If no block is frozen, the shrunken images themselves, float16 in memory.

    Args:
        config: Which blocks, and which size the images are shrunk to.
        backbone: VGG-16.
        images: float32 in [0, 1].
        cache: Folder of the memory maps.
        title: For the progress display.
        source: What the images depend on (JSON-able).
        mirrored: Whether left and right change places.
        view: Number of a random view, which depends on it and on the image's place; None: no
            random view.
    """
    source = source | {"size": config.size, "mirrored": mirrored}
    if view is not None:
        source |= {"view": view, "augmentation": dataclasses.asdict(config.augmentation)}
    view_key = rng.at_step(rng.stream(jax.random.key(0), "view"), view or 0)

    def transform(batch: Array, rows: Array) -> Array:
        if view is not None:
            batch = random_views(batch, rows, view_key, config.augmentation)
        batch = batch[:, :, ::-1] if mirrored else batch
        shape = (len(batch), config.size, config.size, 1)
        return jax.image.resize(batch, shape, "linear", antialias=True)

    if config.first_block == 1:
        half = jax.jit(lambda *batch: transform(*batch).astype(np.float16))
        shrunk = in_batches(half, images, np.arange(len(images), dtype=np.int32))
        return shrunk.reshape(len(images), -1)
    return cached_features(
        backbone.up_to(config.first_block - 1),
        images,
        cache,
        title=title,
        source=source,
        transform=transform,
        half=True,
    )


def train_tuned(
    config: FineTuningConfig,
    backbone: Backbone,
    maps: Sequence[Float[np.ndarray, "n features"]],
    wanted: Answers,
    *,
    seed: int,
    directory: Path,
    title: str,
    launch: Launch = PLAIN,
) -> Any:
    """Trains the last blocks, or goes on with them; returns their parameters.

    Args:
        config: What learns, and how; an epoch is as many examples as there are images.
        backbone: VGG-16, from which they start.
        maps: `frozen_maps` of the images and of each of their views.
        wanted: The answers of the images.
        seed: Of the classifier's initial weights, dropout and order.
        directory: Gets checkpoints and metrics.
        title: For the progress display.
        launch: See `fit`.
    """
    labels, weights = (np.tile(values, (len(maps), 1)) for values in wanted)
    task = fine_tuning_task(
        config, labels.shape[1], backbone.params, backbone.convention, maps_side(config)
    )
    iterator = batches(
        {"features": Stack(maps), "labels": labels, "weights": weights},
        batch_size=config.schedule.batch_size,
        seed=seed,
    )
    return fit(
        task,
        iterator,
        schedule=config.schedule,
        steps=config.schedule.steps(len(maps[0])),
        seed=seed,
        directory=directory,
        title=title,
        launch=launch,
    )


def load_tuned(
    config: FineTuningConfig, backbone: Backbone, questions: int, directory: Path
) -> Any:
    """Returns the parameters that were trained in `directory`.

    Raises:
        UserError: there is no checkpoint, or it is of another network.
    """
    _, template = abstract(build_tuned(config, questions, backbone.convention))
    return load_params(directory / "checkpoints", template)


def predict_tuned(
    config: FineTuningConfig,
    backbone: Backbone,
    params: Any,
    maps: Sequence[Float[np.ndarray, "n features"]],
) -> Float[np.ndarray, "n questions"]:
    """Returns the log-odds of yes to each question, the mean over several maps of each image."""
    questions = params["log_odds"]["bias"].shape[0]
    graphdef, _ = abstract(build_tuned(config, questions, backbone.convention))
    side = maps_side(config)
    found = [
        in_batches(lambda batch: _log_odds(graphdef, side, params, batch), one) for one in maps
    ]
    return np.stack(found).mean(axis=0, dtype=np.float64)


@partial(jax.jit, static_argnums=(0, 1))
def _log_odds(graphdef: Any, side: int, params: Any, features: Array) -> Array:
    return apply(graphdef, params, features.reshape(len(features), side, side, -1))
