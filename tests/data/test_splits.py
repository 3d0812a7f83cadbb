import hashlib
import random

import pytest

from jxr.data import Record, index_folder, split_by_patient
from jxr.errors import UserError


def make_records() -> list[Record]:
    """100 normal, 60 bacterial and 40 viral patients of 1 to 3 images, 20 with both organisms."""
    patients = (
        [(f"IM-{i}", ("normal",)) for i in range(100)]
        + [(f"person{i}", ("bacteria",)) for i in range(60)]
        + [(f"person{i}", ("virus",)) for i in range(60, 100)]
        + [(f"person{i}", ("bacteria", "virus")) for i in range(100, 120)]
    )
    train = [
        Record(f"train/{name}_{label}_{j}.jpeg", label, name, "train")
        for i, (name, labels) in enumerate(patients)
        for label in labels
        for j in range(1 + i % 3)
    ]
    return [*train, Record("test/person5_bacteria_99.jpeg", "bacteria", "person5", "test")]


def test_patients_are_on_one_side_and_nothing_is_lost():
    records = make_records()
    train, validation = split_by_patient(records, fraction=0.2, seed=0)
    assert not {r.patient for r in train} & {r.patient for r in validation}
    assert sorted(train + validation) == sorted(r for r in records if r.split == "train")


def test_every_stratum_gives_its_share():
    _, validation = split_by_patient(make_records(), fraction=0.2, seed=0)
    patients = {r.patient for r in validation}
    numbers = [int(p.removeprefix("person")) for p in patients if p.startswith("person")]
    assert len(patients) - len(numbers) == 20
    assert sum(n < 60 for n in numbers) == 12
    assert sum(60 <= n < 100 for n in numbers) == 8
    assert sum(n >= 100 for n in numbers) == 4


def test_depends_on_the_seed_and_not_on_the_order():
    records = make_records()
    split = split_by_patient(records, fraction=0.2, seed=0)
    for i in range(3):
        random.Random(i).shuffle(records)
        assert split_by_patient(records, fraction=0.2, seed=0) == split
    assert split_by_patient(records, fraction=0.2, seed=1) != split


def test_the_split_is_the_documented_one_and_stays_so():
    """Published results name a seed: the patients that it holds out must never change."""
    records = [
        Record(f"train/{name}_{label}.jpeg", label, name, "train")
        for label, count in (("normal", 23), ("virus", 12))
        for name in (f"{label}{number}" for number in range(count))
    ]
    _, validation = split_by_patient(records, fraction=0.15, seed=3)
    expected = []
    for label, count in (("normal", 3), ("virus", 2)):  # 3.45 and 1.8, rounded
        names = [record.patient for record in records if record.label == label]
        names.sort(key=lambda name: hashlib.sha256(f"3 {name}".encode()).hexdigest())
        expected += names[:count]
    assert {record.patient for record in validation} == set(expected)


def test_too_few_patients():
    with pytest.raises(UserError, match=r"fraction 0\.01: no validation image is left of .*virus"):
        split_by_patient(make_records(), fraction=0.01, seed=0)
    with pytest.raises(UserError, match=r"fraction 0\.999: no training image is left of bacteria"):
        split_by_patient(make_records(), fraction=0.999, seed=0)
    with pytest.raises(UserError, match=r"no training image is left of any label"):
        split_by_patient([], fraction=0.1, seed=0)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1])
def test_fraction_must_be_a_share(fraction):
    with pytest.raises(ValueError, match="between 0 and 1"):
        split_by_patient(make_records(), fraction=fraction, seed=0)


@pytest.mark.shared
def test_the_real_images(shared):
    records = index_folder(shared / "data" / "chest_xray")
    train, validation = split_by_patient(records, fraction=0.1, seed=0)
    assert not {r.patient for r in train} & {r.patient for r in validation}
    assert len(train) + len(validation) == 5232
    for label in ("normal", "bacteria", "virus"):
        share = sum(r.label == label for r in validation) / sum(
            r.label == label for r in train + validation
        )
        assert share == pytest.approx(0.1, abs=0.03)
