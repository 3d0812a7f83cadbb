"""Labelled records, one an image, and the layout and file names of the Guangzhou set."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jxr.errors import UserError

Split = Literal["train", "validation", "test"]
LABELS = ("normal", "bacteria", "virus")  # of the Guangzhou set

# Kermany, Zhang and Goldbaum 2018 (Mendeley Data rscbjbr9sj, doi:10.17632/rscbjbr9sj); the Kaggle
# copy moves 16 training images to a third split, val.
KNOWN_COUNTS: dict[str, dict[str, int]] = {
    "train": {"normal": 1349, "bacteria": 2538, "virus": 1345},
    "test": {"normal": 234, "bacteria": 242, "virus": 148},
}

CLASS_FOLDERS = {"NORMAL": {"normal"}, "PNEUMONIA": {"bacteria", "virus"}}
IMAGE_SUFFIXES = {".dcm", ".jpeg", ".jpg", ".png", ".tif", ".tiff"}
# File names as published; one without a kind is normal. A person number is one patient whatever
# the organism: joining two children costs nothing, parting one would leak between splits.
FILE_NAMES = (
    re.compile(r"(?P<patient>person\d+)_(?P<kind>bacteria|virus)(_\d+)+"),
    re.compile(r"(?P<patient>(NORMAL2-)?IM-\d+)(-\d+)+"),
    re.compile(r"(?P<kind>BACTERIA|VIRUS|NORMAL)-(?P<patient>\d+)(-\d+)+"),
)


@dataclass(frozen=True, order=True)
class Record:
    """One image.

    Attributes:
        path: POSIX, relative to the folder of the set; a mere name where there is no file.
        label: class.
        patient: images of one patient never lie on both sides of a split that is made here.
        split: `train` where validation images are still to be held out of it.
    """

    path: str
    label: str
    patient: str
    split: Split


@contextmanager
def listing() -> Iterator[None]:
    """Turns what the system says of a folder that cannot be listed into one line."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{error.filename}: cannot be listed ({error.strerror}); check the folder"
        ) from error


@listing()
def index_folder(root: str | Path) -> tuple[Record, ...]:
    """Lists the images of a folder in the layout `{train,val,test}/{NORMAL,PNEUMONIA}/`.

    The layout may lie in `root`, in `root/chest_xray` or in `root/chest_xray/chest_xray` (the
    outermost counts); `val` may be missing and becomes part of train. Hidden files, `__MACOSX` and
    files that are not images by their suffix are ignored. A broken link counts, so that whoever
    reads it says so. No file is opened.

    Args:
        root: the folder as unpacked from the Mendeley or the Kaggle archive.

    Returns:
        The records, sorted by path.

    Raises:
        UserError: if there is no such folder or layout, one that cannot be listed, a class without
            images, an unknown class folder, or a file whose name is unknown or contradicts its
            folder.
    """
    root = Path(root)
    base = find_layout(root)
    records: list[Record] = []
    for folder in ("train", "val", "test"):
        split: Split = "test" if folder == "test" else "train"
        for class_folder in visible(base / folder):
            if class_folder.is_dir() and class_folder.name not in CLASS_FOLDERS:
                raise UserError(
                    f"{class_folder}: unknown class folder; only NORMAL and PNEUMONIA are known"
                )
        for name in CLASS_FOLDERS:
            files = [
                file
                for file in visible(base / folder / name)
                if file.suffix.lower() in IMAGE_SUFFIXES and not file.is_dir()
            ]
            if not files and folder != "val":
                raise UserError(f"{base / folder / name}: no images; unpack the archive again")
            for file in files:
                label, patient = parse_file(file)
                records.append(Record(file.relative_to(root).as_posix(), label, patient, split))
    return tuple(sorted(records))


def find_layout(root: Path) -> Path:
    """Returns the outermost folder that holds train and test."""
    if not root.is_dir():
        what = "no folder" if root.exists() else "no such folder"
        raise UserError(f"{root}: {what}; give the one that holds train and test")
    for base in (root, root / "chest_xray", root / "chest_xray" / "chest_xray"):
        if (base / "train").is_dir() and (base / "test").is_dir():
            return base
    raise UserError(
        f"{root}: no train and test folders here or in chest_xray; "
        "give the folder of the unpacked archive"
    )


def visible(folder: Path) -> list[Path]:
    """Lists a folder without hidden files and macOS leftovers; nothing if it does not exist."""
    if not folder.is_dir():
        return []
    return [entry for entry in folder.iterdir() if not entry.name.startswith((".", "__MACOSX"))]


def parse_file(file: Path) -> tuple[str, str]:
    """Reads label and patient from a file's name, and checks the label against its folder."""
    match = next(filter(None, (name.fullmatch(file.stem) for name in FILE_NAMES)), None)
    if match is None:
        raise UserError(
            f"{file}: unknown kind of name; rename it like person1_bacteria_2, person1_virus_2, "
            "IM-0001-0002 or NORMAL2-IM-0001-0002, or remove it"
        )
    label = match.groupdict().get("kind", "normal").lower()
    if label not in CLASS_FOLDERS[file.parent.name]:
        raise UserError(
            f"{file}: the name says {label}, the folder {file.parent.name}; move or remove it"
        )
    return label, match["patient"]


def count_table(records: Iterable[Record]) -> dict[str, dict[str, int]]:
    """Counts the images of the Guangzhou set as `table[split][label]`, zeros included."""
    counts: Counter[tuple[str, str]] = Counter((record.split, record.label) for record in records)
    return {split: {label: counts[split, label] for label in LABELS} for split in KNOWN_COUNTS}


def check_counts(records: Sequence[Record]) -> str | None:
    """Compares with the published set: None if every count is as known, else a one-line note."""
    table = count_table(records)
    differences = [
        f"{split} {label} {table[split][label]} instead of {known}"
        for split, labels in KNOWN_COUNTS.items()
        for label, known in labels.items()
        if table[split][label] != known
    ]
    return f"not the published image set: {', '.join(differences)}" if differences else None
