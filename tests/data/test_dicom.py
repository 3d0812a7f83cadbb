"""DICOM in and derived DICOM out, against pydicom's own pixels and known values."""

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
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    RLELossless,
)

from jxr.data import (
    Radiograph,
    csv_set,
    decode_image,
    find_radiographs,
    folder_set,
    read_radiograph,
)
from jxr.errors import UserError
from tests.data.dicom_files import content, dataset, encapsulated, lossless_jpeg

RNG = np.random.default_rng(0)
KINDS = [(np.uint8, 8), (np.uint16, 12), (np.uint16, 16), (np.int16, 12), (np.int16, 16)]
GREY = RNG.integers(0, 4096, (9, 7)).astype(np.uint16)


def some(dtype: type, bits: int, shape: tuple[int, int] = (11, 7)) -> np.ndarray:
    """Random values of all that the bits can store, with both ends."""
    low = -(2 ** (bits - 1)) if np.dtype(dtype).kind == "i" else 0
    values = RNG.integers(low, low + 2**bits, shape)
    values[0, :2] = low, low + 2**bits - 1
    return values.astype(dtype)


def read(tmp_path: Path, made: pydicom.FileDataset | bytes, name: str = "a.dcm") -> Radiograph:
    path = tmp_path / name
    path.write_bytes(made if isinstance(made, bytes) else content(made))
    return read_radiograph(path)


def derived(radiograph: Radiograph, pixels: np.ndarray | None = None, note: str = "restored"):
    pixels = radiograph.pixels if pixels is None else pixels
    return pydicom.dcmread(io.BytesIO(radiograph.encode(pixels, note)))


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize(("dtype", "bits"), KINDS)
def test_values_and_back(tmp_path, dtype, bits, inverted):
    stored = some(dtype, bits)
    kind = "MONOCHROME1" if inverted else "MONOCHROME2"
    radiograph = read(tmp_path, dataset(stored, bits, PhotometricInterpretation=kind))
    levels = 2**bits - 1
    low = -(2 ** (bits - 1)) if stored.dtype.kind == "i" else 0

    def grey(values: np.ndarray) -> np.ndarray:
        fraction = (values.astype(int) - low) / levels
        return 1 - fraction if inverted else fraction

    assert (radiograph.levels, radiograph.suffix) == (levels, ".dcm")
    np.testing.assert_allclose(radiograph.pixels[..., 0], grey(stored), atol=1e-7)
    assert radiograph.pixels.min() == 0
    assert radiograph.pixels.max() == 1

    same = derived(radiograph)
    np.testing.assert_array_equal(same.pixel_array, stored, strict=True)
    assert same.PhotometricInterpretation == kind
    other = some(dtype, bits)
    pixels = np.float32(grey(other))[..., None]
    new = derived(radiograph, pixels)
    np.testing.assert_array_equal(new.pixel_array, other, strict=True)
    assert (new.BitsAllocated, new.BitsStored, new.HighBit) == (
        8 * np.dtype(dtype).itemsize,
        bits,
        bits - 1,
    )


def test_what_is_derived_says_so_and_keeps_the_rest(tmp_path):
    source = dataset(
        GREY,
        12,
        ImageType=["ORIGINAL", "PRIMARY", "", "AP"],
        SpecificCharacterSet="ISO_IR 100",
        PatientName="Müller^Änne",
        RescaleSlope=2,
        RescaleIntercept=-5,
        WindowCenter=[2000, 100],
        WindowWidth=[4000, 10],
        SmallestImagePixelValue=3,
        LargestImagePixelValue=4000,
        InstanceCreationDate="20200101",
        DerivationDescription="cropped",
        LossyImageCompression="01",
    )
    source.add_new(0x00091001, "LO", "private")
    radiograph = read(tmp_path, source)
    file = radiograph.encode(radiograph.pixels / 2, "deblurred, sigma 1")
    assert file == radiograph.encode(radiograph.pixels / 2, "deblurred, sigma 1")
    new = pydicom.dcmread(io.BytesIO(file))
    assert new.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert new.file_meta.MediaStorageSOPInstanceUID == new.SOPInstanceUID
    assert new.file_meta.MediaStorageSOPClassUID == new.SOPClassUID == source.SOPClassUID
    assert new.StudyInstanceUID == source.StudyInstanceUID
    for uid in ("SOPInstanceUID", "SeriesInstanceUID"):
        assert new[uid].value != source[uid].value
        assert new[uid].value.is_valid
    assert list(new.ImageType) == ["DERIVED", "PRIMARY", "", "AP"]
    assert new.DerivationDescription == "cropped; deblurred, sigma 1"
    (reference,) = new.SourceImageSequence
    assert reference.ReferencedSOPClassUID == source.SOPClassUID
    assert reference.ReferencedSOPInstanceUID == source.SOPInstanceUID
    assert "InstanceCreationDate" not in new
    assert (new.SmallestImagePixelValue, new.LargestImagePixelValue) == (
        new.pixel_array.min(),
        new.pixel_array.max(),
    )
    for keyword in (
        *("PatientName", "RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth"),
        *("LossyImageCompression", "SpecificCharacterSet", "BitsStored"),
    ):
        assert new[keyword].value == source[keyword].value
    assert new[0x00091001].value == "private"

    other_note = derived(radiograph, radiograph.pixels / 2, "other")
    other_pixels = derived(radiograph, radiograph.pixels, "deblurred, sigma 1")
    assert len({d.SOPInstanceUID for d in (new, other_note, other_pixels)}) == 3
    assert other_pixels.SeriesInstanceUID == new.SeriesInstanceUID != other_note.SeriesInstanceUID


def test_an_image_that_was_never_an_instance_becomes_one(tmp_path):
    bare = dataset(GREY, 12, ImageType=None, SeriesInstanceUID=None)
    radiograph = read(tmp_path, content(bare))
    radiograph = read(tmp_path, without_meta(dataset(GREY, 12, SOPClassUID=None, ImageType=None)))
    new = derived(radiograph)
    assert list(new.ImageType) == ["DERIVED", "PRIMARY"]
    assert new.SOPInstanceUID.is_valid
    assert "SourceImageSequence" not in new


def without_meta(made: pydicom.FileDataset) -> bytes:
    file = io.BytesIO()
    pydicom.dcmwrite(file, pydicom.Dataset(made), implicit_vr=True, little_endian=True)
    return file.getvalue()


def test_files_without_preamble_are_read_by_their_suffix(tmp_path):
    bare = without_meta(dataset(GREY, 12))
    assert bare[128:132] != b"DICM"
    np.testing.assert_array_equal(derived(read(tmp_path, bare)).pixel_array, GREY)
    with pytest.raises(UserError, match="cannot be read as a PNG, JPEG or TIFF image"):
        read(tmp_path, bare, "a")


def test_implicit_vr(tmp_path):
    made = dataset(GREY, 12)
    made.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    np.testing.assert_array_equal(derived(read(tmp_path, made, "a")).pixel_array, GREY)


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


@pytest.mark.parametrize("name", ["MR_small_jpeg_ls_lossless.dcm", "MR_small_RLE.dcm"])
def test_the_same_image_as_pydicom_ships_it(name):
    plain = pydicom.dcmread(get_testdata_file("MR_small.dcm", download=False))
    radiograph = read_radiograph(get_testdata_file(name, download=False))
    np.testing.assert_array_equal(derived(radiograph).pixel_array, plain.pixel_array)
    assert radiograph.pitch_mm == pytest.approx(0.3125)


def test_padding_stays_as_it_was(tmp_path):
    stored = some(np.int16, 12)
    stored[3:6] = -2000
    stored[6] = -1990
    padded = {"PixelPaddingValue": -2000, "PixelPaddingRangeLimit": -1990}
    for elements, rows in (({}, []), (padded, [3, 4, 5, 6])):
        radiograph = read(tmp_path, dataset(stored, 12, **elements))
        new = derived(radiograph, np.full_like(radiograph.pixels, 1)).pixel_array
        expected = np.full_like(stored, 2047)
        expected[rows] = stored[rows]
        np.testing.assert_array_equal(new, expected)


def test_values_in_high_bits_and_overlays_below_them(tmp_path):
    shifted = GREY << 4 | RNG.integers(0, 16, GREY.shape).astype(np.uint16)
    overlay = dataset(shifted, 12, HighBit=15)
    overlay.add_new(0x60000100, "US", 1)
    overlay.add_new(0x60000102, "US", 0)
    radiograph = read(tmp_path, overlay)
    np.testing.assert_allclose(radiograph.pixels[..., 0], GREY / 4095, atol=1e-7)
    new = derived(radiograph, 1 - radiograph.pixels)
    words = np.frombuffer(new.PixelData, "<u2").reshape(GREY.shape)
    np.testing.assert_array_equal(words >> 4, 4095 - GREY)
    np.testing.assert_array_equal(words & 15, shifted & 15)
    del overlay[0x60000100]
    with pytest.raises(UserError, match=r"a\.dcm: pixels of more than its 12 bits stored"):
        read(tmp_path, overlay)


def test_signed_values_without_extended_sign(tmp_path):
    stored = some(np.int16, 12)
    cleared = dataset((stored & 4095).astype(np.int16), 12)
    radiograph = read(tmp_path, cleared)
    np.testing.assert_allclose(radiograph.pixels[..., 0], (stored + 2048) / 4095, atol=1e-7)
    new = derived(radiograph)
    np.testing.assert_array_equal(np.frombuffer(new.PixelData, "<i2"), stored.ravel())


def test_extremes_of_signed_values(tmp_path):
    made = dataset(some(np.int16, 12), 12)
    made.add_new("SmallestImagePixelValue", "SS", -2048)
    made.add_new("LargestImagePixelValue", "SS", 2047)
    radiograph = read(tmp_path, made)
    new = derived(radiograph, 0.25 + radiograph.pixels / 2)
    assert new.SmallestImagePixelValue == new.pixel_array.min() < 0
    assert new.LargestImagePixelValue == new.pixel_array.max() < 2047


def lut(values: np.ndarray, first: int, bits: int) -> pydicom.Dataset:
    item = pydicom.Dataset()
    item.add_new("LUTDescriptor", "US" if first >= 0 else "SS", [len(values), first, bits])
    item.add_new("LUTData", "OW", values.astype("<u2").tobytes())
    return item


@pytest.mark.parametrize(
    "elements",
    [
        {"WindowCenter": 1500, "WindowWidth": 1000},
        {"WindowCenter": 1500.5, "WindowWidth": 1},
        {"WindowCenter": [1500, 3], "WindowWidth": [1000, 5]},
        {"WindowCenter": 1500, "WindowWidth": 900, "VOILUTFunction": "LINEAR_EXACT"},
        {"WindowCenter": 1500, "WindowWidth": 900, "VOILUTFunction": "SIGMOID"},
        {"WindowCenter": 20, "WindowWidth": 50, "RescaleSlope": 0.1, "RescaleIntercept": -100},
        {"VOILUTSequence": [lut(np.linspace(0, 1023, 3000).round(), 500, 10)]},
    ],
)
@pytest.mark.parametrize("kind", ["MONOCHROME1", "MONOCHROME2"])
def test_display_as_pydicom_windows(tmp_path, elements, kind):
    made = dataset(GREY, 12, PhotometricInterpretation=kind, **elements)
    shown = pydicom.pixels.apply_modality_lut(GREY, made)
    shown = pydicom.pixels.apply_voi_lut(shown, made).astype(float)
    low, high = (
        (0, 1023)
        if "VOILUTSequence" in elements
        else pydicom.pixels.apply_modality_lut(np.array([0.0, 4095.0]), made)
    )
    expected = (shown - low) / (high - low)
    display = read(tmp_path, made).display()
    assert display.dtype == np.float32
    expected = 1 - expected if kind == "MONOCHROME1" else expected
    np.testing.assert_allclose(display[..., 0], expected, atol=1e-6)
    assert 0 <= display.min() < display.max() <= 1


def test_display_through_tables_of_8_and_16_bits(tmp_path):
    modality = np.arange(4096)[::-1] * 16
    first = lut(modality, 0, 16)
    first.ModalityLUTType = "US"
    made = dataset(GREY, 12, ModalityLUTSequence=[first])
    np.testing.assert_allclose(
        read(tmp_path, made).display()[..., 0], (4095 - GREY) / 4095, atol=1e-6
    )
    packed = lut(np.zeros(256), 1000, 8)
    packed.LUTData = np.arange(256, dtype=np.uint8).tobytes()
    made = dataset(GREY, 12, VOILUTSequence=[packed])
    expected = np.clip(GREY.astype(int) - 1000, 0, 255) / 255
    np.testing.assert_allclose(read(tmp_path, made).display()[..., 0], expected, atol=1e-6)
    signed = some(np.int16, 12)
    made = dataset(signed, 12, VOILUTSequence=[lut(np.arange(4096), -2048, 12)])
    expected = (signed.astype(int) + 2048) / 4095
    np.testing.assert_allclose(read(tmp_path, made).display()[..., 0], expected, atol=1e-6)


@pytest.mark.parametrize(
    "elements",
    [
        {},
        {"WindowCenter": 100, "WindowWidth": 0},
        {"WindowCenter": 100},
        {"WindowCenter": "", "WindowWidth": ""},
        {"RescaleSlope": 0.5, "RescaleIntercept": 7},
    ],
)
def test_display_without_a_window_is_the_whole_range(tmp_path, elements):
    radiograph = read(tmp_path, dataset(GREY, 12, **elements))
    np.testing.assert_allclose(radiograph.display(), radiograph.pixels, atol=1e-6)


@pytest.mark.parametrize(
    ("elements", "pitch"),
    [
        ({}, None),
        ({"ImagerPixelSpacing": [0.139, 0.139]}, 0.139),
        ({"ImagerPixelSpacing": [0.139, 0.139], "PixelSpacing": [0.1, 0.1]}, 0.139),
        ({"PixelSpacing": [0.1, 0.1]}, 0.1),
        ({"PixelSpacing": [0.1, 0.2]}, None),
        ({"ImagerPixelSpacing": [0.1, 0.2]}, None),
        ({"ImagerPixelSpacing": [0, 0]}, None),
        ({"ImagerPixelSpacing": ""}, None),
    ],
)
def test_pitch(tmp_path, elements, pitch):
    assert read(tmp_path, dataset(GREY, 12, **elements)).pitch_mm == pitch


def refused(tmp_path: Path, made: pydicom.FileDataset | bytes, match: str) -> None:
    with pytest.raises(UserError, match=match) as error:
        read(tmp_path, made)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(f"{tmp_path}/a.dcm: ")


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


def test_dicom_files_without_a_suffix_are_found(tmp_path):
    made = content(dataset(GREY, 12))
    for name in ("IM0001", "1.2.840.99", "x.dcm", "DICOMDIR", "x.bak", ".hidden"):
        (tmp_path / name).write_bytes(made)
    (tmp_path / "README").write_text("no image")
    (tmp_path / "broken").symlink_to("nothing")
    found = find_radiographs(tmp_path)
    assert [path.name for path in found] == ["1.2.840.99", "IM0001", "x.dcm"]


def test_data_sets_hold_what_a_viewer_shows(tmp_path):
    made = dataset(GREY, 12, WindowCenter=1000, WindowWidth=500)
    expected = np.clip((GREY - 999.5) / 499 + 0.5, 0, 1)[..., None]
    np.testing.assert_allclose(decode_image(content(made), "x"), expected, atol=1e-6)
    for split in ("train", "test"):
        for label in ("a", "b"):
            folder = tmp_path / "set" / split / label
            folder.mkdir(parents=True)
            (folder / "1.dcm").write_bytes(content(made))
    images = folder_set(tmp_path / "set")
    assert len(images.records) == 4
    np.testing.assert_allclose(images.read(0), expected, atol=1e-6)
    (tmp_path / "list.csv").write_text(
        "path,label,patient,split\nset/train/a/1.dcm,a,p,train\nset/test/a/1.dcm,a,q,test\n"
    )
    np.testing.assert_allclose(csv_set(tmp_path / "list.csv").read(1), expected, atol=1e-6)
