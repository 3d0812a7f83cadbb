"""A set of labelled images, wherever it comes from: files, a prepared data set, a formula."""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from jxr.data.images import read_image
from jxr.data.radiograph import read_content
from jxr.data.records import Record
from jxr.errors import UserError
from jxr.threads import cores

CHUNK = 128  # files hashed at a time: bounds the memory, keeps every thread busy


@dataclass(frozen=True)
class ImageSet:
    """Labelled images that are read one by one, in any order and from several threads.

    Attributes:
        records: one an image, sorted by path.
        fingerprint: SHA-256 of what the images are; equal sets have equal ones.
        read: row -> that record's image, float32 in [0, 1], of whatever size it has.
        notes: lines that whoever reads the results should know.
    """

    records: tuple[Record, ...]
    fingerprint: str
    read: Callable[[int], Float32[np.ndarray, "height width 1"]]
    notes: tuple[str, ...] = ()


def file_set(root: str | Path, records: Sequence[Record], notes: Sequence[str] = ()) -> ImageSet:
    """Returns the set of image files whose paths start from the folder `root`.

    Raises:
        UserError: a file cannot be read, or its name is not UTF-8.
    """
    root = Path(root)
    return ImageSet(
        records=tuple(records),
        fingerprint=data_fingerprint(root, records),
        read=lambda row: read_image(root / records[row].path),
        notes=tuple(notes),
    )


def data_fingerprint(root: str | Path, records: Sequence[Record]) -> str:
    """Returns a SHA-256 over the images' paths and bytes, in the order of the records.

    Paths count from the split folder on, so that an archive nested in more folders is the same.

    Raises:
        UserError: a file cannot be read, or its name is not UTF-8.
    """
    root = Path(root)

    def line(record: Record) -> bytes:
        return fingerprint_line(record.path, read_content(root / record.path))

    whole = hashlib.sha256()
    with ThreadPoolExecutor(cores()) as pool:
        for start in range(0, len(records), CHUNK):
            for digest in pool.map(line, records[start : start + CHUNK]):
                whole.update(digest)
    return whole.hexdigest()


def fingerprint_line(path: str, content: bytes) -> bytes:
    """Returns what one encoded image adds to the fingerprint of its set.

    Raises:
        UserError: its name is not UTF-8; results could not be written with it.
    """
    name = "/".join(path.split("/")[-3:])
    try:
        return f"{name} {hashlib.sha256(content).hexdigest()}\n".encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{path!a}: a name that is not UTF-8; rename the file") from error
