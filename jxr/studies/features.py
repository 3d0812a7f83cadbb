"""Features of the frozen VGG-16, computed once for each blur setting and kept on disk."""

import dataclasses
import hashlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import logging
from jaxtyping import Array, Float, Int
from tqdm import tqdm

from jxr.config import BlurConfig, WeightsConfig
from jxr.data import eval_batches
from jxr.models.vgg16 import extract, graphdef
from jxr.models.vgg16_weights import fetch, fingerprint, load_keras_notop, random_weights
from jxr.studies.dataset import Dataset
from jxr.training.tasks import blurred_images

BATCH = 16  # images; fastest or near it on CPUs, and small enough for any accelerator

Transform = Callable[[Array, Array], Array]


class Backbone(NamedTuple):
    """VGG-16's convolutions, ready to apply."""

    graphdef: Any
    params: Any
    fingerprint: str  # of the kernels


def load_backbone(config: WeightsConfig) -> Backbone:
    """Returns the convolutions with the kernels that the config names; fetches them if need be."""
    if config.kind == "random":
        params = random_weights(jax.random.key(config.seed))
    else:
        path = Path(config.path).expanduser() if config.path else fetch()
        params = load_keras_notop(path)
    return Backbone(graphdef(), params, fingerprint(params))


def cached_features(
    backbone: Backbone,
    images: Float[np.ndarray, "n height width 1"],
    cache: Path,
    *,
    title: str,
    source: dict[str, Any],
    transform: Transform | None = None,
) -> Float[np.ndarray, "n features"]:
    """Returns the flattened features of all images as a memory map; resumes where it stopped.

    Args:
        backbone: The convolutions.
        images: float32 in [0, 1].
        cache: Folder of the memory maps.
        title: For the progress display.
        source: What the features depend on besides the kernels (JSON-able): the images'
            fingerprint, the blur setting. It is part of the file's name, and a small JSON file
            beside the array records it.
        transform: (images, row numbers) -> images in [0, 1], jitted with the network, for example
            the blur. None: the images as they are.
    """
    source = {**source, "weights": backbone.fingerprint, "shape": list(images.shape)}
    text = json.dumps(source, sort_keys=True)
    path = cache / f"features-{hashlib.sha256(text.encode()).hexdigest()[:16]}.npy"
    if path.exists():
        return np.load(path, mmap_mode="r")

    def forward(params: Any, batch: Array, rows: Int[Array, " batch"]) -> Float[Array, "batch f"]:
        degraded = batch if transform is None else transform(batch, rows)
        return extract(backbone.graphdef, params, degraded)

    forward = jax.jit(forward)
    spec = jax.eval_shape(forward, backbone.params, images[:1], np.zeros(1, np.int32))
    partial, progress = path.with_suffix(".partial.npy"), path.with_suffix(".partial.json")
    shape = (len(images), spec.shape[1])
    done = 0
    if partial.exists() and progress.exists():
        done = json.loads(progress.read_text())["rows"]
        logging.info("%s: features resumed at image %d of %d", title, done, len(images))
    mode = "r+" if done else "w+"
    features = np.lib.format.open_memmap(partial, mode=mode, dtype=np.float32, shape=shape)
    quiet = not sys.stderr.isatty()
    with tqdm(total=len(images), initial=done, desc=title, unit="image", disable=quiet) as bar:
        rest = np.arange(done, len(images))
        for number, batch in enumerate(
            eval_batches({"image": images}, batch_size=BATCH, rows=rest)
        ):
            rows = batch["example_id"]
            kept = batch["mask"] > 0
            result = forward(backbone.params, batch["image"], rows)
            features[rows[kept]] = np.asarray(result)[kept]
            bar.update(int(kept.sum()))
            if number % 20 == 19:
                features.flush()
                finished = int(rows[kept][-1]) + 1
                progress.write_text(json.dumps({"rows": finished}))
                logging.info("%s: %d of %d images", title, finished, len(images))
    features.flush()
    path.with_suffix(".json").write_text(text)
    os.replace(partial, path)
    progress.unlink(missing_ok=True)
    return np.load(path, mmap_mode="r")


def dataset_features(
    backbone: Backbone,
    dataset: Dataset,
    cache: Path,
    *,
    resize: str,
    blur: BlurConfig | None,
    seed: int,
) -> Float[np.ndarray, "n features"]:
    """Returns the features of all images of a data set in one blur setting.

    Args:
        backbone: The convolutions.
        dataset: The images.
        cache: Folder of the memory maps.
        resize: The method that brought the images to their size.
        blur: The blur setting; None for the original images.
        seed: Of the noise, if the setting has any.
    """
    key = jax.random.key(seed)

    def transform(images: Array, rows: Array) -> Array:
        return images if blur is None else blurred_images(images, rows, key, blur)

    return cached_features(
        backbone,
        dataset.images,
        cache,
        title="blurred features" if blur else "original features",
        source={
            "data": dataset.fingerprint,
            "resize": resize,
            "blur": dataclasses.asdict(blur) if blur else None,
            "noise_seed": seed if blur and blur.noise else None,
        },
        transform=transform,
    )
