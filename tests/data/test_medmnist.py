"""PneumoniaMNIST's file, written here as MedMNIST writes it."""

import numpy as np
import pytest

from jxr.data import medmnist_set
from jxr.errors import UserError

COUNTS = {"train": 11, "val": 4, "test": 5}


def arrays(size=28):
    generator = np.random.default_rng(0)
    result = {}
    for name, count in COUNTS.items():
        result[f"{name}_images"] = generator.integers(0, 256, (count, size, size), np.uint8)
        result[f"{name}_labels"] = generator.integers(0, 2, (count, 1)).astype(np.uint8)
    return result


@pytest.mark.parametrize(("name", "size"), [("pneumoniamnist", 28), ("pneumoniamnist_224", 224)])
def test_reads_images_labels_and_splits(tmp_path, name, size):
    content = arrays(size)
    np.savez(tmp_path / f"{name}.npz", **content)
    images = medmnist_set(tmp_path / f"{name}.npz")
    assert images.records == tuple(sorted(images.records))
    assert "same patients" in images.notes[0]
    splits = {"train": "train", "validation": "val", "test": "test"}
    for row, record in enumerate(images.records):
        number = int(record.path.split("/")[-1])
        split = splits[record.split]
        assert record.label == ("normal", "pneumonia")[content[f"{split}_labels"][number, 0]]
        pixels = images.read(row)
        assert pixels.dtype == np.float32
        expected = content[f"{split}_images"][number].astype(np.float32) / np.float32(255)
        np.testing.assert_array_equal(pixels[..., 0], expected)
    assert len(images.records) == sum(COUNTS.values())


def test_the_fingerprint_follows_pixels_and_labels(tmp_path):
    def fingerprint(content):
        np.savez(tmp_path / "pneumoniamnist.npz", **content)
        return medmnist_set(tmp_path / "pneumoniamnist.npz").fingerprint

    first = fingerprint(arrays())
    assert fingerprint(arrays()) == first
    for name in ("val_images", "test_labels"):
        changed = arrays()
        changed[name].flat[0] ^= 1
        assert fingerprint(changed) != first


def test_other_files_are_refused(tmp_path):
    def refused(content, message, name="pneumoniamnist.npz"):
        np.savez(tmp_path / name, **content)
        with pytest.raises(UserError, match=message):
            medmnist_set(tmp_path / name)

    refused(arrays(), "only PneumoniaMNIST", name="breastmnist.npz")
    refused({"train_images": arrays()["train_images"]}, "train_labels is not a file")
    colour = arrays()
    colour["train_images"] = np.zeros((11, 28, 28, 3), np.uint8)
    refused(colour, r"train_images is uint8 \(11, 28, 28, 3\)")
    labels = arrays()
    labels["val_labels"][0] = 2
    refused(labels, "val_labels are not one 0 or 1")
    several = arrays()
    several["test_labels"] = np.zeros((5, 14), np.uint8)
    refused(several, "test_labels are not one 0 or 1")
    pickled = arrays()
    pickled["train_images"] = np.array([{"a": 1}], dtype=object)
    refused(pickled, "cannot be read")
    (tmp_path / "pneumoniamnist.npz").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(UserError, match="cannot be read"):
        medmnist_set(tmp_path / "pneumoniamnist.npz")
    with pytest.raises(UserError, match="cannot be read"):
        medmnist_set(tmp_path / "pneumoniamnist_64.npz")
