"""The images of a run in memory, with their split by patient."""

import dataclasses
from pathlib import Path

import numpy as np
from absl import logging
from jaxtyping import Float, Int

from jxr.config import DataConfig
from jxr.data import (
    Record,
    check_counts,
    data_fingerprint,
    index_folder,
    load_images,
    split_by_patient,
)
from jxr.errors import UserError


@dataclasses.dataclass(frozen=True)
class Dataset:
    """All images of a folder, one row a record.

    Attributes:
        records: Sorted by path.
        images: float32 in [0, 1], one channel; a read-only memory map.
        train, validation, test: Rows; no patient of train is in validation.
        fingerprint: SHA-256 over names and contents of the files.
    """

    records: tuple[Record, ...]
    images: Float[np.ndarray, "n size size 1"]
    train: Int[np.ndarray, " train"]
    validation: Int[np.ndarray, " validation"]
    test: Int[np.ndarray, " test"]
    fingerprint: str

    def part(self, name: str) -> Int[np.ndarray, " rows"]:
        """Returns the rows of `train`, `validation` or `test`."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]


def log_progress(done: int, total: int) -> None:
    """Says every thousand images how far decoding is."""
    if done % 1000 == 0:
        logging.info("decoded %d of %d images", done, total)


def load_dataset(config: DataConfig, cache: Path) -> Dataset:
    """Reads the folder `config.path`; decoded images are kept under `cache`.

    Raises:
        UserError: no folder is given, or what it holds cannot be used.
    """
    if not config.path:
        raise UserError("no images: give --config.data.path=FOLDER (with train/ and test/ inside)")
    root = Path(config.path).expanduser()
    records = index_folder(root)
    note = check_counts(records)
    if note:
        logging.warning("%s", note)
    images = load_images(
        root,
        records,
        size=config.size,
        resize=config.resize,
        cache=cache,
        progress=log_progress,
    )
    train, validation = split_by_patient(
        records, fraction=config.validation_fraction, seed=config.split_seed
    )
    row = {record.path: number for number, record in enumerate(records)}
    test = [record for record in records if record.split == "test"]
    logging.info("images: %d train, %d validation, %d test", len(train), len(validation), len(test))
    return Dataset(
        records=records,
        images=images,
        train=np.array([row[record.path] for record in train]),
        validation=np.array([row[record.path] for record in validation]),
        test=np.array([row[record.path] for record in test]),
        fingerprint=data_fingerprint(root, records),
    )
