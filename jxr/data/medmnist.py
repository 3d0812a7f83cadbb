"""PneumoniaMNIST, MedMNIST's form of the Guangzhou set: two classes, 28 to 224 pixels."""

import hashlib
from pathlib import Path

import numpy as np

from jxr.data.image_set import ImageSet
from jxr.data.records import Record, Split
from jxr.errors import UserError

# Yang et al. 2023, doi:10.1038/s41597-022-01721-8: names of the arrays, and of the labels 0 and 1.
SPLITS: dict[str, Split] = {"train": "train", "val": "validation", "test": "test"}
CLASSES = ("normal", "pneumonia")
NOTES = (
    "PneumoniaMNIST holds the same patients as the Guangzhou set, cropped and resized: never train"
    " on one and test on the other.",
    "PneumoniaMNIST does not say which images are of one patient; its own validation images are"
    " used.",
)


def medmnist_set(file: str | Path) -> ImageSet:
    """Opens `pneumoniamnist.npz` or `pneumoniamnist_SIZE.npz`, as MedMNIST publishes them.

    Raises:
        UserError: the file cannot be read, or is not PneumoniaMNIST.
    """
    file = Path(file)
    if not file.name.startswith("pneumoniamnist"):
        raise UserError(
            f"{file}: of MedMNIST only PneumoniaMNIST is a chest X-ray set with these two classes;"
            " give its file pneumoniamnist.npz or pneumoniamnist_224.npz"
        )
    records, images, digest = [], [], hashlib.sha256()
    try:
        # Opened here: NumPy leaves a file that is no archive open.
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            for name, split in SPLITS.items():
                pixels, labels = arrays[f"{name}_images"], arrays[f"{name}_labels"]
                check_arrays(file, name, pixels, labels)
                for array in (pixels, labels):
                    digest.update(np.ascontiguousarray(array).tobytes())
                images.append(pixels)
                for number, label in enumerate(labels[:, 0]):
                    path = f"{name}/{CLASSES[label]}/{number:05d}"
                    records.append(Record(path, CLASSES[label], path, split))
    except KeyError as error:
        raise UserError(f"{file}: {error.args[0]}; fetch the file again") from error
    except UserError:
        raise
    except Exception as error:  # damaged archives fail in all kinds of ways
        raise UserError(f"{file}: cannot be read ({error}); fetch the file again") from error
    stack = np.concatenate(images)
    order = sorted(range(len(records)), key=records.__getitem__)
    return ImageSet(
        records=tuple(records[row] for row in order),
        fingerprint=digest.hexdigest(),
        read=lambda row: (stack[order[row]] / np.float32(255))[..., None],
        notes=NOTES,
    )


def check_arrays(file: Path, name: str, pixels: np.ndarray, labels: np.ndarray) -> None:
    """Raises UserError unless the arrays are grey 8-bit images with one label, 0 or 1, each."""
    square = pixels.ndim == 3 and pixels.shape[1] == pixels.shape[2]
    if not (square and pixels.dtype == np.uint8):
        raise UserError(
            f"{file}: {name}_images is {pixels.dtype} {pixels.shape}, not uint8 (n, size, size)"
        )
    whole = np.issubdtype(labels.dtype, np.integer)
    if labels.shape != (len(pixels), 1) or not whole or not np.isin(labels, (0, 1)).all():
        raise UserError(f"{file}: {name}_labels are not one 0 or 1 for each image")
