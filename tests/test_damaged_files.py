"""Whatever is in a file: a result or one line, and never another error, a hang or all the memory.

Files are cut short, and bytes of them changed, inserted and removed, by fixed seeds.
"""

import io
import os
import resource
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLosslessSV1, RLELossless
from safetensors.numpy import save_file

from jxr.data import decode_image, medmnist_set, read_radiograph
from jxr.data.archive import open_source
from jxr.errors import UserError
from jxr.models import load_vgg16_weights
from jxr.models.state_dicts import read_safetensors, read_torch
from tests.data.dicom_files import content, dataset, encapsulated, lossless_jpeg

COUNT = int(os.environ.get("JXR_FUZZ", "120"))  # of damaged files a kind
SECONDS, MEMORY = 10.0, 1 << 30  # that one may take at most

GREY = np.add.outer(np.arange(40) * 3, np.arange(36) * 4).astype(np.uint8)
DEEP = GREY.astype(np.uint16) * 16


def damaged(whole: bytes, count: int) -> Iterator[bytes]:
    """Yields damaged copies; the head, which says what the rest is, is hit more often."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        copy = bytearray(whole)
        kind = rng.integers(5)
        if kind == 0:
            yield bytes(copy[: rng.integers(len(copy))])
            continue
        for _ in range(rng.integers(1, 6)):
            place = rng.integers(min(len(copy), 600) if rng.random() < 0.5 else len(copy))
            if kind == 1:
                copy[place] = rng.integers(256)
            elif kind == 2:
                copy[place] ^= 1 << rng.integers(8)
            elif kind == 3:
                copy[place:place] = rng.bytes(rng.integers(1, 9))
            else:
                del copy[place : place + rng.integers(1, 9)]
        yield bytes(copy)


def outcomes(whole: bytes, path: Path, read: Callable[[Path], Any]) -> None:
    """Reads the file as it is, then its damaged copies."""
    path.write_bytes(whole)
    read(path)
    refused = 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for copy in damaged(whole, COUNT):
        path.write_bytes(copy)
        start = time.monotonic()
        message = refusal(read, path)
        if message is not None:
            refused += 1
            assert "\n" not in message
            assert str(path) in message
        assert time.monotonic() - start < SECONDS
    assert refused > COUNT / 10
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
    assert kilobytes * 1024 < MEMORY


def refusal(read: Callable[[Path], Any], path: Path) -> str | None:
    """What a reader says against a file; any other error than UserError fails the test."""
    try:
        read(path)
    except UserError as error:
        return str(error)
    return None


def raster(kind: str, pixels: np.ndarray | Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(file, kind, **options)
    return file.getvalue()


def compressed(syntax: str) -> bytes:
    made = dataset(DEEP, 12, WindowCenter=300, WindowWidth=500, ImagerPixelSpacing=[0.1, 0.1])
    if syntax == JPEGLosslessSV1:
        return content(encapsulated(made, lossless_jpeg(DEEP, 12), syntax))
    if syntax == JPEGBaseline8Bit:
        return content(encapsulated(dataset(GREY), raster("JPEG", GREY), syntax))
    if syntax:
        made.compress(syntax)
    return content(made)


FILES = {
    "8bit.png": raster("PNG", GREY),
    "16bit.png": raster("PNG", DEEP, dpi=(100, 100)),
    "palette.png": raster("PNG", Image.fromarray(GREY).convert("P"), icc_profile=b"x" * 200),
    "grey.jpeg": raster("JPEG", GREY, dpi=(100, 100)),
    "rgb.jpeg": raster("JPEG", Image.fromarray(GREY).convert("RGB"), exif=Image.Exif()),
    "raw.tif": raster("TIFF", DEEP, tiffinfo={270: "text", 65_000: "private"}),
    "lzw.tif": raster("TIFF", DEEP, compression="tiff_lzw"),
    "fax.tif": raster("TIFF", Image.fromarray(GREY).convert("1"), compression="group4"),
    "plain.dcm": compressed(""),
    "rle.dcm": compressed(RLELossless),
    "jpeg2000.dcm": compressed(JPEG2000Lossless),
    "lossless.dcm": compressed(JPEGLosslessSV1),
    "baseline.dcm": compressed(JPEGBaseline8Bit),
}


@pytest.mark.parametrize("name", FILES)
def test_images(tmp_path, name):
    def read(path: Path) -> None:
        radiograph = read_radiograph(path)
        assert radiograph.display().shape == radiograph.pixels.shape
        assert radiograph.encode(radiograph.pixels, "note")

    outcomes(FILES[name], tmp_path / name, read)


@pytest.mark.parametrize("name", ["palette.png", "rgb.jpeg", "lzw.tif"])
def test_images_of_data_sets(tmp_path, name):
    outcomes(FILES[name], tmp_path / name, lambda path: decode_image(path.read_bytes(), str(path)))


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_archives(tmp_path, method):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name in (
            "train/NORMAL/IM-0001-0001.jpeg",
            "train/PNEUMONIA/person1_bacteria_1.jpeg",
            "test/NORMAL/IM-0002-0001.jpeg",
            "test/PNEUMONIA/person2_virus_1.jpeg",
        ):
            archive.writestr(name, name.encode() * 3)

    def read(path: Path) -> None:
        source = open_source(path)
        for record in source.records:
            source.read(record.path)

    outcomes(file.getvalue(), tmp_path / "a.zip", read)


def test_medmnist(tmp_path):
    file = io.BytesIO()
    arrays = {}
    for split in ("train", "val", "test"):
        arrays[f"{split}_images"] = np.arange(2 * 8 * 8, dtype=np.uint8).reshape(2, 8, 8)
        arrays[f"{split}_labels"] = np.array([[0], [1]])
    np.savez_compressed(file, **arrays)

    def read(path: Path) -> None:
        images = medmnist_set(path)
        images.read(len(images.records) - 1)

    outcomes(file.getvalue(), tmp_path / "pneumoniamnist.npz", read)


def tensors(read: Callable[[Path], dict]) -> Callable[[Path], None]:
    def read_all(path: Path) -> None:
        for tensor in read(path).values():
            tensor.read()

    return read_all


STATE = {"a": np.arange(30, dtype=np.float32).reshape(5, 6), "b": np.ones(7, np.float16)}


def test_safetensors(tmp_path):
    save_file(STATE, tmp_path / "a")
    outcomes((tmp_path / "a").read_bytes(), tmp_path / "a", tensors(read_safetensors))


@pytest.mark.torch
@pytest.mark.parametrize("zipped", [True, False])
def test_torch(tmp_path, zipped):
    torch = pytest.importorskip("torch")
    state = {name: torch.from_numpy(array) for name, array in STATE.items()}
    torch.save(state, tmp_path / "a", _use_new_zipfile_serialization=zipped)
    outcomes((tmp_path / "a").read_bytes(), tmp_path / "a", tensors(read_torch))


def test_keras(tmp_path):
    """The first layer of the file only: that the next is missing is what is said at best."""
    with h5py.File(tmp_path / "a", "w") as file:
        file["block1_conv1/block1_conv1_W_1:0"] = np.ones((3, 3, 3, 64), np.float32)
        file["block1_conv1/block1_conv1_b_1:0"] = np.ones(64, np.float32)

    def read(path: Path) -> None:
        with pytest.raises(UserError) as error:
            load_vgg16_weights(path)
        if "has no data set block1_conv2" not in str(error.value):
            raise error.value

    outcomes((tmp_path / "a").read_bytes(), tmp_path / "a", read)
