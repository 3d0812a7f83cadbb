"""Finding radiographs, and reading what is none: one line that names the file."""

import os
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jxr.data import find_radiographs, read_radiograph
from jxr.errors import UserError

PIXELS = np.random.default_rng(0).integers(0, 256, (60, 50)).astype(np.uint8)


def refused(path: Path, match: str) -> None:
    with pytest.raises(UserError, match=match) as error:
        read_radiograph(path)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(f"{path}: ")


def touch(root: Path, *names: str) -> list[Path]:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return [root / name for name in names]


def test_images_are_found_by_their_suffix_in_all_folders(tmp_path):
    images = touch(tmp_path, "b.png", "a/c.JPG", "a/d.jpeg", "a/b/e.tif", "a/b/f.TIFF", "a/g.dcm")
    touch(tmp_path, "notes.txt", ".h.png", "a/.hidden/i.png", "DICOMDIR", "j")
    (tmp_path / "folder.png").mkdir()
    assert find_radiographs(tmp_path) == sorted(images)


def test_links_are_listed_and_loops_end(tmp_path):
    (image,) = touch(tmp_path, "a/b.png")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "broken.png").symlink_to(tmp_path / "nothing.png")
    (tmp_path / "link.png").symlink_to(image)
    assert find_radiographs(tmp_path) == [image, tmp_path / "broken.png", tmp_path / "link.png"]
    refused(tmp_path / "broken.png", "no such file; check the path")


def test_folders_without_images_are_named(tmp_path, monkeypatch):
    for folder, match in (
        (tmp_path / "none", "no such folder; check the path"),
        (tmp_path, "no radiographs in it; give a folder of PNG, JPEG, TIFF or DICOM files"),
    ):
        with pytest.raises(UserError, match=match) as error:
            find_radiographs(folder)
        assert str(error.value).startswith(f"{folder}: ")
    touch(tmp_path, "a/b.png")
    scandir = os.scandir

    def denied(path):
        if Path(path).name == "a":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(UserError, match=r"a: cannot be listed \(Permission denied\); check"):
        find_radiographs(tmp_path)


@pytest.mark.parametrize("name", ["a.png", "a.jpeg", "a.tif"])
def test_files_cut_short_are_refused(tmp_path, name):
    path = tmp_path / name
    Image.fromarray(PIXELS).save(path)
    content = path.read_bytes()
    for length in (0, 3, 10, 100, len(content) // 2, len(content) - 200):
        path.write_bytes(content[:length])
        refused(path, r"cannot be read as a PNG, JPEG or TIFF image \(.*\); replace or remove")


def test_what_is_no_image_is_refused(tmp_path):
    text = tmp_path / "text.png"
    text.write_text("%!PS-Adobe-3.0 EPSF-3.0\n")
    refused(text, r"cannot be read as a PNG, JPEG or TIFF image \(no known format\); replace")
    folder = tmp_path / "folder.png"
    folder.mkdir()
    refused(folder, r"cannot be read \(Is a directory\); check the file")
    refused(tmp_path / "none.png", "no such file; check the path")


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1)])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_the_smallest_images_are_read(tmp_path, size, suffix):
    path = tmp_path / f"a{suffix}"
    Image.fromarray(np.full(size, 77, np.uint8)).save(path)
    radiograph = read_radiograph(path)
    assert radiograph.pixels.shape == (*size, 1)
    assert radiograph.pixels.dtype == np.float32
    np.testing.assert_array_equal(radiograph.pixels, np.float32(77) / np.float32(255))


def test_the_largest_images_are_read_and_larger_ones_refused(tmp_path):
    path = tmp_path / "a.png"
    Image.new("L", (4096, 4096), 200).save(path)
    assert read_radiograph(path).pixels.shape == (4096, 4096, 1)
    # A file of some kilobytes: nothing of it is unpacked.
    content = bytearray(path.read_bytes())
    for side, match in (
        (12_500, "12500 x 12500 pixels, more than the 150,000,000 that are read; cut or reduce"),
        (60_000, "more than the 150,000,000 pixels that are read; cut or reduce the image"),
    ):
        content[16:24] = side.to_bytes(4) * 2
        content[29:33] = zlib.crc32(content[12:29]).to_bytes(4)
        path.write_bytes(content)
        refused(path, match)


def test_pixels_that_cannot_be_written_are_a_mistake_of_the_program(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    radiograph = read_radiograph(tmp_path / "a.png")
    with pytest.raises(ValueError, match="shape"):
        radiograph.encode(radiograph.pixels[1:], "note")
    with pytest.raises(ValueError, match="not finite"):
        radiograph.encode(radiograph.pixels * np.float32(np.nan), "note")
