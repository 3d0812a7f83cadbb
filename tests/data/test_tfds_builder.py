"""The prepared data set: what was in the files comes out, by TFDS and without TensorFlow."""

import json
import logging
import shutil
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from jxr.data import data_fingerprint, index_folder, read_image, resize, tfds_builder
from jxr.data.tfds_builder import FORMS, ChestXrayGuangzhou
from jxr.data.tfds_prepare import prepare
from jxr.data.tfds_reader import is_prepared, tfds_set
from jxr.errors import UserError

NAMES = [form.name for form in FORMS]
KINDS = ("normal", "bacteria", "virus")


@pytest.fixture
def root(build) -> Path:
    return build()


@pytest.fixture
def small_files(monkeypatch):
    """Several record files from nine images."""
    monkeypatch.setattr(tfds_builder, "PER_FILE", 3)
    monkeypatch.setattr(tfds_builder, "CHUNK", 2)


@pytest.fixture
def prepared(root, tmp_path, small_files) -> Path:
    return prepare(root, tmp_path / "tfds", form="224")


def same_images(images, root, form):
    """Compares a prepared set with the files in `root`, which it was made of.

    Returns the mean squared error of each image.
    """
    errors = []
    records = index_folder(root)
    assert [r.path for r in images.records] == [r.path for r in records]
    assert images.records == records
    for row, record in enumerate(records):
        expected = read_image(root / record.path)
        image = images.read(row)
        assert image.dtype == np.float32
        if form == "original":
            np.testing.assert_array_equal(image, expected)
            errors.append(0.0)
            continue
        method = "bilinear" if form == "224_bilinear" else "antialias"
        expected = resize(expected, (224, 224), method)
        assert image.shape == (224, 224, 1)
        np.testing.assert_allclose(image, expected, atol=0.5 / 255 + 1e-6)
        np.testing.assert_allclose(image * 255, np.rint(image * 255), atol=1e-4)
        errors.append(np.mean((image - expected) ** 2))
    return errors


@pytest.mark.parametrize("form", NAMES)
def test_the_images_come_out_as_they_were(root, tmp_path, small_files, form):
    seen = []
    folder = prepare(root, tmp_path, form=form, progress=lambda *counts: seen.append(counts))
    assert folder == tmp_path / "chest_xray_guangzhou" / form / "1.0.0"
    assert seen == [(i, 9) for i in range(1, 10)]
    same_images(tfds_set(folder), root, form)


def test_originals_have_the_fingerprint_of_their_files(root, tmp_path):
    records = index_folder(root)
    expected = data_fingerprint(root, records)
    assert tfds_set(prepare(root, tmp_path / "a")).fingerprint == expected
    others = {tfds_set(prepare(root, tmp_path / "a", form=form)).fingerprint for form in NAMES[1:]}
    assert len(others | {expected}) == 3
    file = root / records[3].path
    file.write_bytes(file.read_bytes() + b"\0")
    assert tfds_set(prepare(root, tmp_path / "b")).fingerprint != expected


def test_an_archive_gives_what_its_folder_gives(root, tmp_path):
    file = tmp_path / "images.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(root.rglob("*")):
            for prefix in ("chest_xray", "chest_xray/chest_xray"):
                archive.write(path, f"{prefix}/{path.relative_to(root)}")
        archive.writestr("__MACOSX/chest_xray/train/NORMAL/._IM-0115-0001.jpeg", b"junk")
    folder = tfds_set(prepare(root, tmp_path / "a"))
    packed = tfds_set(prepare(file, tmp_path / "b"))
    assert packed.records == folder.records
    assert packed.fingerprint == folder.fingerprint
    same_images(packed, root, "original")


@pytest.mark.parametrize("form", NAMES)
def test_tfds_itself_reads_it(root, tmp_path, form):
    prepare(root, tmp_path, form=form)
    splits = tfds.data_source(f"chest_xray_guangzhou/{form}", data_dir=tmp_path)
    assert {name: len(split) for name, split in splits.items()} == {"train": 7, "test": 2}
    assert splits["train"].dataset_info.features["label"].names == list(KINDS)
    records = index_folder(root)
    for name, split in splits.items():
        expected = [record for record in records if record.split == name]
        for example, record in zip(split, expected, strict=True):
            assert example["file_name"].decode() == record.path
            assert example["patient"].decode() == record.patient
            assert KINDS[example["label"]] == record.label
            image = example["image"]
            assert image.dtype == np.uint8
            if form == "original":  # TFDS gives grey images three equal channels
                pixels = np.asarray(Image.open(root / record.path))
                np.testing.assert_array_equal(image[..., :1], pixels[..., None])
            else:
                assert image.shape == (224, 224, 1)


def test_prepared_pixels_of_the_right_size_lose_nothing(root, tmp_path):
    generator = np.random.default_rng(0)
    for record in index_folder(root):
        pixels = generator.integers(0, 256, (224, 224), np.uint8)
        Image.fromarray(pixels).save(root / record.path)
    images = tfds_set(prepare(root, tmp_path, form="224"))
    for row, record in enumerate(images.records):
        np.testing.assert_array_equal(images.read(row), read_image(root / record.path))


SCRIPT = """
import sys
from jxr.data.tfds_prepare import prepare
from jxr.data.tfds_reader import tfds_set
for form in ("original", "224"):
    images = tfds_set(prepare(sys.argv[1], sys.argv[2], form=form))
    for row in range(len(images.records)):
        images.read(row)
loaded = {name.split(".")[0] for name in sys.modules}
assert "array_record" in loaded
assert not {"tensorflow", "torch", "apache_beam"} & loaded, loaded
"""


def test_no_tensorflow_and_the_same_bytes_every_time(root, tmp_path):
    command = [sys.executable, "-c", SCRIPT, str(root), str(tmp_path / "a")]
    subprocess.run(command, check=True, capture_output=True)
    for form in ("original", "224"):
        prepare(root, tmp_path / "b", form=form)
    files = [file for file in sorted((tmp_path / "a").rglob("*")) if file.is_file()]
    assert sum("array_record" in file.name for file in files) == 4
    for file in files:
        again = tmp_path / "b" / file.relative_to(tmp_path / "a")
        assert again.read_bytes() == file.read_bytes()


def test_size_does_not_matter(root, tmp_path, monkeypatch):
    # Beyond this many bytes TFDS shuffles on disk, by TensorFlow; train of the real set has more.
    monkeypatch.setattr("tensorflow_datasets.core.shuffle.MAX_MEM_BUFFER_SIZE", 1)
    same_images(tfds_set(prepare(root, tmp_path)), root, "original")


def test_without_a_source_the_archive_is_fetched(root, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(tfds_builder, "fetch_archive", lambda path: asked.append(path) or root)
    builder = ChestXrayGuangzhou(data_dir=tmp_path / "tfds")
    builder.download_and_prepare(download_dir=tmp_path / "downloads")
    assert asked == [tmp_path / "downloads"]
    same_images(tfds_set(tmp_path / "tfds"), root, "original")


@pytest.mark.parametrize("form", NAMES[:2])
def test_a_broken_image_is_named_and_fatal_or_left_out(root, tmp_path, caplog, small_files, form):
    records = index_folder(root)
    broken = root / records[4].path
    broken.write_bytes(broken.read_bytes()[:300])
    with pytest.raises(UserError, match=rf"^{broken}: cannot be read as an image"):
        prepare(root, tmp_path / "tfds", form=form)
    assert not is_prepared(tmp_path / "tfds")

    seen = []
    folder = prepare(
        root,
        tmp_path / "tfds",
        form=form,
        skip_broken=True,
        progress=lambda *counts: seen.append(counts),
    )
    assert seen == [(i, 9) for i in range(1, 10)]
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert [str(broken) in warning for warning in warnings] == [True]
    images = tfds_set(folder)
    assert images.notes[-1] == f"broken images that were left out (1): {records[4].path}"
    broken.unlink()
    same_images(images, root, form)
    if form == "original":
        assert images.fingerprint == data_fingerprint(root, index_folder(root))


def test_a_record_file_of_broken_images_only(root, tmp_path, small_files):
    records = [record for record in index_folder(root) if record.split == "train"]
    for record in records[3:6]:
        (root / record.path).write_bytes(b"")
    images = tfds_set(prepare(root, tmp_path, skip_broken=True))
    for record in records[3:6]:
        (root / record.path).unlink()
    same_images(images, root, "original")


def test_a_split_of_broken_images_only(root, tmp_path):
    for record in index_folder(root):
        if record.split == "test":
            (root / record.path).write_bytes(b"")
    with pytest.raises(UserError, match="no image of test can be read"):
        prepare(root, tmp_path, skip_broken=True)
    assert not is_prepared(tmp_path)


def test_what_is_there_is_left_as_it_is(root, prepared, tmp_path, build):
    before = {file: file.read_bytes() for file in prepared.iterdir()}
    other = build(root=tmp_path / "other")
    (other / "test/NORMAL/IM-0001-0001.jpeg").write_bytes(b"broken")
    assert prepare(other, tmp_path / "tfds", form="224") == prepared
    assert {file: file.read_bytes() for file in prepared.iterdir()} == before


def test_a_place_that_cannot_be_written_is_named(root, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"file: .*; free space or choose another folder"):
        prepare(root, tmp_path / "file")
    (tmp_path / "chest_xray_guangzhou" / "224" / "1.0.0").mkdir(parents=True)
    with pytest.raises(UserError, match=r"1\.0\.0 holds no prepared data set; remove it"):
        prepare(root, tmp_path, form="224")


def test_is_found_from_every_folder_above(root, prepared, tmp_path):
    for path in (prepared, *list(prepared.parents)[:3]):
        assert is_prepared(path)
        assert len(tfds_set(path).records) == 9
    for path in (root, tmp_path, tmp_path / "nowhere"):
        assert not is_prepared(path)
        with pytest.raises(UserError, match=r": no prepared data set; prepare it by"):
            tfds_set(path)
    prepare(root, tmp_path / "tfds")
    with pytest.raises(UserError, match=r"several prepared data sets \(chest.*224.*original.*\)"):
        tfds_set(tmp_path / "tfds")


def test_notes(root, tmp_path):
    (counts,) = tfds_set(prepare(root, tmp_path)).notes
    assert counts.startswith("not the published image set: train normal 3 instead of 1349")
    notes = tfds_set(prepare(root, tmp_path, form="224_bilinear")).notes
    assert notes[0] == counts
    assert "224x224, bilinear without antialiasing, 8 bits" in notes[1]


def test_reads_from_several_threads(root, prepared):
    images = tfds_set(prepared)
    expected = [images.read(row) for row in range(9)]
    rows = np.random.default_rng(0).integers(0, 9, 400).tolist()
    again = tfds_set(prepared)  # whose files are not open yet
    with ThreadPoolExecutor(8) as pool:
        for row, image in zip(rows, pool.map(again.read, rows), strict=True):
            np.testing.assert_array_equal(image, expected[row])


def flipped(content: bytes) -> bytes:
    return content[:70_000] + bytes([content[70_000] ^ 1]) + content[70_001:]


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("train.array_record-00001-of-00003", lambda content: content[: len(content) // 2]),
        ("train.array_record-00001-of-00003", lambda content: b""),
        ("train.array_record-00001-of-00003", lambda content: b"garbage" * 20_000),
        ("train.array_record-00001-of-00003", flipped),
        ("train.array_record-00001-of-00003", None),
        ("dataset_info.json", lambda content: content[:40]),
        ("dataset_info.json", lambda content: b"{}"),
        ("features.json", None),
        ("metadata.json", lambda content: content[:40]),
        ("metadata.json", None),
    ],
)
def test_damage_is_named(prepared, file, change):
    (path,) = prepared.glob(f"*{file}")
    if change is None:
        path.unlink()
    else:
        path.write_bytes(change(path.read_bytes()))
    with pytest.raises(UserError, match="prepare it again") as error:
        [tfds_set(prepared).read(row) for row in range(9)]
    assert str(prepared) in str(error.value)
    assert "\n" not in str(error.value)


def test_files_that_were_exchanged_are_found(root, prepared, tmp_path):
    first, second = (
        prepared / f"chest_xray_guangzhou-train.array_record-0000{i}-of-00003" for i in (0, 1)
    )
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(kept)
    images = tfds_set(prepared)
    with pytest.raises(UserError, match=r"lies in its place; remove the folder"):
        images.read(2)
    shutil.copy(prepared / "chest_xray_guangzhou-test.array_record-00000-of-00001", first)
    with pytest.raises(UserError, match=r"of-00003: 2 records instead of 3; remove the folder"):
        tfds_set(prepared)


def test_another_set_is_refused(prepared):
    info = prepared / "dataset_info.json"
    info.write_text(json.dumps(json.loads(info.read_text()) | {"name": "mnist"}))
    with pytest.raises(UserError, match=r"the data set mnist; only chest_xray_guangzhou is known"):
        tfds_set(prepared)


@pytest.mark.shared
@pytest.mark.parametrize("form", NAMES)
def test_the_real_originals(shared, tmp_path, form):
    root = shared / "data" / "chest_xray_fullres"
    images = tfds_set(prepare(root, tmp_path, form=form))
    assert len(images.records) == 137
    errors = same_images(images, root, form)
    if form == "original":
        assert images.fingerprint == data_fingerprint(root, index_folder(root))
    else:
        # Noise uniform over one step has 1/12 of its square; black stays as it is.
        assert 0.85 < np.mean(errors) * 12 * 255**2 < 1.01
