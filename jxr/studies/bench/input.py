"""Cases of the benchmark: images from files into the device's memory, beside Pillow alone."""

import functools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Float32
from PIL import Image

from jxr.data import folder_set, load_images
from jxr.data.tfds_prepare import prepare
from jxr.data.tfds_reader import tfds_set
from jxr.studies.bench.optics import chests
from jxr.studies.bench.timing import Case, against, one_by_one
from jxr.threads import cores

SIZE = 224
# Files, and pixels a side of each; about those of the Guangzhou set.
FILES = {"full": (384, 1024), "tiny": (6, 48)}
DISTINCT = 12


def input_cases(scale: str) -> Iterator[Case]:
    """JPEG files decoded and resized, and the same prepared once as 224x224, by TFDS.

    The peer opens the same files by Pillow, in as many threads, and puts them on the device.
    """
    count, size = FILES[scale]
    with tempfile.TemporaryDirectory(prefix="jxr-bench-") as folder:
        originals = Path(folder, "originals")
        write_chests(originals, count, size)
        files = folder_set(originals)
        paths = [originals / record.path for record in files.records]
        by_pillow = one_by_one(pillow, paths, cores())
        prepare(originals, folder, form="224")
        ready = tfds_set(folder)

        def loaded(images) -> jax.Array:
            return jax.block_until_ready(jax.device_put(load_images(images, size=SIZE)))

        def peer() -> jax.Array:
            return jax.block_until_ready(jax.device_put(np.stack(by_pillow())))

        for name, images, apart in (
            ("decode and resize", files, 1e-6),
            ("prepared 224x224", ready, 3e-3),  # rounded to 8 bits once more, brightest below 1
        ):
            ours = functools.partial(loaded, images)
            peer_name = f"Pillow, {cores()} threads; ours: {name}"
            yield against("input", peer_name, ours, peer, apart, count, ("pillow",))


def write_chests(folder: Path, count: int, size: int) -> None:
    """Writes a training set of both classes and a test set of two, JPEG, in the usual layout."""
    images = np.rint(255 * chests(min(DISTINCT, count), size)).astype(np.uint8)
    for number in range(count):
        split = "test" if number < 2 else "train"
        kind, name = (
            ("NORMAL", f"IM-{number:04d}-0001.jpeg"),
            ("PNEUMONIA", f"person{number}_bacteria_1.jpeg"),
        )[number % 2]
        path = folder / split / kind / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[number % len(images)]).save(path, quality=90)


def pillow(path: Path) -> Float32[np.ndarray, "height width 1"]:
    """What a short script would do with a file."""
    with Image.open(path) as image:
        small = np.asarray(
            Image.fromarray(np.asarray(image.convert("L"), np.float32) / np.float32(255)).resize(
                (SIZE, SIZE), Image.Resampling.BILINEAR
            )
        )
    return small[..., None]
