"""What the field study writes down, by hand and by SciPy: sizes, errors, what goes where."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.ndimage import convolve

from jxr.config import DataConfig, PhantomConfig
from jxr.optics import psf_operator
from jxr.studies.field import blur as field_blur
from jxr.studies.field import restoration as field_restoration
from jxr.studies.field import study as field_study
from jxr.studies.field.blur import describe, field_of
from jxr.studies.field.clinical import EIGHT_BIT_MSE
from jxr.studies.field.exposures import EXPOSURES
from jxr.studies.field.restoration import chosen, restoration_rows
from ml_collections_configs import field as configs

# The spot is so large that the blur on few pixels is that of a real one on many.
STRONG = dataclasses.replace(EXPOSURES["incubator"], spot_mm=(24.0, 17.0))
PHANTOMS = PhantomConfig(train=18, test=18, seed=3)


def test_rounding_to_eight_bits_costs_a_twelfth_of_a_level_squared():
    values = np.random.default_rng(0).random(100_000)
    rounded = np.round(values * 255) / 255
    assert ((rounded - values) ** 2).mean() == pytest.approx(EIGHT_BIT_MSE, rel=0.02)


def test_a_field_is_described_by_its_exposure(monkeypatch):
    monkeypatch.setattr(field_blur, "choose_tile", lambda *_, **__: SimpleNamespace(tile=7))
    field = field_of(STRONG, 32)
    images = np.random.default_rng(1).random((2, 32, 32, 1), np.float32)
    # Beside black images, the error is the blurred image itself.
    found = describe(field, 0.3, images, np.zeros_like(images))
    # A spot of 24 mm, enlarged by a third, on pixels of 240 / 32 mm; the field's edge lies 15.5
    # pixels from the central ray.
    sigma, lean = 24 / 3 / 12**0.5 / 7.5, 15.5 * 7.5 / 800 / np.tan(np.radians(12))
    for zone, stretch in (("anode_edge", 1 - lean), ("centre", 1), ("cathode_edge", 1 + lean)):
        assert found["sigma_px"][zone][0] == pytest.approx(sigma * stretch, rel=2e-3)
    assert (found["psf_pixels"], found["tile_of_the_same_error"]) == (2 * field.radius + 1, 7)
    errors = found["errors"]["stationary"]
    psf = np.asarray(field.stationary_psf(), float)
    blurred = np.stack([convolve(x, psf, mode="reflect") for x in images[..., 0].astype(float)])
    assert errors["image_rmse"] == pytest.approx(np.sqrt((blurred**2).mean()), rel=1e-4)
    assert errors["psf_error_mean"] < 0.9 * errors["psf_error_max"]
    assert found["errors"]["low_rank"]["psf_error_max"] < 0.3 < errors["psf_error_max"]


def test_errors_are_those_of_the_rows_thirds(monkeypatch):
    for kind in ("_stationary", "_variant"):
        monkeypatch.setattr(field_restoration, kind, lambda *_: [])
    originals = np.zeros((2, 6, 6, 1), np.float32)
    images = originals.copy()
    images[0, :2], images[0, 4:], images[1] = 0.1, 0.3, 0.01
    pair = (originals, images)
    field = field_of(STRONG, 64)
    operator = psf_operator(field.stationary_psf(), method="fft")
    (row,) = restoration_rows(field, operator, pair, pair)
    zones = [(0.1**2 + 1e-4) / 2, 1e-4 / 2, (0.3**2 + 1e-4) / 2]
    assert list(row["mse_by_zone"]) == ["anode_side", "centre", "cathode_side"]
    assert list(row["mse_by_zone"].values()) == pytest.approx(zones)
    assert row["mse_of_images"] == pytest.approx([(0.01 + 0.09) / 3, 1e-4])
    psnr = (-10 * np.log10(0.1 / 3) + 40) / 2  # the mean of decibels
    assert (row["n"], row["psnr"]) == (2, pytest.approx(psnr, rel=1e-5))


@pytest.mark.parametrize("worse", [0.2, np.nan])
def test_a_walk_goes_on_where_errors_stay_and_ends_where_they_rise_or_are_none(worse):
    errors = {1.0: 0.3, 0.5: 0.3, 0.3: 0.1, 0.2: worse, 0.1: 0.0}
    zeros = np.zeros((1, 2, 2, 1), np.float32)
    method = field_restoration.Method(
        "a", "b", lambda images, strength: images + np.float32(errors[strength]), tuple(errors)
    )
    strength, least = chosen(method, zeros, zeros)
    assert (strength, least) == (0.3, pytest.approx(0.01))


def test_what_lies_beyond_black_and_white_counts_as_these():
    zeros = np.zeros((1, 2, 2, 1), np.float32)
    method = field_restoration.Method("a", "b", lambda images, _: images - np.float32(0.5), (1.0,))
    assert chosen(method, zeros, zeros) == (1.0, 0.0)


def test_restorations_get_their_noise_and_their_images(tmp_path, monkeypatch):
    given = []

    def rows(field, operator, scored, tuning):
        given.append((scored, tuning))
        return []

    monkeypatch.setitem(EXPOSURES, "strong", STRONG)
    monkeypatch.setattr(field_study, "restoration_rows", rows)
    monkeypatch.setattr(field_study, "describe", lambda *_: {})
    monkeypatch.setattr(field_study, "variant_operator", lambda *_: (None, 0, 0))
    growth = {"operator": "tiled", "size": 64, "seconds": 1.0}
    monkeypatch.setattr(field_study, "growth_row", lambda *_: growth)
    for kind in ("clinical_rows", "report_rows"):
        monkeypatch.setattr(field_study, kind, lambda _: [])
    config = dataclasses.replace(
        configs.RUNS["demo"],
        data=DataConfig(source="phantoms", size=64, phantoms=PHANTOMS),
        small=DataConfig(source="phantoms", size=32, phantoms=PHANTOMS),
        exposures=("strong",),
        images=2,
        tuning_images=2,
        noises=(0.0, 0.05),
    )
    field_study.field_study(config, tmp_path / "run", tmp_path / "cache")
    clean, noisy = given
    for (originals, blurred), (same, recorded) in zip(clean, noisy, strict=True):
        np.testing.assert_array_equal(originals, same)
        for sharp, soft in zip(originals, blurred, strict=True):
            assert np.corrcoef(sharp.ravel(), soft.ravel())[0, 1] > 0.9
        grey = (blurred > 0.3) & (blurred < 0.7)  # where nothing is clipped
        assert (recorded - blurred)[grey].std() == pytest.approx(0.05, rel=0.1)
