"""The study of blur that varies over the field: its parts against references, and a whole run."""

import dataclasses
import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy.fft import dctn, idctn
from scipy.ndimage import convolve, gaussian_filter

from jxr.config import DataConfig, FieldConfig, PhantomConfig
from jxr.errors import UserError
from jxr.optics import dense_blur, gaussian_psf, sigma_px
from jxr.studies.field import exposures as field_exposures
from jxr.studies.field import restoration as field_restoration
from jxr.studies.field import study as field_study
from jxr.studies.field.blur import field_of, recorded, true_blur
from jxr.studies.field.clinical import clinical_rows, geometry_rows, report_rows
from jxr.studies.field.exposures import EXPOSURES, exposure
from jxr.studies.field.growth import growth_row, make, measure, with_extrapolation
from jxr.studies.field.images import field_images
from jxr.studies.field.restoration import Method, chosen, tikhonov_stationary
from ml_collections_configs import field as configs
from tests.commands import ROOT

PHANTOMS = PhantomConfig(train=18, test=18, seed=3)
# The spot is so large that the blur on few pixels is that of a real one on many.
STRONG = dataclasses.replace(EXPOSURES["incubator"], spot_mm=(24.0, 17.0))


def test_the_textbooks_chest():
    chest = exposure("chest_pa")
    (row,) = [row for row in geometry_rows({"a": chest}, 224) if row["spot_mm"] == [1.0, 1.0]]
    assert row["magnification"] == pytest.approx(1.111, abs=1e-3)
    assert row["penumbra_mm"] == pytest.approx(0.111, abs=1e-3)
    assert row["sigma_px_detector"] == pytest.approx([0.1111 / 12**0.5 / 0.14] * 2, rel=1e-3)
    # 430 x 350 mm on 224 x 224 pixels.
    sigmas = [0.1111 / 12**0.5 * 224 / 430, 0.1111 / 12**0.5 * 224 / 350]
    assert row["sigma_px_small"] == pytest.approx(sigmas, rel=1e-3)
    assert row["penumbra_px_small"] == pytest.approx(0.1111 * 224 / 430, rel=1e-3)
    # Line focus: f (1 + t / tan 12 degrees), t half the height over the distance.
    lean = 215 / 1800 / np.tan(np.radians(12))
    for place, stretch in (("cathode", 1 + lean), ("anode", 1 - lean)):
        found = row[f"sigma_px_small_{place}_edge"][0]
        assert found == pytest.approx(sigmas[0] * stretch, rel=1e-3)


def test_a_square_has_the_fields_width():
    geometry = exposure("incubator").square(1024)
    assert geometry.pixel_pitch_mm == pytest.approx((240 / 1024, 240 / 1024), rel=1e-3)


def test_unknown_exposures_are_named():
    with pytest.raises(UserError, match=r"'bed': give some of chest_pa, bedside"):
        exposure("bed")


def test_the_true_blur_spreads_each_pixel_by_its_own_psf():
    field = field_of(dataclasses.replace(STRONG, spot_mm=(60.0, 40.0)), 24)
    psf_at = jax.jit(lambda y, x: field.psf_at(y, x))
    image = np.random.default_rng(0).random((1, 24, 24, 1), np.float32)
    r = field.radius
    copied = np.pad(np.arange(24), r, mode="symmetric")
    expected = np.zeros((24 + 4 * r, 24 + 4 * r))
    for y, row in enumerate(copied):
        for x, column in enumerate(copied):
            psf = np.asarray(psf_at(float(row), float(column)))
            expected[y : y + 2 * r + 1, x : x + 2 * r + 1] += image[0, row, column, 0] * psf
    inside = expected[2 * r : 2 * r + 24, 2 * r : 2 * r + 24]
    np.testing.assert_allclose(true_blur(field, image)[0, ..., 0], inside, atol=2e-6)


def test_the_stationary_psf_is_the_central_one_scaled():
    field = field_of(STRONG, 64)
    for scale in (1.0, 1.5):
        psf = np.asarray(field.stationary_psf(scale), float)
        # A uniform strip of f (M - 1) / pitch: each pixel collects what lies over it.
        half = 24 / 3 / (field.geometry.pixel_pitch_mm[0]) * scale / 2
        edges = np.clip(np.arange(-field.radius, field.radius + 2) - 0.5, -half, half)
        np.testing.assert_allclose(psf.sum(1), np.diff(edges) / (2 * half), atol=1e-5)
    assert float(sigma_px(field.geometry)[0]) == pytest.approx(24 / 3 / (240 / 64) / 12**0.5, 1e-2)


def test_recorded_images_have_noise_of_their_own_and_eight_bits():
    grey = np.full((2, 64, 64, 1), 0.5, np.float32)
    noisy = recorded(grey, 0.02, seed=1)
    np.testing.assert_allclose(noisy * 255, np.round(noisy * 255), atol=1e-4)
    assert noisy.std(axis=(1, 2, 3)) == pytest.approx([0.02, 0.02], rel=0.05)
    assert abs(np.corrcoef(noisy[0].ravel(), noisy[1].ravel())[0, 1]) < 0.06
    np.testing.assert_array_equal(recorded(grey[:1], 0.02, seed=1), noisy[:1])


def test_stationary_tikhonov_is_the_solution_of_the_normal_equations():
    size = 10
    field = field_of(STRONG, 64)
    psf = np.asarray(field.stationary_psf(), float)
    assert np.count_nonzero(psf > 1e-3) > 1
    units = np.eye(size**2).reshape(-1, size, size)
    blur = np.stack([convolve(unit, psf, mode="reflect").ravel() for unit in units], 1)
    slopes = np.stack(
        [np.concatenate([np.diff(unit, axis=0).ravel(), np.diff(unit).ravel()]) for unit in units],
        1,
    )
    image = np.random.default_rng(2).random((size, size))
    expected = np.linalg.solve(blur.T @ blur + 0.03 * slopes.T @ slopes, blur.T @ image.ravel())
    found = tikhonov_stationary(jnp.asarray(image, jnp.float32)[..., None], jnp.asarray(psf), 0.03)
    np.testing.assert_allclose(np.asarray(found).ravel(), expected, atol=1e-5)


def test_the_strength_is_where_the_error_turns():
    zeros = np.zeros((1, 4, 4, 1), np.float32)
    tried = []

    def restore(images, strength):
        tried.append(strength)
        return images + np.float32(abs(strength - 0.1))

    method = Method("a", "b", restore, (1.0, 0.3, 0.1, 0.03, 0.01))
    assert chosen(method, zeros, zeros) == (0.1, 0.0)
    assert tried == [1.0, 0.3, 0.1, 0.03]


@pytest.fixture
def folder(tmp_path):
    """Images of two sizes, the large ones of a number that grows with their rows and columns."""
    for split, names in {
        "train": ("IM-0001-0001", "IM-0002-0001", "IM-0003-0001", "small-IM-0004-0001"),
        "test": ("IM-0010-0001", "small-IM-0011-0001"),
    }.items():
        for name in names:
            shape = (40, 200) if name.startswith("small") else (70, 90)
            pixels = np.add.outer(np.arange(shape[0]), np.arange(shape[1])).astype(np.uint8)
            for label in ("A", "B"):
                path = tmp_path / split / label / f"{name}{label}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    return tmp_path


def test_large_images_are_cropped_and_tests_come_first(folder):
    config = FieldConfig(data=DataConfig(path=str(folder), size=64), images=4, tuning_images=2)
    found = field_images(config)
    assert found.scored.shape == (4, 64, 64, 1)
    assert found.tuning.shape == (2, 64, 64, 1)
    assert found.scored_labels["of the test split"] == 2
    expected = np.add.outer(np.arange(3, 67), np.arange(13, 77)) / 255
    np.testing.assert_allclose(found.scored[0, ..., 0], expected, atol=1e-6)


def test_too_few_large_images_are_counted(folder):
    config = FieldConfig(data=DataConfig(path=str(folder), size=64), images=7, tuning_images=2)
    with pytest.raises(UserError, match=r"only 2 \+ 6 images of different patients have 64"):
        field_images(config)


def test_growth_is_measured_in_a_process_of_its_own():
    row = growth_row("tiled", 128, 1)
    assert row["seconds"] > 0
    assert row["peak_mb"] > row["image_mb"]
    assert row["image_mb"] == pytest.approx(128 * 128 * 4 / 1e6, rel=0.1)
    # Two tiles over a field where PSFs grow fourfold: far from exact, and said to be.
    assert 0.05 < row["psf_error_max"] < 0.5


def test_each_operator_blurs_as_it_should():
    image = np.random.default_rng(6).random((64, 64, 1), np.float32)

    def psf_at(y, x):
        return gaussian_psf(1.0 + (y + x) / 128, radius=6)

    true = dense_blur(jnp.asarray(image), psf_at)
    for name, least, most in (
        ("stationary", 0.01, 0.2), ("low_rank", 0, 1e-5), ("tiled", 1e-3, 0.02)
    ):  # fmt: skip
        blurred = make(name, psf_at, 64).forward(jnp.asarray(image))
        error = float(jnp.linalg.norm((blurred - true).ravel()) / jnp.linalg.norm(true.ravel()))
        assert least <= error < most, name


def test_the_peak_is_that_of_the_own_process():
    # The parent here holds far more than what the child takes.
    script = (
        "import numpy\n"
        "from jxr.studies.bench.fresh_process import peak_bytes\n"
        "first = peak_bytes()\n"
        "block = numpy.ones(200_000_000, numpy.uint8); del block\n"
        "print(peak_bytes() - first)\n"
    )
    call = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert int(call.stdout) == pytest.approx(200e6, rel=0.1)


def test_the_definition_is_extrapolated_by_its_pixels():
    rows = [
        {"operator": "dense", "size": 256, "seconds": 0.5},
        {"operator": "tiled", "size": 512, "seconds": 0.1},
    ]
    more = with_extrapolation(rows, (256, 512, 1024))
    assert more[:2] == rows
    assert more[2:] == [
        {"operator": "dense", "size": 512, "seconds": 2.0, "extrapolated": True},
        {"operator": "dense", "size": 1024, "seconds": 8.0, "extrapolated": True},
    ]
    assert with_extrapolation(rows[1:], (512,)) == rows[1:]


def test_blurs_of_small_images_are_those_of_scipy():
    # 40 images: more than a batch, and no multiple of it.
    images = np.random.default_rng(5).random((40, 64, 64, 1), np.float32)
    for row in report_rows(images):
        sigma = row["sigma"]
        blurred = gaussian_filter(
            images[..., 0].astype(float), (0, sigma, sigma), mode="reflect",
            radius=(0, int(4 * sigma), int(4 * sigma)),
        )  # fmt: skip
        assert row["mse"] == pytest.approx(((blurred - images[..., 0]) ** 2).mean(), rel=1e-4)

    rows = clinical_rows(images)
    (row,) = [row for row in rows if row["exposure"] == "incubator_large"]
    # 2.4 x 1.7 mm at M = 4/3: sinc by sinc, on the DCT's frequencies; at the cathode's edge the
    # spot is longer by the line focus.
    across = np.sinc(1.7 / 3 * np.arange(64) / 2 / 240)
    for place, stretch in (("centre", 1), ("cathode_edge", 1 + 150 / 800 / np.tan(np.pi / 15))):
        down = np.sinc(2.4 / 3 * stretch * np.arange(64) / 2 / 300)
        spectrum = dctn(images[..., 0].astype(float), axes=(1, 2)) * np.outer(down, across)
        difference = idctn(spectrum, axes=(1, 2)) - images[..., 0]
        assert row[f"mse_{place}"] == pytest.approx((difference**2).mean(), rel=1e-3)
    assert len(rows) == 3 * 4 + 1


@pytest.fixture
def config(monkeypatch):
    monkeypatch.setitem(field_exposures.EXPOSURES, "strong", STRONG)
    return dataclasses.replace(
        configs.RUNS["demo"],
        data=DataConfig(source="phantoms", size=64, phantoms=PHANTOMS),
        small=DataConfig(source="phantoms", size=32, phantoms=PHANTOMS),
        exposures=("strong",),
        images=2,
        tuning_images=1,
        noises=(0.001,),
        wanted_error=0.05,
        growth_sizes=(64,),
        dense_sizes=(64,),
        repeats=1,
    )


def test_the_whole_study_and_again(config, tmp_path, monkeypatch):
    # In this process, for speed; that they are fresh is tested above.
    monkeypatch.setattr(field_study, "growth_row", measure)
    # Fewer candidates, of which each number of iterations has to be compiled.
    monkeypatch.setattr(field_restoration, "ITERATIONS", (2.0, 4.0, 8.0))
    monkeypatch.setattr(field_restoration, "SCALES", (0.7, 1.0))
    results = field_study.field_study(config, tmp_path / "run", tmp_path / "cache")
    assert json.loads((tmp_path / "run" / "results.json").read_text()) == results
    rows = {(row["model"], row["method"]): row for row in results["restoration"]}
    assert len(rows) == len(results["restoration"]) == 7
    for row in rows.values():
        assert row["mse"] == pytest.approx(np.mean(row["mse_of_images"]))
        zones = list(row["mse_by_zone"].values())  # of 22, 21 and 21 rows
        assert row["mse"] == pytest.approx(np.average(zones, weights=[22, 21, 21]), rel=1e-5)
    recorded_error = rows["none", "none"]["mse"]
    variant = rows["shift-variant", "tikhonov_gradient"]["mse"]
    assert variant < rows["best stationary", "tikhonov_gradient"]["mse"] < recorded_error
    assert variant < rows["stationary", "tikhonov_gradient"]["mse"]
    (field,) = results["fields"]
    assert field["errors"]["low_rank"]["psf_error_max"] <= 0.05
    assert field["errors"]["stationary"]["psf_error_max"] > 0.3
    growth = {row["operator"]: row for row in results["growth"]["rows"]}
    assert list(growth) == ["stationary", "low_rank", "tiled", "dense"]
    assert growth["dense"]["psf_error_max"] is None
    assert results["clinical"]["n"] == 18

    seconds = results["provenance"]["stage_seconds"]
    again = field_study.field_study(config, tmp_path / "run", tmp_path / "cache")
    assert again["provenance"]["stage_seconds"] == seconds  # nothing was done twice


def test_mistakes_come_before_any_work(config, tmp_path):
    wrong = dataclasses.replace(config, exposures=("strong", "weak"))
    with pytest.raises(UserError, match="'weak'"):
        field_study.field_study(wrong, tmp_path / "run", tmp_path / "cache")
    assert not (tmp_path / "run").exists()
    with pytest.raises(UserError, match="wanted_error is 0"):
        dataclasses.replace(config, wanted_error=0.0)
    with pytest.raises(UserError, match="give 64 pixels or more"):
        dataclasses.replace(config, growth_sizes=(32,))
    for changes in (
        {"noises": ()}, {"noises": (0.1, 0.1)}, {"exposures": ()}, {"growth_sizes": ()},
        {"exposures": ("strong", "strong")}, {"growth_sizes": (64, 64)},
    ):  # fmt: skip
        with pytest.raises(UserError, match=f"{next(iter(changes))} is"):
            dataclasses.replace(config, **changes)
    with pytest.raises(UserError, match="images is 0"):
        dataclasses.replace(config, images=0)
