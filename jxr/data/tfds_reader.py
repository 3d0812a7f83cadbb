"""Reading the Guangzhou set as TensorFlow Datasets prepared it, without TensorFlow."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from jxr.data.image_set import ImageSet
from jxr.data.images import decode_image
from jxr.data.records import Record, check_counts
from jxr.errors import UserError

NAME = "chest_xray_guangzhou"
INFO_FILE = "dataset_info.json"
REMEDY = "remove the folder and prepare it again (python -m experiments.prepare)"

# A folder above a prepared one: NAME/FORM/VERSION/INFO_FILE.
PATTERNS = (INFO_FILE, f"*/{INFO_FILE}", f"*/*/{INFO_FILE}", f"{NAME}/*/*/{INFO_FILE}")


def is_prepared(path: str | Path) -> bool:
    """Tells whether `path` is, or is above, a folder that TFDS prepared."""
    return bool(prepared_folders(Path(path)))


def prepared_folders(path: Path) -> list[Path]:
    """Lists the prepared folders at or below `path`; those still being written are left out."""
    found = {file.parent for pattern in PATTERNS for file in path.glob(pattern)}
    return sorted(folder for folder in found if ".incomplete" not in folder.name)


def tfds_set(path: str | Path) -> ImageSet:
    """Opens a prepared set: `.../chest_xray_guangzhou/FORM/VERSION`, or a folder above just one.

    The fingerprint is over what is stored. For the form `original` these are the files, so it is
    that of the unpacked archive.

    Raises:
        UserError: there is none or more than one, or it is another set, or files are missing or
            damaged; a damaged image is found when it is read.
    """
    folders = prepared_folders(Path(path))
    if not folders:
        raise UserError(
            f"{path}: no prepared data set; prepare it by python -m experiments.prepare"
        )
    if len(folders) > 1:
        choice = ", ".join(str(folder.relative_to(path)) for folder in folders)
        raise UserError(f"{path}: several prepared data sets ({choice}); give the path of one")
    return open_folder(folders[0])


def open_folder(folder: Path) -> ImageSet:
    """Opens one prepared folder."""
    import tensorflow_datasets as tfds  # not needed by those who read other kinds of sets

    try:
        builder = tfds.builder_from_directory(folder)
    except Exception as error:  # TFDS lets whatever its parsers raise through
        raise damaged(folder / INFO_FILE, error) from error
    if builder.name != NAME:
        raise UserError(f"{folder}: the data set {builder.name}; only {NAME} is known")
    try:
        records = tuple(Record(*values) for values in builder.info.metadata["records"])
        fingerprint = str(builder.info.metadata["fingerprint"])
        skipped = list(builder.info.metadata["skipped"])
        feature = builder.info.features["image"]
    except Exception as error:
        raise damaged(folder / "metadata.json", error) from error
    splits = builder.info.splits
    check_files(splits)
    # Without decoders TFDS would decode by OpenCV where it finds it, and by Pillow elsewhere.
    sources = builder.as_data_source(decoders={"image": tfds.decode.SkipDecoding()})
    if {name: len(source) for name, source in sources.items()} != Counter(
        record.split for record in records
    ):
        raise UserError(f"{folder}: its files belong to several data sets; {REMEDY}")

    shape = feature.shape if isinstance(feature, tfds.features.Tensor) else None
    notes = [check_counts(records)]
    if shape is not None:
        notes.append(
            f"Prepared images: {builder.builder_config.description} Rounding to 8 bits has a mean"
            " squared error of 1.3e-6."
        )
    if skipped:
        notes.append(f"broken images that were left out ({len(skipped)}): {', '.join(skipped)}")
    return ImageSet(
        records=records,
        fingerprint=fingerprint,
        read=Reader(folder, records, sources, shape),
        notes=tuple(note for note in notes if note),
    )


class Reader:
    """Reads images by their row among the records."""

    def __init__(
        self,
        folder: Path,
        records: Sequence[Record],
        sources: dict[str, Any],
        shape: tuple[int, ...] | None,
    ):
        self._folder, self._records, self._sources, self._shape = folder, records, sources, shape
        self._places: list[int] = []  # of each row in its split, where the order is the same
        seen = dict.fromkeys(sources, 0)
        for record in records:
            self._places.append(seen[record.split])
            seen[record.split] += 1

    def __call__(self, row: int) -> Float32[np.ndarray, "height width 1"]:
        """Returns one image; UserError if its record is damaged."""
        record = self._records[row]
        name = f"{self._folder}, {record.path}"
        try:
            example = self._sources[record.split][self._places[row]]
            found = example["file_name"].decode()
        except Exception as error:  # array_record lets whatever its C++ code throws through
            raise damaged(name, error) from error
        if found != record.path:
            raise UserError(f"{name}: {found} lies in its place; {REMEDY}")
        if self._shape is None:
            return decode_image(example["image"], name)
        pixels = np.frombuffer(example["image"], np.uint8).reshape(self._shape)
        return pixels / np.float32(255)


def check_files(splits: Any) -> None:
    """Raises UserError unless all record files are there and hold as many records as noted."""
    from array_record.python.array_record_module import ArrayRecordReader

    for split in splits.values():
        for file, length in zip(split.filepaths, split.shard_lengths, strict=True):
            if not Path(file).is_file():
                raise UserError(f"{file}: no such record file; {REMEDY}")
            try:
                reader = ArrayRecordReader(str(file))
                found = reader.num_records()
                reader.close()
            except Exception as error:
                raise damaged(file, error) from error
            if found != length:
                raise UserError(f"{file}: {found} records instead of {length}; {REMEDY}")


def damaged(what: Any, error: Exception) -> UserError:
    """Returns the error for something that cannot be read, with the first line of its cause."""
    cause = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return UserError(f"{what}: missing or damaged ({cause}); {REMEDY}")
