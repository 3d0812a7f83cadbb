"""Folders of radiographs through `experiments.deblur`: what comes out, and what is refused."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jxr.errors import UserError
from jxr.models import load_restorer
from jxr.optics import gaussian_profile
from jxr.studies.radiographs.blur import Deblurring, Exposure
from jxr.studies.radiographs.deblur_files import deblur_files, result_name
from jxr.studies.restoration.error_bounds import shipped_bounds
from tests.commands import call
from tests.data import dicom_files

SIZE = 48
WANTED = Deblurring(method="wiener", sigma=1.0, noise=0.01)  # the quickest


def ramp(levels: int, dtype: type) -> Image.Image:
    """A grey image with an edge."""
    values = np.tile(np.linspace(0.2, 0.7, SIZE), (SIZE, 1))
    values[:, SIZE // 2 :] += 0.2
    return Image.fromarray(np.rint(values * levels).astype(dtype))


@pytest.fixture
def folder(tmp_path):
    """Images of four kinds, two of them in a folder below."""
    source = tmp_path / "in"
    (source / "below").mkdir(parents=True)
    ramp(255, np.uint8).save(source / "eight.png")
    ramp(65_535, np.uint16).save(source / "below" / "sixteen.tif")
    ramp(255, np.uint8).save(source / "below" / "photo.jpg", quality=95)
    return source


def run(source, output, wanted=WANTED, *, overwrite=False, error_map=False):
    return deblur_files(source, output, wanted, overwrite=overwrite, error_map=error_map)


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_a_folder_keeps_names_places_kinds_and_depths(folder, tmp_path):
    output = tmp_path / "out"
    assert run(folder, output) == 3
    assert files(output) == ["below/photo.png", "below/sixteen.tif", "eight.png"]
    for name, mode in (("eight.png", "L"), ("below/sixteen.tif", "I;16"), ("below/photo.png", "L")):
        with Image.open(output / name) as image:
            assert image.mode == mode
            assert image.size == (SIZE, SIZE)
    with Image.open(output / "eight.png") as image, Image.open(folder / "eight.png") as before:
        assert "Wiener filter: Gaussian of sigma 1 pixels (given)" in image.text["Comment"]
        steepest = [np.diff(np.asarray(i).astype(int), axis=1).max() for i in (image, before)]
        assert steepest[0] > steepest[1]  # the edge is sharper


def test_dicom_files_named_by_uids_do_not_lose_part_of_their_names():
    assert result_name("1.2.840.17", ".dcm") == "1.2.840.17.dcm"
    assert result_name("IMG", ".dcm") == "IMG.dcm"
    assert result_name("chest.v2.JPG", ".png") == "chest.v2.png"


def test_a_dicom_file_becomes_a_derived_instance(tmp_path):
    import pydicom

    values = np.rint(np.asarray(ramp(4095, np.uint16)) // 16 * 16).astype(np.uint16)
    source = tmp_path / "1.2.3"
    before = dicom_files.dataset(values, bits=12, ImagerPixelSpacing=[0.2, 0.2])
    source.write_bytes(dicom_files.content(before))
    exposure = Exposure(2.0, 1000.0, 800.0)
    run(source, tmp_path / "out", Deblurring(method="wiener", exposure=exposure, noise=0.01))
    after = pydicom.dcmread(tmp_path / "out" / "1.2.3.dcm")
    assert (after.BitsStored, after.Rows, after.Columns) == (12, SIZE, SIZE)
    assert after.ImageType[0] == "DERIVED"
    assert after.SOPInstanceUID != before.SOPInstanceUID
    assert after.StudyInstanceUID == before.StudyInstanceUID
    assert "pixels (from the exposure)" in after.DerivationDescription
    rows = (np.diff(image.pixel_array.astype(int), axis=1).max() for image in (after, before))
    assert next(rows) > next(rows)  # the edge is sharper


def test_a_single_file(folder, tmp_path):
    assert run(folder / "eight.png", tmp_path / "out") == 1
    assert files(tmp_path / "out") == ["eight.png"]


def test_nothing_is_overwritten_unless_told(folder, tmp_path, capsys):
    output = tmp_path / "out"
    output.mkdir()
    (output / "eight.png").write_text("mine")
    with pytest.raises(UserError, match="deblurred 2 of 3 files"):
        run(folder, output)
    assert (output / "eight.png").read_text() == "mine"
    assert "eight.png is there already: give another --output, or --overwrite" in (
        capsys.readouterr().err
    )
    assert run(folder, output, overwrite=True) == 3
    with Image.open(output / "eight.png") as image:
        assert image.size == (SIZE, SIZE)


def test_no_image_is_replaced_by_its_own_result(folder, capsys):
    before = (folder / "eight.png").read_bytes()
    with pytest.raises(UserError, match="deblurred 0 of 1 files"):
        run(folder / "eight.png", folder, overwrite=True)
    assert (
        "eight.png: its result would replace it: give another --output" in capsys.readouterr().err
    )
    assert (folder / "eight.png").read_bytes() == before


def test_no_image_is_replaced_by_the_result_of_another(tmp_path, capsys):
    outer, inner = (tmp_path / "a" / place / "x.png" for place in ("b", "b/b"))
    inner.parent.mkdir(parents=True)
    for path in (outer, inner):
        ramp(255, np.uint8).save(path)
    before = outer.read_bytes()
    with pytest.raises(UserError, match="deblurred 1 of 2 files"):
        run(outer.parent, tmp_path / "a", overwrite=True)
    assert f"would replace the image {outer}" in capsys.readouterr().err
    assert outer.read_bytes() == before


def test_two_images_of_one_name_do_not_replace_each_other(folder, tmp_path, capsys):
    ramp(255, np.uint8).save(folder / "eight.jpg")
    with pytest.raises(UserError, match="deblurred 3 of 4 files"):
        run(folder, tmp_path / "out", overwrite=True)
    assert "is the result of eight.jpg: rename one of the two" in capsys.readouterr().err


def bad_files(folder):
    """One file of each kind that a folder of radiographs may hold and nobody can restore."""
    grey = io.BytesIO()
    ramp(255, np.uint8).save(grey, "JPEG")
    (folder / "text.png").write_text("not an image")
    (folder / "cut.jpg").write_bytes(grey.getvalue()[:400])
    (folder / "empty.tif").write_bytes(b"")
    Image.new("L", (1, 1), 9).save(folder / "dot.png")
    Image.new("L", (4000, 1), 9).save(folder / "line.png")
    Image.fromarray(np.full((SIZE, SIZE), np.nan, np.float32)).save(folder / "nan.tif")
    Image.effect_mandelbrot((SIZE, SIZE), (-2, -2, 2, 2), 9).convert("RGB").save(
        folder / "grey_in_rgb.png"
    )
    colours = np.random.default_rng(0).integers(0, 255, (SIZE, SIZE, 3), np.uint8)
    Image.fromarray(colours).save(folder / "colour.png")
    Image.fromarray(colours).convert("CMYK").save(folder / "print.jpg")
    Image.fromarray(colours).convert("P").save(folder / "palette.png")
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    (folder / "folder.png").mkdir()
    bad = {"text.png", "cut.jpg", "empty.tif", "dot.png", "line.png", "nan.tif", "colour.png"}
    return bad | {"print.jpg", "palette.png", "gone.png"}


def test_bad_files_cost_a_line_each_and_the_rest_goes_on(folder, tmp_path):
    """By the command, once: exit status 2, a line for each, a summary, all good files done."""
    bad = bad_files(folder)
    places = f"--input={folder}", f"--output={tmp_path / 'out'}"
    finished = call("deblur", *places, "--method=wiener", "--sigma=1", "--noise=0.01")
    assert finished.returncode == 2
    assert "Traceback" not in finished.stderr
    lines = [line for line in finished.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == len(bad) + 1
    for name in bad:
        assert sum(f"{folder / name}: " in line for line in lines) == 1, name
    assert "deblurred 4 of 14 files" in lines[-1]
    made = ["below/photo.png", "below/sixteen.tif", "eight.png", "grey_in_rgb.png"]
    assert files(tmp_path / "out") == made


def test_a_full_disk_ends_it_and_leaves_no_half_file(folder, tmp_path, monkeypatch):
    written = Path.write_bytes

    def full(path, content):
        if "out" in path.parts and (tmp_path / "out" / "below" / "photo.png").exists():
            written(path, content[:10])
            raise OSError(28, "No space left on device")
        return written(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match="No space left on device"):
        run(folder, tmp_path / "out")
    assert files(tmp_path / "out") == ["below/photo.png"]


def test_results_among_the_images_are_refused(folder):
    with pytest.raises(UserError, match="give another --output"):
        run(folder, folder / "out")
    assert not (folder / "out").exists()


def test_a_folder_that_is_none_or_empty(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        run(tmp_path / "nowhere", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no radiographs in it"):
        run(tmp_path / "empty", tmp_path / "out")


def test_error_maps_are_the_shipped_bounds_in_numbers(folder, tmp_path):
    wanted = Deblurring(sigma=1.0, noise=0.01)
    run(folder / "eight.png", tmp_path / "out", wanted, error_map=True)
    with Image.open(tmp_path / "out" / "eight-error.tif") as image:
        assert image.mode == "F"
        bounds = np.asarray(image)
    with Image.open(tmp_path / "out" / "eight.png") as image:
        restored = (np.asarray(image) / np.float32(255))[..., None]
    restorer = load_restorer()
    kernel = gaussian_profile(1.0, radius=4)
    expected = shipped_bounds(
        restorer, restored, kernel, noise=0.01, quantisation=1 / 255, width_error=0.0
    )
    # Those of the file were made before rounding.
    np.testing.assert_allclose(bounds, expected[..., 0], rtol=0.5)
    assert np.median(np.abs(bounds / expected[..., 0] - 1)) < 1e-3
    assert bounds[:, SIZE // 2].mean() > 2 * bounds[:, 10].mean()  # wider at the edge


def test_error_maps_are_of_the_network_only(folder, tmp_path):
    with pytest.raises(UserError, match="for --method=network only"):
        run(folder, tmp_path / "out", error_map=True)
