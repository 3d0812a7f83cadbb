"""The restorer for all blurs from training to its scores, on tiny images."""

import dataclasses
import json
import re

import jax
import numpy as np
import pytest
from safetensors import safe_open
from scipy.fft import dctn, idctn
from scipy.ndimage import gaussian_filter

from jxr.config import BlurConfig, DataConfig, DegradationRange, RestorerConfig, RestorerStudyConfig
from jxr.errors import UserError
from jxr.models import abstract, load_restorer
from jxr.reporting.restorer_figure import write_restorer
from jxr.studies.dataset import load_dataset
from jxr.studies.restoration import study as module
from jxr.studies.restoration.error_bounds import calibrated_and_scored
from jxr.studies.restoration.large_images import large_images
from jxr.studies.restoration.measured_spectra import limit_error
from jxr.studies.restoration.regions import ratio_interval
from jxr.studies.restoration.spectrum import RINGS, ring_means
from jxr.studies.restoration.study import GRID_INPUTS, TOLD, restorer_study
from jxr.studies.restorers import degraded_images, degraded_pairs
from jxr.studies.runs import evaluate
from jxr.studies.wiener_nets import (
    export_wiener_net,
    linear_estimates,
    restored_by_net,
    train_wiener_net,
)
from jxr.training.checkpoints import latest_step, load_params
from jxr.training.wiener_net_task import build_wiener_net
from ml_collections_configs import restorer_study as configs
from ml_collections_configs.wiener_net import RUNS
from tests.tiny import tiny

SOME_SIGMAS = (0.0, 1.5)


@pytest.fixture(scope="module")
def trained(tiny_images, tmp_path_factory):
    """The folder of a run of every config, of which the weights file is the last one's."""
    folder = tmp_path_factory.mktemp("net")
    for name, run in RUNS.items():
        train_wiener_net(tiny(run, tiny_images), folder / name, folder / "cache")
        export_wiener_net(folder / name, folder / "net.safetensors")
    return folder


@pytest.fixture(scope="module")
def finished(tiny_images, trained):
    config = dataclasses.replace(
        configs.RUNS["kermany"],
        restorer=RestorerConfig(str(trained / "net.safetensors")),
        part="test",
        sigmas=(1.0,),
        conventions=("standard",),
        subset=6,
        data=DataConfig(path=str(tiny_images), size=32, validation_fraction=0.2),
        images=2,
        large=DataConfig(path=str(tiny_images), size=32),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "GRID_SIGMAS", SOME_SIGMAS)  # each has to be compiled
        results = restorer_study(config, trained / "study", trained / "cache")
    return config, trained, results


def test_mistakes_around_training_are_named(trained, finished, tiny_images):
    run = tiny(RUNS["kermany"], tiny_images)
    other = dataclasses.replace(run, net=dataclasses.replace(run.net, width=8))
    with pytest.raises(UserError, match=r"other values of net\.width"):
        train_wiener_net(other, trained / "kermany", trained / "cache")
    large = dataclasses.replace(run, net=dataclasses.replace(run.net, crop=64))
    with pytest.raises(UserError, match=r"net\.crop 64 is more than data\.size 32"):
        train_wiener_net(large, trained / "other", trained / "cache")
    wide = dataclasses.replace(run, degradations=DegradationRange(max_sigma=20.0))
    with pytest.raises(UserError, match=r"degradations\.max_sigma 20 needs a kernel larger"):
        train_wiener_net(wide, trained / "other", trained / "cache")
    with pytest.raises(UserError, match="export it by"):
        evaluate(trained / "kermany", trained / "cache", "validation")
    with pytest.raises(UserError, match="no run of a restorer"):
        export_wiener_net(trained / "study", trained / "none.safetensors")
    with pytest.raises(UserError, match="train first"):
        export_wiener_net(trained / "nothing", trained / "none.safetensors")


def test_the_exported_network_restores(trained, tiny_images):
    restorer = load_restorer(trained / "net.safetensors")
    _, template = abstract(build_wiener_net(tiny(RUNS["kermany"], tiny_images).net))
    saved = load_params(trained / "kermany" / "checkpoints", template)
    jax.tree.map(np.testing.assert_array_equal, restorer.params, saved)
    assert np.asarray(saved["last"]["kernel"]).any()  # it has learnt something
    with safe_open(trained / "net.safetensors", framework="numpy") as file:
        assert file.metadata()["step"] == str(latest_step(trained / "kermany" / "checkpoints"))
    dataset = load_dataset(
        DataConfig(path=str(tiny_images), size=32, validation_fraction=0.2), trained / "cache"
    )
    rows = dataset.test
    originals = np.asarray(dataset.images[rows])
    blur = BlurConfig(sigma=1.0)  # float images without noise: their blur is undone
    blurred = degraded_images(originals, rows, blur, 0)
    for restore in (linear_estimates, restored_by_net):
        restored = restore(restorer, blurred, blur)
        assert restored.dtype == np.float32
        assert np.square(restored - originals).mean() < 1e-3 * np.square(blurred - originals).mean()
    wrong = linear_estimates(restorer, blurred, blur, told=0.8)
    assert np.square(wrong - originals).mean() > np.square(restored - originals).mean()
    with pytest.raises(UserError, match="needs 'reflect'"):
        restored_by_net(restorer, blurred, dataclasses.replace(blur, boundary="zero"))


def test_every_setting_is_scored(finished):
    _, folder, results = finished
    assert [row["method"] for row in results["restoration"]] == ["none", "wiener", "wiener_net"] * 3
    assert {row["n"] for row in results["restoration"]} == {18}
    assert [row["told"] for row in results["told"]] == [*TOLD, *TOLD]
    assert len(results["grid"]) == len(SOME_SIGMAS) * len(GRID_INPUTS)
    assert {(row["method"], row["spectrum"]) for row in results["large"]} == {
        ("none", "none"),
        *((m, s) for m in ("wiener", "wiener_net") for s in ("224x224", "large images")),
    }
    for row in results["spectra"]:
        # Whatever the method, the residual follows from power and coherence where means agree.
        signal = np.array(row["signal"])
        for found in row["methods"].values():
            power, coherence = np.array(found["power"]), np.array(found["coherence"])
            residual = signal + power - 2 * np.sqrt(coherence * signal * power)
            np.testing.assert_allclose(found["residual"], residual, rtol=1e-6, atol=1e-12)
        assert row["methods"]["none"]["coherence"][0] > 0.9
    for row in results["uncertainty"]:
        assert 0.5 < row["coverage"] <= 1
        assert 0 < row["narrowest_bound"] <= row["mean_bound"] <= row["widest_bound"]
    assert set(results["provenance"]["fingerprints"]) == {"data", "restorer", "large"}
    assert str(folder) not in json.dumps(results)
    assert results == json.loads((folder / "study" / "results.json").read_text())


def test_the_limit_is_that_of_a_wiener_filter_with_the_spectra_themselves(finished):
    config, folder, _ = finished
    dataset = load_dataset(config.data, folder / "cache")
    blur = BlurConfig(sigma=1.0, noise=0.05)
    originals = np.asarray(dataset.images[dataset.test])
    blurred = degraded_images(originals, dataset.test, blur, 0)

    def cosines(images):
        return dctn(images[..., 0].astype(float), axes=(1, 2), norm="ortho")

    along = dctn(
        gaussian_filter(idctn(np.eye(32), axes=(0,), norm="ortho"), (1, 0), radius=4),
        axes=(0,),
        norm="ortho",
    ).diagonal()
    d = np.outer(along, along)
    x, y = cosines(originals), cosines(blurred)
    signal, noise = (x**2).mean(0), ((y - d * x) ** 2).mean(0)
    restored = idctn(d * signal / (d**2 * signal + noise) * y, axes=(1, 2), norm="ortho")
    expected = np.square(restored - originals[..., 0]).mean()
    assert limit_error(dataset, dataset.test, blur, 0) == pytest.approx(expected, rel=1e-3)


def test_errors_in_parts_of_the_images(finished):
    """The whole image as in the table, parts by their pixels, what is mirrored by itself."""
    config, folder, results = finished
    assert len(results["regions"]) == 3 * 2
    table = {(r["noise"], r["input_precision"]): r for r in results["restoration"][2::3]}
    for row in results["regions"][::3]:
        whole = table[row["noise"], row["input_precision"]]
        assert row["region"] == "whole image"
        assert row["mse_wiener_net"] == pytest.approx(whole["mse"], rel=1e-12)
        assert row["limit_mse"] == pytest.approx(whole["limit_mse"], rel=1e-6)
    dataset = load_dataset(config.data, folder / "cache")
    restorer = load_restorer(config.restorer.path)
    blur = BlurConfig(sigma=1.0, noise=config.noise)
    rows = dataset.test
    originals = np.asarray(dataset.images[rows])
    blurred = degraded_images(originals, rows, blur, config.seed)
    restored = restored_by_net(restorer, blurred, blur)
    turned = np.flip(restored_by_net(restorer, np.flip(blurred, 2).copy(), blur), 2)
    found = [row for row in results["regions"] if row["noise"]]
    for row, (bottom, right, top, left) in zip(
        found, [(32, 32, 0, 0), (27, 27, 5, 5), (19, 5, 0, 0)], strict=True
    ):
        for name, images in (("mse_wiener_net", restored), ("mse_mirrored", turned)):
            error = (images.astype(float) - originals)[:, top:bottom, left:right]
            assert row[name] == pytest.approx(np.square(error).mean(), rel=1e-9)
    assert found[1]["mse_mirrored"] != found[1]["mse_wiener_net"]
    for row in results["regions"]:
        low, high = row["ratio_ci95"]
        assert low < row["limit_mse"] / row["mse_wiener_net"] < high


def test_the_interval_of_a_ratio_of_errors_against_its_linearisation():
    """Residuals from the ratio, summed by patient (Cochran 1977, section 6.13), are all but it."""
    generator = np.random.default_rng(0)
    patients = np.repeat(np.arange(400), generator.integers(1, 6, 400))
    hard = generator.gamma(4.0, size=400)[patients]  # all images of a patient
    second = hard * generator.uniform(0.8, 1.2, patients.size)
    first = second * (1 + generator.gamma(2.0, size=400)[patients])
    ratio = first.sum() / second.sum()
    residuals = np.bincount(patients, first - ratio * second)
    error = np.sqrt(np.sum(residuals**2)) / second.sum()
    alone = np.sqrt(np.sum((first - ratio * second) ** 2)) / second.sum()
    assert error > 1.5 * alone  # so that images drawn one by one would be found out
    found = ratio_interval(first, second, patients)
    assert found == pytest.approx([ratio - 1.96 * error, ratio + 1.96 * error], abs=0.2 * error)


def test_finished_stages_are_not_done_again(finished, monkeypatch):
    config, folder, results = finished

    def refuse(*_, **__):
        raise AssertionError("a finished stage was done again")

    monkeypatch.setattr(module, "GRID_SIGMAS", SOME_SIGMAS)
    for name in (
        "table_rows",
        "region_rows",
        "told_rows",
        "grid_row",
        "spectrum_row",
        "uncertainty_row",
        "large_rows",
    ):
        monkeypatch.setattr(module, name, refuse)
    assert restorer_study(config, folder / "study", folder / "cache") == results
    other = dataclasses.replace(config, seed=1)
    with pytest.raises(UserError, match="other values of seed"):
        restorer_study(other, folder / "study", folder / "cache")


def test_validation_images_calibrate_and_are_scored_by_patient(finished, monkeypatch):
    config, folder, _ = finished
    restorer, seen = load_restorer(config.restorer.path), []
    dataset = load_dataset(config.data, folder / "cache")

    def degraded(dataset, rows, *rest):
        seen.append({dataset.records[row].patient for row in rows})
        return degraded_pairs(dataset, rows, *rest)

    monkeypatch.setattr(module, "degraded_pairs", degraded)
    bounded = calibrated_and_scored(dataset, "validation", config.subset)
    row = module.uncertainty_row(restorer, dataset, bounded, BlurConfig(noise=0.01), 0)
    first, second = seen
    assert not first & second
    assert row["n"] + row["calibrated_on"] <= len(dataset.validation)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"part": "validation"}, "give --config.part=test"),
        ({"large": DataConfig(size=32)}, r"give --config\.large\.path=PATH"),
        ({"images": 1000}, "only 18 of 1000 images"),
    ],
)
def test_large_images_that_cannot_be_had(changes, message, finished):
    config, _, _ = finished
    with pytest.raises(UserError, match=message):
        large_images(dataclasses.replace(config, **changes))


def test_charts_and_tables_are_written(finished, tmp_path):
    _, _, results = finished
    write_restorer(results, tmp_path)
    text = (tmp_path / "tables.md").read_text()
    assert len(re.findall(r"^\| .*Wiener network", text, re.MULTILINE)) == 3 + 4
    for row in results["restoration"][2::3]:
        assert f"{row['limit_mse'] / row['mse']:.2f}" in text
    for row in results["regions"]:
        assert f"| {row['region']} | {row['limit_mse']:.3e} | {row['mse_wiener_net']:.3e}" in text
        assert "[{:.2f}, {:.2f}] |".format(*row["ratio_ci95"]) in text
    for name in ("grid.png", "told.png", "spectrum.png"):
        assert (tmp_path / "figures" / name).stat().st_size > 10_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"noise": 0.0}, "noise is 0"),
        ({"subset": 0}, "subset and images are 0, 0"),
        ({"images": -1}, "subset and images are 96, -1"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_impossible_settings_are_refused(change, message):
    with pytest.raises(UserError, match=message):
        RestorerStudyConfig(**change)


def test_rings_are_means_over_equal_frequencies():
    frequencies = np.hypot(np.arange(64)[:, None] / 128, np.arange(64) / 128)
    found = ring_means(frequencies)
    np.testing.assert_allclose(found, (np.arange(RINGS) + 0.5) / (2 * RINGS), atol=0.006)
    assert ring_means(np.ones((32, 40))).tolist() == [1] * 16  # as many as have members
    bright = np.ones((64, 64))
    bright[0, 0] = 1e6  # the mean brightness counts nowhere
    np.testing.assert_allclose(ring_means(bright), 1)
