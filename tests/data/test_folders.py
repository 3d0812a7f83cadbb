"""Folders: the published set by its names, own classes by their folders."""

import os
from pathlib import Path

import pytest

from jxr.data import folder_set, index_folder, split_by_patient
from jxr.errors import UserError
from tests.data.conftest import FILES

OWN = (
    "train/covid/a.png",
    "train/covid/b.PNG",
    "train/normal/1.jpeg",
    "train/normal/2.tiff",
    "val/normal/3.png",
    "test/covid/c.png",
    "test/normal/4.png",
)


def test_published_names_are_the_guangzhou_set(build):
    root = build()
    images = folder_set(root)
    assert images.records == index_folder(root)
    assert "not the published image set" in images.notes[0]  # nine images only
    assert images.read(0).shape == (27, 23, 1)


def test_own_classes_are_named_by_their_folders(build):
    images = folder_set(build(OWN))
    assert [(r.path, r.label, r.split) for r in images.records] == [
        ("test/covid/c.png", "covid", "test"),
        ("test/normal/4.png", "normal", "test"),
        ("train/covid/a.png", "covid", "train"),
        ("train/covid/b.PNG", "covid", "train"),
        ("train/normal/1.jpeg", "normal", "train"),
        ("train/normal/2.tiff", "normal", "train"),
        ("val/normal/3.png", "normal", "validation"),
    ]
    assert len({record.patient for record in images.records}) == len(OWN)
    assert "The patients are not known" in images.notes[0]
    assert images.read(3).shape == (21, 29, 1)


def test_the_validation_images_are_the_same_by_whichever_path(build):
    """The fingerprint is, so a run goes on under either: no image may change sides."""
    names = [f"{split}/{c}/{i}.png" for split in ("train", "test") for c in "ab" for i in range(7)]
    inner = build([f"chest_xray/{name}" for name in names]) / "chest_xray"
    one, other = folder_set(inner), folder_set(inner.parent)
    assert one.fingerprint == other.fingerprint
    held_out = [
        [record.path.removeprefix("chest_xray/") for record in part]
        for images in (one, other)
        for part in split_by_patient(images.records, fraction=0.3, seed=0)
    ]
    assert held_out[:2] == held_out[2:]


def test_own_files_in_folders_normal_and_pneumonia_are_own_classes(build):
    names = ("train/NORMAL/x1.png", "train/PNEUMONIA/x2.png", "test/NORMAL/x3.png")
    images = folder_set(build(names))
    assert {record.label for record in images.records} == {"NORMAL", "PNEUMONIA"}


def test_one_published_name_makes_the_others_mistakes(build):
    names = ("train/NORMAL/IM-1-1.png", "train/PNEUMONIA/x2.png", "test/NORMAL/x3.png")
    with pytest.raises(UserError, match=r"x\d.png: unknown kind of name"):
        folder_set(build(names))


def test_junk_is_ignored(build):
    root = build(OWN)
    clean = folder_set(root)
    for junk in ("train/covid/.DS_Store", "train/covid/._a.png", "train/.hidden", "train/a.txt"):
        (root / junk).write_bytes(b"junk")
    (root / "train" / "__MACOSX" / "covid").mkdir(parents=True)
    assert folder_set(root).records == clean.records


def test_dicom_files_without_a_suffix_are_images(build):
    root = build(OWN)
    for name in ("IM0001", "1.2.840.10008"):
        (root / "train" / "covid" / name).write_bytes(bytes(128) + b"DICM")
    (root / "train" / "covid" / "LICENSE").write_text("no image")
    found = {record.path for record in folder_set(root).records}
    assert found == {*OWN, "train/covid/IM0001", "train/covid/1.2.840.10008"}


def test_a_deeper_folder_is_refused(build):
    root = build((*OWN, "train/covid/patient7/x.png"))
    with pytest.raises(UserError, match="patient7: a folder inside a class"):
        folder_set(root)


def test_a_class_without_training_images_is_refused(build):
    with pytest.raises(UserError, match=r"test/tb/x.png: its class has no training images"):
        folder_set(build((*OWN, "test/tb/x.png")))


def test_folders_without_images_are_refused(tmp_path):
    for split in ("train", "test"):
        (tmp_path / split / "a").mkdir(parents=True)
    with pytest.raises(UserError, match="no images below train and test"):
        folder_set(tmp_path)


@pytest.mark.parametrize("open_folder", [folder_set, index_folder])
def test_a_folder_that_cannot_be_listed_is_named(build, open_folder, monkeypatch):
    root = build()
    locked = root / "train" / "NORMAL"
    listed = Path.iterdir

    def iterdir(folder):  # permissions would not stop root
        if folder == locked:
            raise PermissionError(13, "Permission denied", str(folder))
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    with pytest.raises(UserError, match=rf"{locked}: cannot be listed \(Permission denied\)"):
        open_folder(root)


@pytest.mark.parametrize("names", [FILES, OWN])
def test_a_broken_link_is_told_and_not_passed_over(build, names):
    """As of a folder of links to a disk that is not there: sets must not shrink unseen."""
    root = build(names)
    (root / names[0]).unlink()
    (root / names[0]).symlink_to("/nowhere/at.all")
    build([names[0].replace(Path(names[0]).stem, "IM-0999-0001")], root=root)
    with pytest.raises(UserError, match=rf"{names[0]}: no such file"):
        folder_set(root)


def test_a_name_that_is_not_utf_8_is_refused(build):
    root = build(OWN)
    odd = os.fsdecode(b"caf\xe9.png")
    try:
        (root / "train/covid/a.png").rename(root / "train/covid" / odd)
    except OSError:
        pytest.skip("the file system takes UTF-8 only")
    with pytest.raises(UserError, match=r"train/covid/caf\\udce9.png': .* not UTF-8; rename"):
        folder_set(root)
