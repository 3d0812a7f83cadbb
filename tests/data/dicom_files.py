"""Small DICOM files, made by pydicom."""

import io
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    generate_uid,
)


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
