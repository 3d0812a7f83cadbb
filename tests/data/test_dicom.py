"""DICOM in and derived DICOM out, against pydicom's own pixels and known values."""

import io

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    generate_uid,
)

from jxr.errors import UserError
from tests.data.dicom_files import (
    GREY,
    KINDS,
    content,
    dataset,
    derived,
    read,
    some,
)


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
    other = some(dtype, bits, seed=1)
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


def test_series_stay_apart_and_what_was_said_of_the_old_pixels_goes(tmp_path):
    """Two series of one study become two, though they were treated alike."""
    made = dataset(
        GREY,
        12,
        ImageType="ORIGINAL",
        DerivationDescription="x" * 1020,
        SmallestPixelValueInSeries=0,
        ExtendedOffsetTable=b"\0" * 8,
        ExtendedOffsetTableLengths=b"\0" * 8,
    )
    made.IconImageSequence = [pydicom.Dataset()]
    one = derived(read(tmp_path, made), note="\u03c3 is 1")
    made.SeriesInstanceUID = generate_uid(entropy_srcs=["another series"])
    assert derived(read(tmp_path, made), note="\u03c3 is 1").SeriesInstanceUID not in (
        one.SeriesInstanceUID,
        made.SeriesInstanceUID,
    )
    assert one.ImageType == "DERIVED"
    # The longest that there may be; its end, and that in ASCII, for any character set.
    assert one.DerivationDescription == "x" * 1016 + "; ? is 1"
    for keyword in ("SmallestPixelValueInSeries", "ExtendedOffsetTable", "IconImageSequence"):
        assert keyword in made
        assert keyword not in one


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


def test_padding_stays_as_it_was(tmp_path):
    stored = some(np.int16, 12)
    stored[(stored >= -2000) & (stored <= -1990)] = 0  # no padding by chance
    stored[3:6] = -2000
    stored[6] = -1990
    # A range, the same from its other end, a value, and the same as some files write it, unsigned.
    for values, rows in (
        ([], []),
        ([("SS", -2000), ("SS", -1990)], [3, 4, 5, 6]),
        ([("SS", -1990), ("SS", -2000)], [3, 4, 5, 6]),
        ([("SS", -2000)], [3, 4, 5]),
        ([("US", 65_536 - 2000)], [3, 4, 5]),
    ):
        made = dataset(stored, 12)
        for keyword, element in zip(
            ("PixelPaddingValue", "PixelPaddingRangeLimit"), values, strict=False
        ):
            made.add_new(keyword, *element)
        radiograph = read(tmp_path, made)
        new = derived(radiograph, np.full_like(radiograph.pixels, 1)).pixel_array
        expected = np.full_like(stored, 2047)
        expected[rows] = stored[rows]
        np.testing.assert_array_equal(new, expected)


def test_values_in_high_bits_and_overlays_below_them(tmp_path):
    shifted = GREY << 4 | np.arange(GREY.size, dtype=np.uint16).reshape(GREY.shape) % 16
    overlay = dataset(shifted, 12, HighBit=15)
    overlay.add_new(0x601E0100, "US", 1)  # the last of the groups that overlays may have
    overlay.add_new(0x601E0102, "US", 0)
    radiograph = read(tmp_path, overlay)
    np.testing.assert_allclose(radiograph.pixels[..., 0], GREY / 4095, atol=1e-7)
    new = derived(radiograph, 1 - radiograph.pixels)
    words = np.frombuffer(new.PixelData, "<u2").reshape(GREY.shape)
    np.testing.assert_array_equal(words >> 4, 4095 - GREY)
    np.testing.assert_array_equal(words & 15, shifted & 15)
    overlay.add_new(0x601E3000, "OW", b"\0\0")  # here it lies then, and not below the pixels
    for _ in range(2):
        with pytest.raises(UserError, match=r"a\.dcm: pixels of more than its 12 bits stored"):
            read(tmp_path, overlay)
        overlay.pop(0x601E0100, None)


def test_signed_values_without_extended_sign(tmp_path):
    stored = some(np.int16, 12)
    cleared = dataset((stored & 4095).astype(np.int16), 12)
    radiograph = read(tmp_path, cleared)
    np.testing.assert_allclose(radiograph.pixels[..., 0], (stored + 2048) / 4095, atol=1e-7)
    new = derived(radiograph)
    np.testing.assert_array_equal(np.frombuffer(new.PixelData, "<i2"), stored.ravel())


@pytest.mark.parametrize("word", [0x1800, 0x7FFF, 0xF001, 0x1001])
def test_bits_above_signed_values_that_are_no_sign_are_refused(tmp_path, word):
    """They are all as the sign, or all zero: these are neither, below zero and above."""
    stored = np.zeros((4, 4), np.int16)
    stored[1, 2] = np.uint16(word).astype(np.int16)
    with pytest.raises(UserError, match="pixels of more than its 12 bits stored"):
        read(tmp_path, dataset(stored, 12))


def test_extremes_of_signed_values(tmp_path):
    made = dataset(some(np.int16, 12), 12)
    made.add_new("SmallestImagePixelValue", "SS", -2048)
    made.add_new("LargestImagePixelValue", "SS", 2047)
    radiograph = read(tmp_path, made)
    new = derived(radiograph, 0.25 + radiograph.pixels / 2)
    assert new.SmallestImagePixelValue == new.pixel_array.min() < 0
    assert new.LargestImagePixelValue == new.pixel_array.max() < 2047
