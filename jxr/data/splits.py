"""Splitting the training images into training and validation by patient."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable

from jxr.data.records import Record
from jxr.errors import UserError


def split_by_patient(
    records: Iterable[Record], *, fraction: float, seed: int
) -> tuple[tuple[Record, ...], tuple[Record, ...]]:
    """Holds out a share of the training patients, with all their images, for validation.

    Stratified by the labels that a patient's images carry. Patients are drawn in the order of
    SHA-256(seed, patient), so the split depends on neither the order of the records nor the
    version of a random number generator. Test records are left out.

    Args:
        records: as from `index_folder`.
        fraction: the share of patients of each stratum to hold out, in (0, 1).
        seed: another seed gives another split.

    Returns:
        (train, validation), each sorted by path.

    Raises:
        UserError: if there are so few patients that a label is missing on one of the sides.
        ValueError: if the fraction is not in (0, 1).
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction must be between 0 and 1, not {fraction}")
    records = sorted(record for record in records if record.split == "train")
    labels: defaultdict[str, set[str]] = defaultdict(set)
    for record in records:
        labels[record.patient].add(record.label)
    strata: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for patient, kinds in labels.items():
        strata[tuple(sorted(kinds))].append(patient)

    def lot(patient: str) -> bytes:
        return hashlib.sha256(f"{seed} {patient}".encode()).digest()

    held_out: set[str] = set()
    for patients in strata.values():
        held_out.update(sorted(patients, key=lot)[: round(fraction * len(patients))])

    train = tuple(record for record in records if record.patient not in held_out)
    validation = tuple(record for record in records if record.patient in held_out)
    for name, side in (("training", train), ("validation", validation)):
        missing = {record.label for record in records} - {record.label for record in side}
        if missing or not side:
            raise UserError(
                f"validation fraction {fraction}: no {name} image is left of "
                f"{', '.join(sorted(missing)) or 'any label'}; change the fraction or add patients"
            )
    return train, validation
