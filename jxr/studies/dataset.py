"""The images of a run: any source opened, brought to one size, split by patient."""

import dataclasses
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging
from jaxtyping import Float, Int

from jxr.config import DataConfig
from jxr.data import (
    ImageSet,
    Record,
    csv_set,
    folder_set,
    load_images,
    medmnist_set,
    phantom_set,
    split_by_patient,
)
from jxr.data.tfds_reader import is_prepared, tfds_set
from jxr.errors import UserError
from jxr.training.processes import first_process_first

# Of each class: at 10, 95 % intervals of an AUC over patients with five images each covered it in
# 91 % of simulations, at 5 in 86 %, at 2 in 62 %.
FEW = 10


@dataclasses.dataclass(frozen=True)
class Dataset:
    """All images of a folder, one row a record.

    Attributes:
        records: Sorted by path.
        images: float32 in [0, 1], one channel; a read-only memory map.
        train, validation, test: Rows; no patient of train is in validation, unless the source
            splits so (`notes` says it then).
        fingerprint: SHA-256 of what the images are.
        resize: The method that brought them to their size.
        notes: What whoever reads results of these images should know, those of test above all.
    """

    records: tuple[Record, ...]
    images: Float[np.ndarray, "n size size 1"]
    train: Int[np.ndarray, " train"]
    validation: Int[np.ndarray, " validation"]
    test: Int[np.ndarray, " test"]
    fingerprint: str
    resize: str
    notes: tuple[str, ...] = ()

    def part(self, name: str) -> Int[np.ndarray, " rows"]:
        """Returns the rows of `train`, `validation` or `test`."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]

    def patients(self, rows: Int[np.ndarray, " rows"]) -> np.ndarray:
        """Returns whose each of these images is."""
        return np.array([self.records[row].patient for row in rows])

    def notes_on(self, part: str) -> list[str]:
        """Returns the notes, with one on few patients in this part, whose scores are read."""
        few = few_patients([self.records[row] for row in self.part(part)], part)
        return list(dict.fromkeys([*self.notes, *few]))

    def counts(self) -> dict[str, dict[str, Any]]:
        """Returns how many images, patients and images of each class a part has, for results."""
        counts = {}
        for name in ("train", "validation", "test"):
            rows = self.part(name)
            labels = Counter(self.records[row].label for row in rows)
            counts[name] = {
                "images": len(rows),
                "patients": len(set(self.patients(rows).tolist())),
                "classes": dict(sorted(labels.items())),
            }
        return counts


def log_progress(done: int, total: int) -> None:
    """Says every thousand images how far decoding is."""
    if done % 1000 == 0:
        logging.info("decoded %d of %d images", done, total)


def open_images(config: DataConfig) -> ImageSet:
    """Opens the images that the config names: phantoms, or whatever lies at `config.path`.

    Raises:
        UserError: nothing is named, or it cannot be used.
    """
    if config.source == "phantoms":
        counts = config.phantoms
        return phantom_set(train=counts.train, test=counts.test, seed=counts.seed, size=config.size)
    if not config.path:
        raise UserError(
            "no images: give --config.data.path=PATH (an image folder with train/ and test/, a CSV"
            " file, pneumoniamnist.npz, a prepared data set) or --config.data.source=phantoms"
        )
    # Unlike Path's own, it leaves ~NAME of nobody as it is: a path that is not there, told below.
    path = Path(os.path.expanduser(config.path))
    if path.suffix.lower() == ".csv":
        return csv_set(path)
    if path.suffix.lower() == ".npz":
        return medmnist_set(path)
    if path.suffix.lower() == ".zip":
        raise UserError(
            f"{path}: an archive; unpack it, or prepare it once by python -m experiments.prepare"
            f" --source={path} --output=FOLDER, and give that folder"
        )
    return tfds_set(path) if is_prepared(path) else folder_set(path)


def load_dataset(config: DataConfig, cache: Path) -> Dataset:
    """Returns the images that the config names; decoded images are kept under `cache`.

    Raises:
        UserError: no images are named, or they cannot be used.
    """
    images = open_images(config)
    records = images.records
    tested = [record for record in records if record.split == "test"]
    notes = (*images.notes, *shared_patients(records), *few_patients(tested, "test"))
    for note in notes:
        logging.warning("%s", note)
    train, validation, test = split_parts(records, config)
    logging.info("images: %d train, %d validation, %d test", len(train), len(validation), len(test))
    with first_process_first():
        pixels = load_images(
            images, size=config.size, resize=config.resize, cache=cache, progress=log_progress
        )
    row = {record.path: number for number, record in enumerate(records)}
    return Dataset(
        records=records,
        images=pixels,
        train=np.array([row[record.path] for record in train]),
        validation=np.array([row[record.path] for record in validation]),
        test=np.array([row[record.path] for record in test]),
        fingerprint=images.fingerprint,
        resize=config.resize,
        notes=notes,
    )


def split_parts(records: Sequence[Record], config: DataConfig) -> tuple[Sequence[Record], ...]:
    """Returns train, validation and test; validation is drawn by patient where none is given."""
    train, validation, test = (
        [record for record in records if record.split == split]
        for split in ("train", "validation", "test")
    )
    for name, part in (("train", train), ("test", test)):
        if not part:
            raise UserError(f"no {name} images: put some into the split '{name}'")
    if validation:
        return train, validation, test
    fraction, seed = config.validation_fraction, config.split_seed
    return *split_by_patient(records, fraction=fraction, seed=seed), test


def shared_patients(records: Sequence[Record]) -> list[str]:
    """Returns a note if patients have images in several splits, as far as their names tell."""
    splits: dict[str, set[str]] = {}
    for record in records:
        splits.setdefault(record.patient, set()).add(record.split)
    several = sum(len(kinds) > 1 for kinds in splits.values())
    if not several:
        return []
    return [
        f"{several} patient names occur in more than one split: if they are the same patients,"
        " scores are too good."
    ]


def few_patients(records: Sequence[Record], part: str) -> list[str]:
    """Returns a note if a class has few patients in a part: a bootstrap knows of no others."""
    patients: dict[str, set[str]] = {}
    for record in records:
        patients.setdefault(record.label, set()).add(record.patient)
    few = [
        f"{len(names)} with '{label}'"
        for label, names in sorted(patients.items())
        if len(names) < FEW
    ]
    if not few:
        return []
    return [f"patients with {part} images: {', '.join(few)}: intervals over so few are too narrow."]
