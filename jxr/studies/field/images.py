"""Which large images are scored and on which strengths are chosen, cropped, never resized."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from jxr.config import FieldConfig
from jxr.data import ImageSet
from jxr.errors import UserError
from jxr.studies.dataset import open_images

Crops = Float32[np.ndarray, "_images size size 1"]


class FieldImages(NamedTuple):
    """Crops of images of different patients.

    Attributes:
        scored: for the results.
        tuning: for the choice of strengths.
        scored_labels: of the scored ones, with how many are from the test split.
        fingerprint: SHA-256 of the whole set.
        notes: what whoever reads results should know.
    """

    scored: Crops
    tuning: Crops
    scored_labels: dict[str, int]
    fingerprint: str
    notes: tuple[str, ...]


def field_images(config: FieldConfig) -> FieldImages:
    """Returns the middles of images that are large enough, one image a patient.

    Test images are scored, and images of other splits where these are too few, for nothing is
    trained here; strengths are chosen on images of other patients outside the test split. The
    order outside the test split is random, by the config's seed.

    Raises:
        UserError: too few images are large enough.
    """
    images = open_images(config.data)
    records = images.records
    test = [row for row, record in enumerate(records) if record.split == "test"]
    rest = [row for row, record in enumerate(records) if record.split != "test"]
    rest = np.random.default_rng(config.seed).permutation(rest).tolist()
    seen: set[str] = set()
    size = config.data.size
    tuning = list(islice(large_crops(images, rest, size, seen), config.tuning_images))
    scored = list(islice(large_crops(images, [*test, *rest], size, seen), config.images))
    if len(tuning) < config.tuning_images or len(scored) < config.images:
        raise UserError(
            f"only {len(tuning)} + {len(scored)} images of different patients have {size} pixels a"
            " side: give fewer tuning_images and images, or a smaller data.size"
        )
    labels: dict[str, int] = {}
    for row, _ in scored:
        for kind in (records[row].label, *(["of the test split"] * (records[row].split == "test"))):
            labels[kind] = labels.get(kind, 0) + 1
    return FieldImages(
        np.stack([crop for _, crop in scored]),
        np.stack([crop for _, crop in tuning]),
        labels,
        images.fingerprint,
        images.notes,
    )


def large_crops(
    images: ImageSet, rows: Sequence[int], size: int, seen: set[str]
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields row and crop of images that are large enough, of patients not yet seen."""
    for row in rows:
        patient = images.records[row].patient
        if patient in seen:
            continue
        image = images.read(row)
        if min(image.shape[:2]) >= size:
            seen.add(patient)
            yield row, middle(image, size)


def middle(
    image: Float32[np.ndarray, "height width 1"], size: int
) -> Float32[np.ndarray, "size size 1"]:
    """Returns the square in the middle of an image."""
    top, left = ((n - size) // 2 for n in image.shape[:2])
    return image[top : top + size, left : left + size]
