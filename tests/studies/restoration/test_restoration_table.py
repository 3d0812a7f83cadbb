"""The table of classical methods on tiny images: its rows, its choices, resume."""

import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from jxr.config import BlurConfig, RestorationTableConfig
from jxr.errors import UserError
from jxr.studies.restoration import table as module
from jxr.studies.restoration.classical import METHODS, STRENGTHS, gradient_penalty
from jxr.studies.restoration.table import restoration_table
from jxr.studies.restorers import kernel_of
from ml_collections_configs.restoration import RUNS
from tests.tiny import tiny


@pytest.fixture(scope="module")
def finished(tiny_images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    config = dataclasses.replace(
        tiny(RUNS["kermany"], tiny_images), sigmas=(1.0,), conventions=("standard",)
    )
    with pytest.MonkeyPatch.context() as patch:  # each number of iterations has to be compiled
        patch.setitem(STRENGTHS, "richardson_lucy", (2.0, 8.0))
        results = restoration_table(config, folder / "run", folder / "cache")
    return config, folder, results


def test_every_setting_has_the_limit_and_every_method(finished):
    _, _, results = finished
    rows = results["restoration"]
    assert len(rows) == 5 + 3 * (5 + len(METHODS))
    for precision, noise in (("float32", 0.0), ("8bit", 0.0), ("float32", 0.01)):
        error = {
            (row["method"], row["recipe"]): row["mse"]
            for row in rows
            if (row["input_precision"], row["noise"]) == (precision, noise)
        }
        assert {method for method, _ in error} == {"none", "wiener", *METHODS}
        limit = error["wiener", "spectra-test-oracle"]
        for recipe in ("spectra-train", "flat-validation", "flat-test-oracle-coarse"):
            # Without noise all of them are at the rounding, which is not white.
            assert limit <= error["wiener", recipe] * (1.05 if not noise else 1 + 1e-6)
        assert limit < error["none", "none"]
    chosen = {row["method"]: row["strength"] for row in rows if "strength" in row}
    assert all(strength in STRENGTHS[method] for method, strength in chosen.items())


def test_finished_stages_are_not_done_again(finished, monkeypatch):
    config, folder, results = finished

    def refuse(*_, **__):
        raise AssertionError("a finished stage was done again")

    monkeypatch.setattr(module, "classical_row", refuse)
    monkeypatch.setattr(module, "linear_limit_rows", refuse)
    assert restoration_table(config, folder / "run", folder / "cache") == results


def test_gradient_penalty_is_the_dense_solution():
    blur = BlurConfig(sigma=1.0)
    profile, size, weight = kernel_of(blur, "device"), (9, 11), 0.03

    def matrix(function):
        basis = np.eye(size[0] * size[1]).reshape(-1, *size)
        return np.stack([function(image).ravel() for image in basis], axis=1)

    def blurred(image):
        for axis in (0, 1):
            image = ndimage.convolve1d(image, profile, axis=axis, mode="reflect")
        return image

    forward = matrix(blurred)
    down = matrix(lambda image: np.diff(image, axis=0))
    along = matrix(lambda image: np.diff(image, axis=1))
    image = np.random.default_rng(0).random(size)
    normal = forward.T @ forward + weight * (down.T @ down + along.T @ along)
    expected = np.linalg.solve(normal, forward.T @ image.ravel()).reshape(size)
    restore = gradient_penalty(profile, size)
    found = restore(image[None, ..., None].astype(np.float32), weight)[0, ..., 0]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_impossible_settings_are_refused():
    with pytest.raises(UserError, match="noise is 0"):
        RestorationTableConfig(noise=0.0)
