"""Predictions over a grid of blur and noise, in one compiled program.

Every batch of images is blurred, made noisy, restored, and given to all classifiers in all settings
of the grid, without leaving the device.
"""

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from jaxtyping import Array, Float, Float64, Int, Key
from tqdm import tqdm

from jxr import rng
from jxr.config import BlurConfig, HeadConfig
from jxr.data import eval_batches
from jxr.files import write_arrays
from jxr.models import Restorer, abstract, apply
from jxr.models.vgg16 import extract
from jxr.optics import cut_profile, effective_sigma, gaussian_profile, kernel_radius
from jxr.studies.dataset import Dataset
from jxr.studies.features import Backbone, feature_count
from jxr.training.sweep import Mapped, best_mapping, mapping
from jxr.training.tasks import blurred_images, build_head

KINDS = ("blurred", "recovered")
BATCH = 8  # images, each in both kinds: as many as features are computed of at a time


class Grid(NamedTuple):
    """The settings, one after another."""

    sigmas: Float[Array, " settings"]
    noises: Float[Array, " settings"]


class Classifiers(NamedTuple):
    """What looks at the images: frozen convolutions, a restorer before them, heads after them.

    Attributes:
        backbone: VGG-16.
        restorer: For images of every blur.
        head: Config of the heads.
        heads: By task, the stacked parameters of its members.
    """

    backbone: Backbone
    restorer: Restorer
    head: HeadConfig
    heads: Mapping[str, Any]


def predict_grid(
    classifiers: Classifiers,
    dataset: Dataset,
    rows: Int[np.ndarray, " n"],
    grid: Grid,
    blur: BlurConfig,
    *,
    folder: Path,
    title: str,
    mapped: Mapped | None = None,
) -> dict[str, Float64[np.ndarray, "settings kinds members n"]]:
    """Returns the log-odds of the second class, by task; goes on where it stopped.

    Args:
        classifiers: Who predicts.
        dataset: The images.
        rows: Which of them.
        grid: Sigmas in pixels, noises as standard deviations.
        blur: The rest of the setting; its sigma is the largest of the grid.
        folder: Gets a file for each batch.
        title: For the progress display.
        mapped: How a device goes over the grid; by default as `best_mapping` says.
    """
    folder.mkdir(parents=True, exist_ok=True)
    key = rng.stream(jax.random.key(0), "noise")
    features = feature_count(dataset.images.shape[1])
    graph, _ = abstract(build_head(classifiers.head, features))
    static = blur, classifiers.backbone.convention, mapped or best_mapping()
    program = partial(_log_odds, static, graph)
    graphs = classifiers.backbone.graphdef, classifiers.restorer.graphdef
    params = classifiers.backbone.params, classifiers.restorer.params, dict(classifiers.heads)
    found = []
    quiet = not sys.stderr.isatty()
    with tqdm(total=len(rows), desc=title, unit="image", disable=quiet) as bar:
        for number, batch in enumerate(
            eval_batches({"image": dataset.images}, batch_size=BATCH, rows=rows)
        ):
            path = folder / f"{number:04d}.npz"
            if not path.exists():
                images = batch["image"], batch["example_id"]
                log_odds = program(*graphs, *params, *images, key, grid)
                write_arrays(path, {name: np.asarray(x) for name, x in log_odds.items()})
            kept = batch["mask"] > 0
            with np.load(path, allow_pickle=False) as arrays:
                found.append({name: arrays[name][..., kept] for name in classifiers.heads})
            bar.update(int(kept.sum()))
            if number % 5 == 4:
                logging.info("%s: %d of %d images", title, (number + 1) * BATCH, len(rows))
    return {
        name: np.concatenate([one[name] for one in found], axis=-1, dtype=np.float64)
        for name in classifiers.heads
    }


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _log_odds(
    static: tuple[BlurConfig, Any, Mapped],
    head: Any,
    backbone: Any,
    restorer: Any,
    convolutions: Any,
    restorer_params: Any,
    heads: dict[str, Any],
    images: Float[Array, "batch height width 1"],
    ids: Int[Array, " batch"],
    key: Key[Array, ""],
    grid: Grid,
) -> dict[str, Float[Array, "settings kinds members batch"]]:
    """Returns what all heads say of all images in all settings."""
    blur, convention, mapped = static
    radius = kernel_radius(blur.sigma, blur.convention)
    step = 1 / 255 if blur.input_precision == "8bit" else 0.0

    def in_setting(sigma: Array, noise: Array) -> dict[str, Array]:
        blurred = blurred_images(images, ids, key, blur, sigma, noise)
        profile = gaussian_profile(
            sigma, radius=radius, convention=blur.convention, sampling=blur.sampling
        )
        kernel = cut_profile(profile, effective_sigma(sigma, blur.convention))
        restore = Restorer(restorer, restorer_params)
        recovered = restore(blurred, kernel, noise=noise, quantisation=step)
        seen = jnp.concatenate([blurred, recovered])
        features = extract(backbone, convolutions, seen, convention)

        def member(params: Any) -> Array:
            logits = apply(head, params, features)
            return (logits[:, 1] - logits[:, 0]).reshape(len(KINDS), -1)

        # (members, kinds, batch) -> (kinds, members, batch)
        return {name: jax.vmap(member)(params).swapaxes(0, 1) for name, params in heads.items()}

    return mapping(mapped)(in_setting)(*grid)
