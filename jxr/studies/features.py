"""Features of the frozen VGG-16, computed once for each blur setting and kept on disk."""

import dataclasses
import hashlib
import json
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import logging
from jaxtyping import Array, Float
from tqdm import tqdm

from jxr import rng
from jxr.config import BlurConfig, WeightsConfig
from jxr.data import eval_batches
from jxr.files import exclusive, require_space, write_json
from jxr.models.vgg16 import LAYERS, Convention, blocks, extract, graphdef
from jxr.models.vgg16_weights import fetch, fingerprint, load_vgg16_weights, random_weights
from jxr.studies.dataset import Dataset
from jxr.training.processes import first_process_first
from jxr.training.tasks import blurred_images

VERSION = 1  # raised when the features of the same images change
BATCH = 16  # images; fastest or near it on CPUs, and small enough for any accelerator

Transform = Callable[[Array, Array], Array]


class Backbone(NamedTuple):
    """VGG-16's convolutions, or its first blocks, ready to apply."""

    graphdef: Any
    params: Any
    fingerprint: str  # of the weights
    convention: Convention  # of the images that the weights want
    last_block: int = 5

    def up_to(self, last_block: int) -> "Backbone":
        """Returns the blocks from the first to the one named."""
        return self._replace(
            graphdef=graphdef(1, last_block),
            params=blocks(self.params, 1, last_block),
            last_block=last_block,
        )


def feature_count(size: int) -> int:
    """Returns how many features there are of an image: all channels, after five poolings."""
    return (size // 32) ** 2 * LAYERS[-1][2]


def load_backbone(config: WeightsConfig) -> Backbone:
    """Returns the convolutions with the weights that the config names; fetches them if need be."""
    if config.kind == "random":
        params = random_weights(jax.random.key(config.seed))
        return Backbone(graphdef(), params, fingerprint(params), "caffe")
    with first_process_first():
        path = Path(os.path.expanduser(config.path)) if config.path else fetch()
    weights = load_vgg16_weights(path)
    return Backbone(graphdef(), weights.params, weights.fingerprint, weights.convention)


def cached_features(
    backbone: Backbone,
    images: Float[np.ndarray, "n height width 1"],
    cache: Path,
    *,
    title: str,
    source: dict[str, Any],
    transform: Transform | None = None,
    half: bool = False,
) -> Float[np.ndarray, "n features"]:
    """Returns the flattened features of all images as a memory map; resumes where it stopped.

    Args:
        backbone: The convolutions.
        images: float32 in [0, 1].
        cache: Folder of the memory maps.
        title: For the progress display.
        source: What the features depend on besides the weights (JSON-able): the images'
            fingerprint, the blur setting. It is part of the file's name, and a small JSON file
            beside the array records it.
        transform: (images, row numbers) -> images in [0, 1], jitted, for example the blur. None:
            the images as they are.
        half: Keeps them in float16, in half the space, rounded to three digits.
    """
    source = {
        **source,
        "version": VERSION,
        "weights": backbone.fingerprint,
        "shape": list(images.shape),
        "platform": jax.default_backend(),  # accelerators multiply at lower precision
    }
    if backbone.convention != "caffe":  # left out of it, so that older caches stay valid
        source["convention"] = backbone.convention
    if backbone.last_block != 5:
        source["last_block"] = backbone.last_block
    if half:
        source["dtype"] = "float16"
    text = json.dumps(source, sort_keys=True)
    path = cache / f"features-{hashlib.sha256(text.encode()).hexdigest()[:16]}.npy"
    busy = f"{title}: another run is computing them"
    several = jax.process_count() > 1  # of one training, they wait for each other
    with first_process_first():
        if not path.exists():
            with exclusive(path.with_suffix(".lock"), busy, "--cache", wait=several):
                if not path.exists():
                    extract_to(path, backbone, images, title, transform, half)
                    write_json(path.with_suffix(".json"), source)
    return np.load(path, mmap_mode="r", allow_pickle=False)


def extract_to(
    path: Path,
    backbone: Backbone,
    images: Float[np.ndarray, "n height width 1"],
    title: str,
    transform: Transform | None,
    half: bool,
) -> None:
    """Computes the features into `path`, by way of a partial file that a later call continues."""

    # Apart from the network, which is then compiled once for all transforms.
    prepare = jax.jit(transform or (lambda batch, rows: batch))

    def forward(batch: Any, rows: Any) -> Float[Array, "batch features"]:
        kind = backbone.graphdef, backbone.convention, half
        return _features(*kind, backbone.params, prepare(batch, rows))

    spec = jax.eval_shape(forward, images[:1], np.zeros(1, np.int32))
    unfinished, progress = path.with_suffix(".partial.npy"), path.with_suffix(".partial.json")
    shape = (len(images), spec.shape[1])
    done = 0
    if unfinished.exists() and progress.exists():
        done = json.loads(progress.read_text())["rows"]
        logging.info("%s: features resumed at image %d of %d", title, done, len(images))
    else:
        progress.unlink(missing_ok=True)
        require_space(path.parent, spec.dtype.itemsize * shape[0] * shape[1])
    mode = "r+" if done else "w+"
    features = np.lib.format.open_memmap(unfinished, mode=mode, dtype=spec.dtype, shape=shape)
    quiet = not sys.stderr.isatty()
    with tqdm(total=len(images), initial=done, desc=title, unit="image", disable=quiet) as bar:
        rest = np.arange(done, len(images))
        for number, batch in enumerate(
            eval_batches({"image": images}, batch_size=BATCH, rows=rest)
        ):
            rows = batch["example_id"]
            kept = batch["mask"] > 0
            result = forward(batch["image"], rows)
            features[rows[kept]] = np.asarray(result)[kept]
            bar.update(int(kept.sum()))
            if number % 20 == 19:
                features.flush()
                finished = int(rows[kept][-1]) + 1
                write_json(progress, {"rows": finished})
                logging.info("%s: %d of %d images", title, finished, len(images))
    features.flush()
    progress.unlink(missing_ok=True)
    os.replace(unfinished, path)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _features(
    graphdef: Any, convention: Convention, half: bool, params: Any, images: Array
) -> Float[Array, "batch features"]:
    features = extract(graphdef, params, images, convention)
    return features.astype(np.float16) if half else features


def dataset_features(
    backbone: Backbone,
    dataset: Dataset,
    cache: Path,
    *,
    blur: BlurConfig | None,
    seed: int = 0,
) -> Float[np.ndarray, "n features"]:
    """Returns the features of all images of a data set in one blur setting.

    Args:
        backbone: The convolutions.
        dataset: The images.
        cache: Folder of the memory maps.
        blur: The blur setting; None for the original images.
        seed: Of the noise, if the setting has any.
    """
    key = rng.stream(jax.random.key(seed), "noise")

    def transform(images: Array, rows: Array) -> Array:
        return images if blur is None else blurred_images(images, rows, key, blur)

    return cached_features(
        backbone,
        dataset.images,
        cache,
        title="blurred features" if blur else "original features",
        source={
            "data": dataset.fingerprint,
            "resize": dataset.resize,
            "blur": dataclasses.asdict(blur) if blur else None,
            "noise_seed": seed if blur and blur.noise else None,
        },
        transform=transform,
    )
