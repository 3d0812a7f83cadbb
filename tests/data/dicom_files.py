"""Small DICOM files, made by pydicom, and what is read of them."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    generate_uid,
)

from jxr.data import Radiograph, read_radiograph
from jxr.errors import UserError

KINDS = [(np.uint8, 8), (np.uint16, 12), (np.uint16, 16), (np.int16, 12), (np.int16, 16)]
GREY = np.random.default_rng(0).integers(0, 4096, (9, 7)).astype(np.uint16)


def some(dtype: type, bits: int, shape: tuple[int, int] = (11, 7), *, seed: int = 0) -> np.ndarray:
    """Random values of all that the bits can store, with both ends."""
    low = -(2 ** (bits - 1)) if np.dtype(dtype).kind == "i" else 0
    values = np.random.default_rng(seed).integers(low, low + 2**bits, shape)
    values[0, :2] = low, low + 2**bits - 1
    return values.astype(dtype)


def read(tmp_path: Path, made: pydicom.FileDataset | bytes, name: str = "a.dcm") -> Radiograph:
    path = tmp_path / name
    path.write_bytes(made if isinstance(made, bytes) else content(made))
    return read_radiograph(path)


def derived(radiograph: Radiograph, pixels: np.ndarray | None = None, note: str = "restored"):
    pixels = radiograph.pixels if pixels is None else pixels
    return pydicom.dcmread(io.BytesIO(radiograph.encode(pixels, note)))


def dataset(stored: np.ndarray, bits: int | None = None, **elements: Any) -> FileDataset:
    """Returns a radiograph of these stored values; an element given as None is left out."""
    allocated = 8 * stored.itemsize
    signed = stored.dtype.kind == "i"
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset("", {}, preamble=b"\0" * 128, file_meta=meta)
    defaults = {
        "SOPClassUID": ComputedRadiographyImageStorage,
        "SOPInstanceUID": generate_uid(entropy_srcs=["instance"]),
        "StudyInstanceUID": generate_uid(entropy_srcs=["study"]),
        "SeriesInstanceUID": generate_uid(entropy_srcs=["series"]),
        "ImageType": ["ORIGINAL", "PRIMARY"],
        "PatientName": "Doe^Jane",
        "Rows": stored.shape[0],
        "Columns": stored.shape[1],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": allocated,
        "BitsStored": bits or allocated,
        "HighBit": (bits or allocated) - 1,
        "PixelRepresentation": int(signed),
    }
    for keyword, value in (defaults | elements).items():
        if value is not None:
            setattr(made, keyword, value)
    if "PixelData" not in elements:
        content = stored.astype(stored.dtype.newbyteorder("<")).tobytes()
        made.PixelData = content + b"\0" * (len(content) % 2)
        made["PixelData"].VR = "OB" if allocated == 8 else "OW"
    return made


def content(made: Dataset) -> bytes:
    """Returns the bytes of a file."""
    file = io.BytesIO()
    made.save_as(file, enforce_file_format=True)
    return file.getvalue()


def encapsulated(made: FileDataset, stream: bytes, syntax: str = JPEGBaseline8Bit) -> FileDataset:
    """Puts a compressed stream in the place of the pixels."""
    from pydicom.encaps import encapsulate

    made.PixelData = encapsulate([stream])
    made["PixelData"].VR = "OB"
    made.file_meta.TransferSyntaxUID = syntax
    return made


def lossless_jpeg(stored: np.ndarray, bits: int) -> bytes:
    """Encodes grey values as lossless JPEG (ITU-T T.81 process 14, predictor 1).

    Pixels are predicted from the left one, the first of a row from the one above, the very first
    as half the range. All 17 categories of differences have codes of 5 bits.
    """
    rows, columns = stored.shape
    values = stored.astype(int)
    predicted = np.empty_like(values)
    predicted[:, 1:] = values[:, :-1]
    predicted[1:, 0] = values[:-1, 0]
    predicted[0, 0] = 2 ** (bits - 1)
    code = []
    for difference in ((values - predicted + 32_768) % 65_536 - 32_768).ravel().tolist():
        category = abs(difference).bit_length()
        code.append(f"{category:05b}")
        if 0 < category < 16:
            low = difference if difference > 0 else difference + 2**category - 1
            code.append(f"{low:0{category}b}")
    text = "".join(code)
    text += "1" * (-len(text) % 8)
    scan = int(text, 2).to_bytes(len(text) // 8).replace(b"\xff", b"\xff\0")

    def segment(marker: int, body: bytes) -> bytes:
        return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2) + body

    lengths = bytes([0, 0, 0, 0, 17] + [0] * 11)
    return b"".join(
        (
            b"\xff\xd8",
            segment(0xC4, b"\0" + lengths + bytes(range(17))),
            segment(
                0xC3,
                bytes([bits]) + rows.to_bytes(2) + columns.to_bytes(2) + bytes([1, 1, 0x11, 0]),
            ),
            segment(0xDA, bytes([1, 1, 0, 1, 0, 0])),
            scan,
            b"\xff\xd9",
        )
    )


def refused(tmp_path: Path, made: pydicom.FileDataset | bytes, match: str) -> None:
    with pytest.raises(UserError, match=match) as error:
        read(tmp_path, made)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(f"{tmp_path}/a.dcm: ")
