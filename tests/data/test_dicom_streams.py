"""Compressed DICOM files against the same pixels uncompressed, and files that are refused."""

import io
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.pixels import get_decoder
from pydicom.uid import (
    MPEG2MPML,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    RLELossless,
)

from jxr.data import read_radiograph
from jxr.data.dicom_streams import stream_size
from tests.data.dicom_files import (
    GREY,
    KINDS,
    content,
    dataset,
    derived,
    encapsulated,
    lossless_jpeg,
    read,
    refused,
    some,
)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
@pytest.mark.parametrize(("dtype", "bits"), KINDS)
def test_lossless_compression(tmp_path, syntax, dtype, bits):
    stored = some(dtype, bits, (41, 37))  # OpenJPEG encodes no smaller ones
    made = dataset(stored, bits)
    made.compress(syntax)
    new = derived(read(tmp_path, made))
    np.testing.assert_array_equal(new.pixel_array, stored, strict=True)
    assert new.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert "LossyImageCompression" not in new


@pytest.mark.parametrize(("dtype", "bits"), KINDS)
def test_lossless_jpeg(tmp_path, dtype, bits):
    stored = some(dtype, bits)
    field = (stored.astype(int) & 2**bits - 1).astype(np.uint16)
    made = encapsulated(dataset(stored, bits), lossless_jpeg(field, bits), JPEGLosslessSV1)
    np.testing.assert_array_equal(derived(read(tmp_path, made)).pixel_array, stored, strict=True)


def test_jpeg_baseline(tmp_path):
    smooth = (np.add.outer(np.arange(40), np.arange(32)) * 3).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(smooth).save(stream, "JPEG", quality=90)
    made = encapsulated(dataset(smooth), stream.getvalue(), JPEGBaseline8Bit)
    new = derived(read(tmp_path, made))
    expected = np.asarray(Image.open(stream)).astype(int)
    np.testing.assert_allclose(new.pixel_array.astype(int), expected, atol=1)
    assert new.LossyImageCompression == "01"


@pytest.mark.parametrize("kind", ["baseline", "lossless", "2000", "2000 as JP2", "nothing"])
def test_streams_of_another_size_are_not_unpacked(tmp_path, kind):
    """A damaged stream of some bytes may claim gigabytes."""
    stored = some(np.uint16, 12, (41, 37))
    made = dataset(stored, 12, Columns=38)
    if kind.startswith("2000"):
        right = dataset(stored, 12)
        right.compress(JPEG2000Lossless)
        stream = next(pydicom.encaps.generate_frames(right.PixelData, number_of_frames=1))
        wrapped = b"\0\0\0\x0cjP  \r\n\x87\n" if kind.endswith("JP2") else b""
        made = encapsulated(made, wrapped + stream, JPEG2000Lossless)
    elif kind == "lossless":
        made = encapsulated(made, lossless_jpeg(stored, 12), JPEGLosslessSV1)
    else:
        stream = io.BytesIO()
        Image.fromarray((stored >> 4).astype(np.uint8)).save(stream, "JPEG")
        content = stream.getvalue() if kind == "baseline" else b"\xff\xd8\xff\xd9"
        made = encapsulated(made, content, JPEGBaseline8Bit)
    refused(
        tmp_path, made, "its compressed pixels are damaged, or not of 38 x 41 pixels as it says"
    )


def test_sizes_of_unusual_streams():
    """By ITU-T T.800 table A.9 (a picture that begins at 10, 3) and T.81 B.1.1.2 (filling)."""
    size = b"".join(number.to_bytes(4) for number in (50, 60, 10, 3))
    codestream = b"\xff\x4f\xff\x51" + b"\0\x29\0\0" + size + b"\0" * 30
    assert stream_size(codestream) == (57, 40)
    frame = b"\xff\xc0\0\x0b\x08" + (41).to_bytes(2) + (37).to_bytes(2) + b"\x01\x01\x11\0"
    assert stream_size(b"\xff\xd8\xff" + frame) == (41, 37)
    comment = b"\xff\xfe" + (2 + len(codestream)).to_bytes(2) + codestream
    assert stream_size(b"\xff\xd8" + comment + frame) == (41, 37)


@pytest.mark.parametrize("name", ["MR_small_jpeg_ls_lossless.dcm", "MR_small_RLE.dcm"])
def test_the_same_image_as_pydicom_ships_it(name):
    plain = pydicom.dcmread(get_testdata_file("MR_small.dcm", download=False))
    radiograph = read_radiograph(get_testdata_file(name, download=False))
    np.testing.assert_array_equal(derived(radiograph).pixel_array, plain.pixel_array)
    assert radiograph.pitch_mm == pytest.approx(0.3125)


@pytest.mark.parametrize(
    ("elements", "match"),
    [
        ({"NumberOfFrames": 2}, "2 frames; give files of one frame each"),
        ({"PixelData": None}, "holds no pixels, or is cut short; give a whole DICOM image"),
        ({"Rows": None}, "holds no pixels, or is cut short"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, r"not greyscale \(PALETTE COLOR\); give"),
        ({"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}, r"not greyscale \(RGB\)"),
        ({"SamplesPerPixel": 3}, "not greyscale"),
        ({"BitsStored": 7}, "7 bits in 16; only 8 to 16 bits are read"),
        ({"BitsAllocated": 32}, "12 bits in 32; only"),
        ({"HighBit": 10}, "its high bit contradicts its 12 bits"),
        ({"PixelRepresentation": 2}, "neither signed nor unsigned"),
        ({"Rows": 40_000, "Columns": 40_000}, "40000 x 40000 pixels, more than the 150,000,000"),
        ({"Rows": 0}, "cannot be read as a DICOM image"),
        ({"Rows": 10}, r"cannot be read as a DICOM image \(The number of bytes of pixel data"),
        ({"RescaleSlope": 0}, r"cannot be read .*\(rescaling by zero or to infinity\)"),
    ],
)
def test_other_images_are_refused(tmp_path, elements, match):
    refused(tmp_path, dataset(GREY, 12, **elements), match)


def test_other_files_are_refused(tmp_path):
    floats = dataset(GREY, 12, PixelData=None)
    floats.FloatPixelData = np.zeros(63, "<f4").tobytes()
    refused(tmp_path, floats, "floating-point pixels; save it with 8 to 16 bits")
    refused(tmp_path, b"%PDF-1.4\n%%EOF\n" * 20, "a.dcm: ")
    refused(tmp_path, b"", "cannot be read as a DICOM image|holds no pixels")
    whole = content(dataset(GREY, 12))
    for length in (132, 200, 500, len(whole) - 30):
        refused(tmp_path, whole[:length], "cannot be read as a DICOM image|is cut short")
    big = Path(get_testdata_file("MR_small_bigendian.dcm", download=False)).read_bytes()
    refused(tmp_path, big, "a big-endian DICOM file, which is not read; save it as Explicit")
    deflated = Path(get_testdata_file("image_dfl.dcm", download=False)).read_bytes()
    refused(tmp_path, deflated, "a deflated DICOM file, which is not read; save it as Explicit")
    film = encapsulated(dataset(GREY, 12), b"\0" * 64, MPEG2MPML)
    refused(tmp_path, film, "compressed as MPEG2 .*, not read; save it as Explicit VR")


def test_missing_packages_are_named(tmp_path, monkeypatch):
    made = dataset(some(np.uint16, 12, (41, 37)), 12)
    made.compress(JPEG2000Lossless)
    monkeypatch.setattr(type(get_decoder(JPEG2000Lossless)), "is_available", False)
    refused(tmp_path, made, r"JPEG 2000 .* needs more packages: pip install -e '\.\[dicom\]'")
    monkeypatch.setitem(sys.modules, "pydicom", None)
    refused(tmp_path, made, r"reading DICOM needs pydicom: pip install -e '\.\[dicom\]'")
