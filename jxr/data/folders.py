"""Image folders: the Guangzhou set as published, or anybody's own classes."""

from collections.abc import Sequence
from pathlib import Path

from jxr.data.image_set import ImageSet, file_set
from jxr.data.radiographs import is_radiograph
from jxr.data.records import (
    CLASS_FOLDERS,
    FILE_NAMES,
    IMAGE_SUFFIXES,
    Record,
    Split,
    check_counts,
    find_layout,
    index_folder,
    listing,
    visible,
)
from jxr.errors import UserError

SPLITS: dict[str, Split] = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}


@listing()
def folder_set(root: str | Path) -> ImageSet:
    """Opens a folder `{train,val,test}/CLASS/`, in `root` or in `root/chest_xray`.

    With the classes NORMAL and PNEUMONIA and a file named as published it is the Guangzhou set:
    labels and patients come from the names (`index_folder`), and `val`, of 16 images, becomes part
    of train. Otherwise the folders of `train` are the classes, and every image counts as a patient
    of its own, for nothing says whose it is; a folder `val`, `valid` or `validation` is kept.

    Raises:
        UserError: there is no such layout, a folder or file cannot be read, or what there is
            contradicts the layout.
    """
    root = Path(root)
    base = find_layout(root)
    splits = [folder for folder in visible(base) if folder.name in SPLITS and folder.is_dir()]
    files = [
        file
        for split in splits
        for folder in visible(split)
        for file in visible(folder)
        if file.suffix.lower() in IMAGE_SUFFIXES
    ]
    classes = {file.parent.name for file in files}
    if classes <= set(CLASS_FOLDERS) and any(
        pattern.fullmatch(file.stem) for pattern in FILE_NAMES for file in files
    ):
        records = index_folder(root)
        note = check_counts(records)
        return file_set(root, records, [note] if note else [])
    return file_set(root, own_classes(root, base, splits), [UNKNOWN_PATIENTS])


UNKNOWN_PATIENTS = (
    "The patients are not known: every image counts as a patient of its own, so images of one"
    " patient may lie in training and validation. A CSV file can name them."
)


def own_classes(root: Path, base: Path, splits: Sequence[Path]) -> tuple[Record, ...]:
    """Lists the images of `splits`, each a folder of class folders in `base`, by path."""
    records = []
    for split in splits:
        for folder in filter(Path.is_dir, visible(split)):
            for file in visible(folder):
                if file.is_dir():
                    raise UserError(
                        f"{file}: a folder inside a class; put its images into {folder}, or list"
                        " them in a CSV file"
                    )
                if is_radiograph(file):  # DICOM files often have no suffix
                    path = file.relative_to(root).as_posix()
                    # As the fingerprint, the draw of validation patients must not depend on
                    # whether the path was given with or without a folder around.
                    patient = file.relative_to(base).as_posix()
                    records.append(Record(path, folder.name, patient, SPLITS[split.name]))
    if not records:
        raise UserError(f"{root}: no images below train and test; one folder a class, please")
    classes = {record.label for record in records if record.split == "train"}
    for record in records:
        if record.label not in classes:
            raise UserError(
                f"{root / record.path}: its class has no training images; add some, or remove it"
            )
    return tuple(sorted(records))
