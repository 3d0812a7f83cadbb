"""The bounds that ship with the restorer: how they are made, and that they are its own."""

import json
from dataclasses import replace
from importlib.resources import files

import jax.numpy as jnp
import numpy as np
import pytest

from jxr.data import Record
from jxr.errors import UserError
from jxr.models import load_restorer
from jxr.optics import gaussian_profile
from jxr.restoration.wiener_bank import wiener_bank
from jxr.studies.dataset import Dataset
from jxr.studies.restoration.error_bounds import (
    SHIPPED,
    calibrated_and_scored,
    error_bounds_study,
    random_pairs,
    shipped_bounds,
)
from ml_collections_configs.restorer_study import RUNS
from tests.tiny import tiny


def test_the_shipped_bounds_are_of_the_shipped_restorer():
    content = json.loads((files("jxr.models") / SHIPPED).read_text())
    restorer = load_restorer()
    assert content["restorer"] == restorer.fingerprint
    assert content["coverage"] == pytest.approx(content["level"], abs=0.02)
    assert len(content["bounds"]) == len(content["edges"]) + 1
    other = restorer.with_spectrum(restorer.params["log_power"] + 1)
    with pytest.raises(ValueError, match="of the shipped restorer only"):
        shipped_bounds(other, np.zeros((8, 8, 1), np.float32), gaussian_profile(1.0, radius=4))


def test_bounds_scale_with_the_error_that_is_expected():
    """An image without detail lies in the lowest bin, whose bound is in units of that error."""
    restorer, kernel = load_restorer(), gaussian_profile(1.0, radius=4)
    flat = np.full((32, 32, 1), 0.5, np.float32)
    lowest = json.loads((files("jxr.models") / SHIPPED).read_text())["bounds"][0]
    for noise in (0.001, 0.02):
        told = {"noise": noise, "quantisation": 1 / 255, "width_error": 0.1}
        bank = wiener_bank(jnp.asarray(flat), kernel, restorer.params["log_power"], **told)
        bounds = shipped_bounds(restorer, flat, kernel, **told)
        np.testing.assert_allclose(bounds, lowest * float(bank.error_std), rtol=1e-4)


def test_a_study_calibrates_and_scores_on_different_patients(tiny_images, tmp_path):
    config = tiny(RUNS["kermany"], tiny_images)
    results = error_bounds_study(config, tmp_path / "cache", tmp_path / "bounds.json")
    assert json.loads((tmp_path / "bounds.json").read_text()) == results
    assert len(results["bounds"]) == 20
    assert 0.5 < results["coverage"] <= 1


def test_draws_follow_the_image_and_not_its_place():
    images = np.random.default_rng(0).random((4, 24, 24, 1), np.float32)
    restorer = load_restorer()
    both = random_pairs(restorer, images, 0, np.array([1, 3]))
    last = random_pairs(restorer, images, 0, np.array([3]))
    for many, one in zip(both, last, strict=True):
        np.testing.assert_allclose(many[2:], one, rtol=1e-5)


def test_halves_share_no_patient():
    records = tuple(Record(f"{row}.png", "A", name, "train") for row, name in enumerate("aabbccd"))
    dataset = Dataset(records, np.zeros((7, 1, 1, 1)), *3 * [np.arange(7)], "abc", "antialias")
    first, second = calibrated_and_scored(dataset, "validation", 4)
    assert first.tolist() == [0, 1, 4, 5]
    assert second.tolist() == [2, 3, 6]
    with pytest.raises(UserError, match="only one validation patient"):
        calibrated_and_scored(replace(dataset, validation=np.arange(2)), "validation", 4)
    known, scored = calibrated_and_scored(dataset, "test", 2)
    assert known.tolist() == scored.tolist() == [0, 6]
