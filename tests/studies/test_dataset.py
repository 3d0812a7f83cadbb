"""Doors into the data: what a config opens, and how it is split."""

import csv

import numpy as np
import pytest
from PIL import Image

from jxr.config import DataConfig, PhantomConfig
from jxr.data import Record, index_folder, split_by_patient
from jxr.errors import UserError
from jxr.studies.dataset import few_patients, load_dataset
from tests.tiny import write_csv


def load(path, tmp_path, **changes):
    config = DataConfig(path=str(path), size=32, validation_fraction=0.25, **changes)
    return load_dataset(config, tmp_path / "cache")


@pytest.mark.parametrize("seed", [0, 3])
def test_a_folder_is_split_by_patient(seed, tiny_images, tmp_path):
    dataset = load(tiny_images, tmp_path, split_seed=seed)
    records = index_folder(tiny_images)
    train, validation = split_by_patient(records, fraction=0.25, seed=seed)
    assert dataset.records == records
    assert [records[row] for row in dataset.train] == list(train)
    assert [records[row] for row in dataset.validation] == list(validation)
    assert {records[row].split for row in dataset.test} == {"test"}
    assert dataset.images.shape == (len(records), 32, 32, 1)


def test_a_csv_file_keeps_its_own_validation_images(tmp_path):
    table = write_csv(tmp_path / "own")
    dataset = load(table, tmp_path)
    with table.open() as stream:
        said = {row["path"]: row["split"] for row in csv.DictReader(stream)}
    for part, name in (("train", "train"), ("validation", "val"), ("test", "test")):
        found = {dataset.records[row].path for row in dataset.part(part)}
        assert found == {path for path, split in said.items() if split == name}
        assert found
    # Two images of each patient.
    classes = dict.fromkeys(("covid", "normal", "tb"), 6)
    assert dataset.counts()["test"] == {"images": 18, "patients": 9, "classes": classes}
    row = int(dataset.test[0])
    pixels = np.asarray(Image.open(table.parent / dataset.records[row].path), np.float32) / 255
    expected = Image.fromarray(pixels).resize((32, 32), Image.Resampling.BILINEAR)
    np.testing.assert_allclose(dataset.images[row, ..., 0], expected, atol=1e-6)


def test_patients_in_two_splits_are_told(tmp_path):
    table = write_csv(tmp_path / "own")
    clean = load(table, tmp_path)
    assert not [note for note in clean.notes if "more than one split" in note]
    lines = table.read_text().splitlines()
    first = next(line for line in lines if line.endswith("train"))
    last = next(line for line in lines if line.endswith("test"))
    moved = last.split(",")
    moved[2] = first.split(",")[2]
    table.write_text("\n".join(",".join(moved) if line == last else line for line in lines))
    (note,) = [note for note in load(table, tmp_path).notes if "more than one split" in note]
    assert note.startswith("1 patient names")


def test_pneumoniamnist_is_opened(tmp_path):
    generator = np.random.default_rng(0)
    arrays = {}
    for name in ("train", "val", "test"):
        arrays[f"{name}_images"] = generator.integers(0, 256, (4, 28, 28), np.uint8)
        arrays[f"{name}_labels"] = np.array([[0], [1], [0], [1]], np.uint8)
    np.savez(tmp_path / "pneumoniamnist.npz", **arrays)
    dataset = load(tmp_path / "pneumoniamnist.npz", tmp_path)
    assert dataset.images.shape == (12, 32, 32, 1)
    assert {dataset.records[row].path.split("/")[0] for row in dataset.validation} == {"val"}
    assert any("same patients" in note for note in dataset.notes)


def test_phantoms_need_no_files(tmp_path):
    config = DataConfig(source="phantoms", size=32, phantoms=PhantomConfig(train=24, test=18))
    dataset = load_dataset(config, tmp_path)
    assert dataset.images.shape == (42, 32, 32, 1)
    assert len(dataset.test) == 18
    assert any("phantoms" in note for note in dataset.notes)


def test_what_cannot_be_opened_is_refused(tmp_path, tiny_images):
    with pytest.raises(UserError, match=r"no images: give --config\.data\.path"):
        load_dataset(DataConfig(), tmp_path)
    with pytest.raises(UserError, match=r"x\.zip: an archive; unpack it, or prepare it"):
        load(tmp_path / "x.zip", tmp_path)
    for nowhere in (tmp_path / "nowhere", "~nobody-here/chests"):
        with pytest.raises(UserError, match="no such folder"):
            load(nowhere, tmp_path)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UserError, match=r"notes\.txt: no folder; give"):
        load(tmp_path / "notes.txt", tmp_path)
    table = write_csv(tmp_path / "own")
    kept = [line for line in table.read_text().splitlines() if not line.endswith("test")]
    table.write_text("\n".join(kept))
    with pytest.raises(UserError, match="no test images"):
        load(table, tmp_path)


def test_few_patients_of_the_part_that_is_scored_are_told(tmp_path):
    """Of one patient, all resamples are alike and an interval has no width."""
    records = [
        Record(f"{label}{n}", label, f"{label}{n // images}", "test")
        for label, images in (("normal", 1), ("sick", 3))
        for n in range(24)
    ]
    (note,) = few_patients(records, "test")
    assert note.startswith("patients with test images: 8 with 'sick':")
    assert not few_patients([record for record in records if record.label == "normal"], "test")
    table = write_csv(tmp_path / "own")
    lines = table.read_text().splitlines()
    alone = [
        ",".join([*line.split(",")[:2], "one", "test"]) if line.endswith("test") else line
        for line in lines
    ]
    table.write_text("\n".join(alone))
    dataset = load(table, tmp_path)
    assert any("1 with 'tb'" in note for note in dataset.notes)
    assert dataset.notes_on("test") == list(dataset.notes)
    few = "patients with validation images: 2 with 'covid', 2 with 'normal', 2 with 'tb':"
    assert dataset.notes_on("validation")[-1].startswith(few)
