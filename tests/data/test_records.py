import random

import pytest

from jxr.data import KNOWN_COUNTS, Record, check_counts, count_table, index_folder
from jxr.errors import UserError


def test_reads_labels_patients_and_splits(build):
    records = index_folder(build())
    assert [(r.path, r.label, r.patient, r.split) for r in records] == [
        ("test/NORMAL/IM-0001-0001.jpeg", "normal", "IM-0001", "test"),
        ("test/PNEUMONIA/person100_bacteria_475.jpeg", "bacteria", "person100", "test"),
        ("train/NORMAL/IM-0115-0001.jpeg", "normal", "IM-0115", "train"),
        ("train/NORMAL/NORMAL2-IM-0115-0001-0002.jpeg", "normal", "NORMAL2-IM-0115", "train"),
        ("train/PNEUMONIA/person1_bacteria_1.jpeg", "bacteria", "person1", "train"),
        ("train/PNEUMONIA/person1_virus_2.jpeg", "virus", "person1", "train"),
        ("train/PNEUMONIA/person1_virus_3_1.jpeg", "virus", "person1", "train"),
        ("val/NORMAL/NORMAL2-IM-1427-0001.jpeg", "normal", "NORMAL2-IM-1427", "train"),
        ("val/PNEUMONIA/person1946_bacteria_4874.jpeg", "bacteria", "person1946", "train"),
    ]


def test_reads_the_names_of_the_other_release(build):
    names = (
        "train/NORMAL/NORMAL-1003233-0001.jpeg",
        "train/PNEUMONIA/BACTERIA-1008087-0002.jpeg",
        "test/NORMAL/NORMAL-12-0001.jpg",
        "test/PNEUMONIA/VIRUS-8698006-0001.PNG",
    )
    records = index_folder(build(names))
    assert [(r.label, r.patient, r.split) for r in records] == [
        ("normal", "12", "test"),
        ("virus", "8698006", "test"),
        ("normal", "1003233", "train"),
        ("bacteria", "1008087", "train"),
    ]


@pytest.mark.parametrize("nesting", ["chest_xray", "chest_xray/chest_xray"])
def test_finds_nested_layouts(build, tmp_path, nesting):
    flat = index_folder(build())
    build(root=tmp_path / "archive" / nesting)
    nested = index_folder(tmp_path / "archive")
    assert [r.path for r in nested] == [f"{nesting}/{r.path}" for r in flat]
    assert [(r.label, r.patient, r.split) for r in nested] == [
        (r.label, r.patient, r.split) for r in flat
    ]


def test_the_outermost_of_two_copies_counts(build):
    root = build()
    flat = index_folder(root)
    build(root=root / "chest_xray")
    assert index_folder(root) == flat


def test_ignores_junk(build):
    root = build()
    clean = index_folder(root)
    (root / "__MACOSX" / "train" / "NORMAL").mkdir(parents=True)
    (root / "train" / "__MACOSX").mkdir()
    for junk in (
        "__MACOSX/train/NORMAL/IM-0009-0001.jpeg",
        "train/NORMAL/._IM-0115-0001.jpeg",
        "train/NORMAL/.DS_Store",
        "train/.DS_Store",
        "train/PNEUMONIA/Thumbs.db",
        "train/PNEUMONIA/notes.txt",
    ):
        (root / junk).write_bytes(b"junk")
    assert index_folder(root) == clean


def test_val_may_be_missing(build):
    root = build(
        [
            "train/NORMAL/IM-1-1.png",
            "train/PNEUMONIA/person1_virus_1.png",
            "test/NORMAL/IM-2-1.png",
            "test/PNEUMONIA/person2_virus_1.png",
        ]
    )
    assert len(index_folder(root)) == 4


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("train/NORMAL/scan7.jpeg", r"train/NORMAL/scan7\.jpeg: unknown kind of name; rename"),
        ("train/PNEUMONIA/person1_fungus_1.jpeg", r"person1_fungus_1\.jpeg: unknown kind of name"),
        ("train/NORMAL/person1_virus_9.jpeg", r"name says virus, the folder NORMAL; move"),
        ("train/PNEUMONIA/IM-0115-0009.jpeg", r"name says normal, the folder PNEUMONIA; move"),
        ("train/COVID/person7_virus_1.jpeg", r"train/COVID: unknown class folder"),
    ],
)
def test_misplaced_files_are_named(build, name, message):
    root = build()
    build([name], root=root)
    with pytest.raises(UserError, match=message) as error:
        index_folder(root)
    assert "\n" not in str(error.value)


def test_missing_folders_are_named(build, tmp_path):
    with pytest.raises(UserError, match=r"nowhere: no such folder; give"):
        index_folder(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no train and test folders here or in chest_xray; give"):
        index_folder(tmp_path)


def test_an_empty_class_is_named(build):
    root = build()
    for file in (root / "test" / "PNEUMONIA").iterdir():
        file.unlink()
    with pytest.raises(UserError, match=r"test/PNEUMONIA: no images; unpack"):
        index_folder(root)


def published() -> list[Record]:
    return [
        Record(f"{split}/{label}{i}.jpeg", label, f"{label}{i}", split)
        for split, labels in KNOWN_COUNTS.items()
        for label, count in labels.items()
        for i in range(count)
    ]


def test_counts(build):
    assert count_table(index_folder(build())) == {
        "train": {"normal": 3, "bacteria": 2, "virus": 2},
        "test": {"normal": 1, "bacteria": 1, "virus": 0},
    }


def test_known_counts():
    records = published()
    random.Random(0).shuffle(records)
    # 5,232 and 624 as in Kermany et al. 2018.
    assert sum(r.split == "train" for r in records) == 5232
    assert sum(r.split == "test" for r in records) == 624
    assert check_counts(records) is None


def test_other_counts_are_noted():
    records = [r for r in published() if r.path != "test/virus7.jpeg"]
    note = check_counts(records)
    assert note == "not the published image set: test virus 147 instead of 148"


@pytest.mark.shared
def test_the_real_images(shared):
    records = index_folder(shared / "data" / "chest_xray")
    assert len(records) == 5856
    assert check_counts(records) is None
    # Facts about the published folders, found by listing them with other means.
    assert sum(r.path.startswith("val/") for r in records) == 16
    train = {r.patient for r in records if r.split == "train" and r.patient.startswith("person")}
    test = {r.patient for r in records if r.split == "test" and r.patient.startswith("person")}
    assert len(train & test) == 170
