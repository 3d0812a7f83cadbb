"""DICOM as a viewer shows it, against pydicom's windows; its pitch; where it is found."""

import numpy as np
import pydicom
import pytest

from jxr.data import (
    csv_set,
    decode_image,
    find_radiographs,
    folder_set,
)
from tests.data.dicom_files import GREY, content, dataset, read, some


def lut(values: np.ndarray, first: int, bits: int) -> pydicom.Dataset:
    item = pydicom.Dataset()
    item.add_new("LUTDescriptor", "US" if first >= 0 else "SS", [len(values) % 65_536, first, bits])
    item.add_new("LUTData", "OW", values.astype("<u2").tobytes())
    return item


@pytest.mark.parametrize(
    "elements",
    [
        {"WindowCenter": 1500, "WindowWidth": 1000},
        {"WindowCenter": int(GREY[0, 0]) + 0.5, "WindowWidth": 1},  # at which this one is black
        {"WindowCenter": [1500, 3], "WindowWidth": [1000, 5]},
        {"WindowCenter": 1500, "WindowWidth": 900, "VOILUTFunction": "LINEAR_EXACT"},
        {"WindowCenter": 1500, "WindowWidth": 0.5, "VOILUTFunction": "LINEAR_EXACT"},
        {"WindowCenter": 1500, "WindowWidth": 900, "VOILUTFunction": "SIGMOID"},
        {"WindowCenter": 20, "WindowWidth": 50, "RescaleSlope": 0.1, "RescaleIntercept": -100},
        {"VOILUTSequence": [lut(np.linspace(0, 1023, 3000).round(), 500, 10)]},
        {
            "VOILUTSequence": [lut(np.linspace(9, 600, 3000).round(), 500, 10)],  # of 1023
            "WindowCenter": 1500,  # comes after tables
            "WindowWidth": 1000,
        },
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
    # The longest of all; its length is written as 0.
    made = dataset(GREY, 12, ModalityLUTSequence=[lut(np.arange(65_536)[::-1], 0, 16)])
    made.ModalityLUTSequence[0].ModalityLUTType = "US"
    np.testing.assert_allclose(
        read(tmp_path, made).display()[..., 0], (4095 - GREY) / 4095, atol=1e-6
    )
    # What lies between two entries takes the nearer one.
    rescaled = {"RescaleSlope": 0.25, "RescaleIntercept": 0.125}
    made = dataset(GREY, 12, VOILUTSequence=[lut(np.arange(1024), 0, 10)], **rescaled)
    expected = np.floor(GREY / 4 + 0.125 + 0.5) / 1023
    np.testing.assert_allclose(
        read(tmp_path, made).display()[..., 0], np.minimum(expected, 1), atol=1e-6
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
        {"WindowCenter": 100, "WindowWidth": 0.5},
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
