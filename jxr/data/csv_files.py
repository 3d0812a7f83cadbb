"""Image sets listed in a CSV file: path, label, patient, split."""

import csv
import hashlib
import os
from pathlib import Path
from typing import Any

from jxr.data.folders import SPLITS, UNKNOWN_PATIENTS
from jxr.data.image_set import ImageSet, data_fingerprint
from jxr.data.images import read_image
from jxr.data.records import Record
from jxr.errors import UserError

COLUMNS = ("path", "label", "patient", "split")
# How pandas, R and databases write that nothing is known, in any case; none names a patient.
NOTHING = {"<na>", "n/a", "na", "nan", "nat", "none", "null"}


def csv_set(file: str | Path) -> ImageSet:
    """Opens the images that a CSV file lists.

    Its first line names the columns `path` (of an image, from the folder of the CSV file on),
    `label`, `patient` (may be empty: then the image counts as a patient of its own) and `split`
    (train, val or test); others are ignored.

    Raises:
        UserError: the file or an image cannot be read, a column is missing or there twice, a value
            is empty or unknown, a patient is called NA or alike, a line has more values than
            columns, or an image is listed twice; the line is named.
    """
    file = Path(file)
    records: dict[str, Record] = {}  # by where the file is, however that is spelt
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            rows = csv.DictReader(stream, skipinitialspace=True)
            missing = set(COLUMNS) - set(rows.fieldnames or ())
            if missing:
                raise UserError(
                    f"{file}: no column {', '.join(sorted(missing))}; the first line must name"
                    f" {', '.join(COLUMNS)}, with commas between them"
                )
            twice = [name for name in COLUMNS if list(rows.fieldnames or ()).count(name) > 1]
            if twice:
                raise UserError(f"{file}: column {', '.join(twice)} twice; rename or remove one")
            for row in rows:
                record = parse_row(row, f"{file}, line {rows.line_num}")
                place = os.path.abspath(file.parent / record.path)
                if place in records:
                    raise UserError(f"{file}, line {rows.line_num}: {record.path} is listed twice")
                records[place] = record
    except UnicodeDecodeError as error:  # Excel's plain CSV is in the system's own encoding
        raise UserError(f"{file}: not in UTF-8; save it as CSV UTF-8") from error
    except (OSError, csv.Error) as error:
        raise UserError(f"{file}: cannot be read as a CSV file ({error})") from error
    listed = tuple(sorted(records.values()))
    unknown = any(record.patient == record.path for record in listed)
    return ImageSet(
        records=listed,
        fingerprint=listing_fingerprint(file.parent, listed),
        read=lambda row: read_image(file.parent / listed[row].path),
        notes=(UNKNOWN_PATIENTS,) if unknown else (),
    )


def parse_row(row: dict[str | None, Any], where: str) -> Record:
    """Reads one line; `where` names it in errors."""
    if any(row.get(None, ())):  # what is behind such a comma would count for the wrong column
        raise UserError(f"{where}: more values than columns; quote those that have a comma")
    values = {name: (row[name] or "").strip() for name in COLUMNS}
    for name in ("path", "label", "split"):
        if not values[name]:
            raise UserError(f"{where}: no {name}")
    if values["split"].lower() not in SPLITS:
        raise UserError(f"{where}: split '{values['split']}'; give train, val or test")
    if values["patient"].lower() in NOTHING:  # all of them would be one patient
        raise UserError(f"{where}: patient '{values['patient']}'; leave it empty if not known")
    path = Path(values["path"]).as_posix()
    split = SPLITS[values["split"].lower()]
    return Record(path, values["label"], values["patient"] or path, split)


def listing_fingerprint(root: Path, records: tuple[Record, ...]) -> str:
    """Returns a SHA-256 over the images and, unlike that of a folder, over what is said of them."""
    whole = hashlib.sha256(data_fingerprint(root, records).encode())
    for record in records:
        whole.update(f"{record.label}\t{record.patient}\t{record.split}\n".encode())
    return whole.hexdigest()
