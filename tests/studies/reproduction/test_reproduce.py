"""The whole report on tiny made-up images: results, resume, refusals."""

import dataclasses
import errno
import json
import os
import shutil

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from jxr.config import BlurConfig
from jxr.errors import UserError
from jxr.models.vgg16 import extract
from jxr.optics import gaussian_blur
from jxr.studies.binary_tasks import examples
from jxr.studies.classifiers import load_head, predict
from jxr.studies.dataset import load_dataset
from jxr.studies.features import load_backbone
from jxr.studies.reproduction import classification_stage, restoration_stage
from jxr.studies.reproduction import reproduce as module
from jxr.studies.reproduction.reproduce import reproduce
from jxr.studies.reproduction.restoration_stage import RESTORERS, Run
from jxr.studies.reproduction.sweep_stage import leaves_alone
from jxr.studies.workdir import Stages
from ml_collections_configs.reproduce import RUNS
from tests.tiny import tiny, write_csv

CLASSIFICATION_KEYS = {
    "task", "recipe", "train_on", "test_on", "restorer", "sigma", "convention", "noise",
    "input_precision", "n", "patients", "seeds", "accuracy", "auc", "accuracy_ci95", "auc_ci95",
    "sensitivity", "specificity",
}  # fmt: skip
RESTORATION_KEYS = {
    "method", "recipe", "psf", "sigma", "convention", "noise", "input_precision", "boundary",
    "kernel_radius", "sampling", "n", "mse", "psnr", "ssim",
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(tiny_images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reproduce")
    # In one convention: own classes are seen in the other.
    config = dataclasses.replace(
        tiny(RUNS["kermany"], tiny_images), conventions=("standard",), seeds=(0, 1)
    )
    return config, folder, reproduce(config, folder / "run", folder / "cache")


def test_every_sigma_is_restored_in_every_convention():
    blurs = RUNS["kermany"].restoration_blurs()
    assert [(blur.sigma, blur.convention) for blur in blurs] == [
        (1, "standard"), (1, "report"), (2, "standard"), (2, "report"),
    ]  # fmt: skip


def test_results_hold_every_row_of_the_contract(finished):
    _, folder, results = finished
    assert json.loads((folder / "run" / "results.json").read_text()) == results
    classification = results["classification"]
    # Two tasks, two training sets; original, blurred, and recovered by three restorers.
    assert len(classification) == 2 * 2 * 5
    for row in classification:
        assert row["recipe"] == "random-head8-dropout0.5-epochs2"  # not the report's
        assert set(row) == CLASSIFICATION_KEYS
        assert row["n"] == {"normal_vs_pneumonia": 18, "bacterial_vs_viral": 12}[row["task"]]
        assert row["seeds"] == [0, 1]
        low, high = row["accuracy_ci95"]
        assert 0 <= low <= row["accuracy"] <= high <= 1
        assert (row["restorer"] is not None) == (row["test_on"] == "recovered")
    assert len({tuple(map(str, row.values())) for row in classification}) == len(classification)
    restoration = results["restoration"]
    assert len(restoration) == 2 * 4
    for row in restoration:
        assert set(row) == RESTORATION_KEYS
        assert row["n"] == 18
        assert row["mse"] > 0
    assert {row["method"] for row in restoration} == {"none", "wiener", "unet", "wiener_net"}
    assert len(results["roc"]) == 2 * 2 * 5 * 2
    assert len(results["roc_band"]) == 2 * 2 * 5
    assert len(results["paired"]) == 2 * 6 * 2


def test_sweep_has_a_row_for_each_task_kind_of_images_and_sigma(finished):
    _, _, results = finished
    rows = results["sweep"]
    kinds = [("blurred", None), ("recovered", "wiener")]
    assert [(r["task"], r["sigma"], r["test_on"], r["restorer"]) for r in rows] == [
        (task, sigma, *kind)
        for task in ("normal_vs_pneumonia", "bacterial_vs_viral")
        for sigma in (0.0, 1.0, 2.0)
        for kind in kinds
    ]
    assert {row["train_on"] for row in rows} == {"original"}
    assert all(set(row) == CLASSIFICATION_KEYS for row in rows)
    numbers = ("n", "accuracy", "auc", "accuracy_ci95", "auc_ci95", "sensitivity", "specificity")
    matrix = {(r["task"], r["train_on"], r["test_on"], r["restorer"]): r
              for r in results["classification"]}  # fmt: skip
    for row in rows:
        kind = row["test_on"], row["restorer"]
        known = {0.0: ("original", None), 2.0: kind}.get(row["sigma"])
        if known:
            other = matrix[row["task"], "original", *known]
            assert {key: row[key] for key in numbers} == {key: other[key] for key in numbers}


def test_scores_at_a_sigma_of_the_sweep_are_those_of_scipy_s_blur(finished):
    config, folder, results = finished
    dataset = load_dataset(config.data, folder / "cache")
    originals = np.asarray(dataset.images[dataset.test])
    blurred = gaussian_filter(originals.astype(float), (0, 1, 1, 0), mode="reflect", truncate=4)
    backbone = load_backbone(config.weights)
    labels = np.array([dataset.records[row].label != "normal" for row in dataset.test])
    # Without noise the Wiener filter gives back the originals.
    for restorer, images in ((None, blurred), ("wiener", originals)):
        features = extract(backbone.graphdef, backbone.params, jnp.asarray(images, "f4"), "caffe")
        odds = []
        for seed in config.seeds:
            directory = folder / "run" / f"heads/normal_vs_pneumonia-original-seed{seed}"
            head = load_head(config.head, features.shape[1], directory)
            odds.append(predict(config.head, head, np.asarray(features)))
        (row,) = (
            row
            for row in results["sweep"]
            if (row["task"], row["sigma"], row["restorer"]) == ("normal_vs_pneumonia", 1, restorer)
        )
        right = np.mean([(each >= 0) == labels for each in odds])
        assert row["accuracy"] == pytest.approx(right)
        pairs = [each[labels][:, None] - each[~labels] for each in odds]
        assert row["auc"] == pytest.approx(np.mean(np.greater(pairs, 0)), abs=1e-6)


def test_noise_is_in_the_sweep_even_where_there_is_no_blur(finished, tmp_path):
    config, folder, results = finished
    sharp = dataclasses.replace(config.blur, sigma=0.0)
    assert leaves_alone(sharp)
    assert not leaves_alone(config.blur)
    assert not leaves_alone(dataclasses.replace(sharp, input_precision="8bit"))
    blur = dataclasses.replace(config.blur, noise=1.0)
    config = dataclasses.replace(config, blur=blur, sweep_sigmas=(0.0,))
    dataset = load_dataset(config.data, folder / "cache")
    run = Run(
        config,
        dataset,
        module.binary_tasks(config, dataset),
        load_backbone(config.weights),
        folder / "run",
        folder / "cache",
        Stages(tmp_path),
    )
    rows = module.sweep_stage(run, results["classification"])
    assert [(row["sigma"], row["noise"]) for row in rows] == [(0, 1)] * 4
    without = {row["task"]: row["auc"] for row in results["sweep"] if row["sigma"] == 0}
    assert any(row["auc"] != without[row["task"]] for row in rows)


def test_wiener_and_the_shipped_network_restore_better_than_nothing(finished):
    _, _, results = finished
    restored_better(results, "standard", (1.0, 2.0))


def restored_better(results, convention, sigmas):
    """Of nothing else but this convention and these sigmas."""
    error = {(r["method"], r["sigma"], r["convention"]): r["mse"] for r in results["restoration"]}
    assert {(sigma, name) for _, sigma, name in error} == {(sigma, convention) for sigma in sigmas}
    for sigma in sigmas:
        for method in ("wiener", "wiener_net"):
            assert error[method, sigma, convention] < error["none", sigma, convention]


def test_provenance_says_where_the_numbers_come_from(finished):
    _, folder, results = finished
    origin = results["provenance"]
    assert {"python", "jax", "flax"} <= set(origin["versions"])
    assert set(origin["fingerprints"]) == {"data", "weights", "restorer"}
    assert origin["config"]["data"]["path"] == "images0"
    parts = {"heads", "features-original", "features-sweep", "classification"}
    assert parts <= set(origin["stage_seconds"])
    assert set(origin["stage_commits"]) == {
        "classification",
        "examples",
        "sweep",
        *(f"restoration-sigma{s}-standard" for s in (1, 2)),
    }
    assert str(folder) not in json.dumps(results)


def test_saved_log_odds_give_the_published_accuracy(finished):
    _, folder, results = finished
    saved = np.load(folder / "run" / "predictions" / "normal_vs_pneumonia.npz")
    labels = [0 if "/NORMAL/" in path else 1 for path in saved["paths"]]
    np.testing.assert_array_equal(saved["labels"], labels)
    for row in results["classification"]:
        if row["task"] == "normal_vs_pneumonia" and row["restorer"] is None:
            log_odds = saved[f"{row['train_on']} -> {row['test_on']}"]
            right = (log_odds >= 0) == np.array(labels, bool)
            assert row["accuracy"] == pytest.approx(right.mean())


def test_examples_are_test_images_with_what_became_of_them(finished):
    config, folder, results = finished
    dataset = load_dataset(config.data, folder / "cache")
    saved = np.load(folder / "run" / "examples.npz")
    assert saved["titles"].tolist() == ["bacteria", "normal", "virus"]
    rows = [np.flatnonzero((dataset.images == image).all((1, 2, 3))) for image in saved["original"]]
    assert np.isin(np.concatenate(rows), dataset.test).all()
    assert [dataset.records[row[0]].label for row in rows] == saved["titles"].tolist()
    blurred = gaussian_blur(jnp.asarray(saved["original"]), config.blur.sigma, radius=8)
    np.testing.assert_allclose(saved["blurred"], blurred, atol=1e-6)
    error = {
        name: np.square(saved[name] - saved["original"]).mean()
        for name in ("blurred", "recovered_wiener", "recovered_unet")
    }
    assert error["recovered_wiener"] < error["blurred"]
    assert error["recovered_unet"] != error["blurred"]
    assert results["provenance"]["notes"] == list(dataset.notes)


def test_own_classes_from_a_csv_file_run_through_unchanged(tmp_path):
    config = tiny(RUNS["kermany"], write_csv(tmp_path / "own"))
    schedule = dataclasses.replace(config.head.schedule, epochs=20, learning_rate=1e-2)
    config = dataclasses.replace(
        config,
        seeds=(0,),
        tasks=("normal_vs_rest", "normal_vs_tb"),
        sigmas=(2.0,),
        conventions=("report",),
        blur=BlurConfig(convention="report"),
        sweep_sigmas=(),
        head=dataclasses.replace(config.head, schedule=schedule),
    )
    results = reproduce(config, tmp_path / "run", tmp_path / "cache")
    tasks = {row["task"]: row["n"] for row in results["classification"]}
    assert tasks == {"normal_vs_rest": 18, "normal_vs_tb": 12}
    assert len(results["classification"]) == 2 * 2 * 5
    restored_better(results, "report", (2.0,))
    assert results["sweep"] == []
    # Covid is of middle brightness, which blur keeps, and tb and normal are the ends.
    best = max(r["auc"] for r in results["classification"] if r["task"] == "normal_vs_rest")
    assert best > 0.9
    unasked = dataclasses.replace(config, tasks=())
    dataset = load_dataset(config.data, tmp_path / "cache")
    names = [task.name for task in module.binary_tasks(unasked, dataset)]
    assert sorted(names) == ["normal_vs_rest", "rest_vs_covid", "rest_vs_tb"]


def test_called_again_it_does_nothing_twice(finished, monkeypatch):
    config, folder, results = finished

    def refuse(*_, **__):
        raise AssertionError("a finished stage was done again")

    for name in ("restoration_stage", "classification_stage", "sweep_stage", "examples_stage"):
        monkeypatch.setattr(module, name, refuse)
    again = reproduce(config, folder / "run", folder / "cache")
    assert again == results


@pytest.mark.resume
def test_stopped_between_stages_it_goes_on_to_the_same_results(finished, tmp_path, monkeypatch):
    config, folder, results = finished
    # As if stopped after the training of the second restorer, and again amid the heads.
    shutil.copytree(folder / "run", tmp_path / "run")
    (tmp_path / "run" / "results.json").unlink()
    for stage in ("restoration-sigma2-standard", "classification", "sweep", "examples"):
        (tmp_path / "run" / "stages" / f"{stage}.json").unlink()
    for made in ("heads", "predictions"):
        shutil.rmtree(tmp_path / "run" / made)

    class Stop(Exception):
        pass

    train_head, calls = classification_stage.train_head, []

    def stops(*arguments, **options):
        calls.append(options["title"])
        if len(calls) == 3:
            raise Stop
        return train_head(*arguments, **options)

    monkeypatch.setattr(classification_stage, "train_head", stops)
    with pytest.raises(Stop):
        reproduce(config, tmp_path / "run", folder / "cache")
    again = reproduce(config, tmp_path / "run", folder / "cache")
    for table in ("classification", "restoration", "paired", "roc", "sweep"):
        assert again[table] == results[table]


def test_a_full_disk_is_one_line(tiny_images, tmp_path, monkeypatch):
    config = tiny(RUNS["kermany"], tiny_images)
    dataset = load_dataset(config.data, tmp_path / "cache")
    task = module.binary_tasks(config, dataset)[0]
    chosen = examples(task, dataset.records, dataset.test)
    run = Run(config, dataset, (task,), None, tmp_path, tmp_path, None)
    features = dict.fromkeys(("original", "blurred", *RESTORERS), dataset.images[..., 0, 0])

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(restoration_stage, "restore", lambda *given: given[-1])
    monkeypatch.setattr(classification_stage, "load_head", lambda *_: None)
    monkeypatch.setattr(classification_stage, "predict", lambda *given: given[-1][:, 0])
    monkeypatch.setattr(np, "savez", full)
    for write in (
        lambda: restoration_stage.examples_stage(run),
        lambda: classification_stage.task_log_odds(run, task, chosen, features),
    ):
        with pytest.raises(UserError, match="cannot write here"):
            write()


def test_another_config_is_refused_and_leaves_results_alone(finished):
    config, folder, _ = finished
    before = (folder / "run" / "results.json").read_bytes()
    changed = dataclasses.replace(config, seeds=(0,), restorer_seed=5)
    with pytest.raises(UserError, match="other values of restorer_seed, seeds"):
        reproduce(changed, folder / "run", folder / "cache")
    assert (folder / "run" / "results.json").read_bytes() == before


def test_other_images_are_refused(finished, tmp_path):
    from tests.tiny import write_images

    config, folder, _ = finished
    other = write_images(tmp_path / "images", size=48)
    moved = dataclasses.replace(config, data=dataclasses.replace(config.data, path=str(other)))
    with pytest.raises(UserError, match=r"other values of fingerprints\.data"):
        reproduce(moved, folder / "run", folder / "cache")
