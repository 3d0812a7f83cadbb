"""The study of blur and frozen features on tiny images: pooling, rows, comparisons, mistakes."""

import dataclasses
import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from jxr.config import BlurEffectConfig
from jxr.errors import UserError
from jxr.reporting.blur_effect_figure import write_blur_effect
from jxr.studies.binary_tasks import Examples
from jxr.studies.classification.blur_effect import (
    answers_of,
    blur_effect_study,
    blur_of,
    pooled_features,
    task_rows,
)
from jxr.studies.classification.controls_study import Task, control_features, open_task
from jxr.studies.dataset import load_dataset
from jxr.studies.features import dataset_features, load_backbone
from ml_collections_configs.blur_effect import RUNS
from tests.commands import call, the_error
from tests.tiny import tiny, tiny_phantoms


def small(name, path):
    run = RUNS[name]
    run = tiny_phantoms(run) if run.data.source == "phantoms" else tiny(run, path)
    return dataclasses.replace(run, sigmas=(0.0, 1.0), bootstrap_samples=100, caliper=2.0)


@pytest.fixture(scope="module")
def finished(tiny_images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("blur-effect")
    config = small("kermany", tiny_images)
    return config, folder, blur_effect_study(config, folder / "run", folder / "cache")


def test_the_demo_runs(tmp_path):
    config = dataclasses.replace(small("demo", ""), tasks=("normal_vs_pneumonia",))
    results = blur_effect_study(config, tmp_path / "run", tmp_path / "cache")
    assert len(results["comparisons"]) == 2 * 2  # features, pairs of pairs of sigmas


def test_rows_and_tables(finished):
    _, folder, results = finished
    assert json.loads((folder / "run" / "results.json").read_text()) == results
    rows = results["classification"]
    assert len(rows) == len(results["matched"]) == 2 * 2 * 4  # features, tasks, pairs of sigmas
    assert {(row["train_sigma"], row["sigma"]) for row in rows} == {
        (trained, tested) for trained in (0.0, 1.0) for tested in (0.0, 1.0)
    }
    write_blur_effect(results, folder / "report")
    tables = (folder / "report" / "tables.md").read_text()
    assert tables.count("\n| ") == 3 * 2 + 8 + 2 * 16
    assert (folder / "report" / "figures" / "blur_effect.png").stat().st_size > 10_000


def test_scores_are_those_of_the_kept_predictions(finished):
    _, folder, results = finished
    for kind in ("vgg16", "control-global_statistics"):
        kept = np.load(folder / "run" / "predictions" / f"{kind}-normal_vs_pneumonia.npz")
        ill = np.char.find(kept["paths"], "NORMAL") < 0
        np.testing.assert_array_equal(kept["labels"], ill)
        for row in results["classification"]:
            if (row["features"], row["task"]) == (kind, "normal_vs_pneumonia"):
                (odds,) = kept[f"sigma {row['train_sigma']:g}, {row['sigma']:g}"]
                assert row["auc"] == pytest.approx(roc_auc_score(ill, odds))


@pytest.mark.resume
def test_a_finished_study_reads_no_features(finished, monkeypatch):
    config, folder, results = finished

    def refuse(*_, **__):
        raise AssertionError("features were read again")

    for name in ("pooled_features", "control_features"):
        monkeypatch.setattr(f"jxr.studies.classification.blur_effect.{name}", refuse)
    again = blur_effect_study(config, folder / "run", folder / "cache")
    for name in ("classification", "matched", "comparisons"):
        assert again[name] == results[name]


def test_features_are_means_over_places_of_the_blurred_image(finished):
    config, folder, _ = finished
    dataset = load_dataset(config.data, folder / "cache")
    backbone = load_backbone(config.weights)
    assert blur_of(config, 0.0) is None
    blur = blur_of(config, 1.0)
    assert (blur.sigma, blur.input_precision) == (1.0, "8bit")
    found = pooled_features(config, dataset, backbone, folder / "cache", blur)
    flat = dataset_features(backbone, dataset, folder / "cache", blur=blur)
    assert flat.shape[1] == 512  # one place at 32 pixels: the mean is the feature itself
    np.testing.assert_allclose(found, flat)


def test_noise_is_of_all_sigmas(finished):
    """Else what differs from no blur would be the noise."""
    config, folder, _ = finished
    noisy = dataclasses.replace(config, blur=dataclasses.replace(config.blur, noise=0.05))
    assert blur_of(noisy, 0.0) == dataclasses.replace(noisy.blur, sigma=0.0)
    dataset = load_dataset(config.data, folder / "cache")
    plain, seen = (
        control_features(dataset, blur_of(one, 0.0), 0, ["sharpness"])["sharpness"]
        for one in (config, noisy)
    )
    assert (seen[:, :2] > plain[:, :2]).all()  # gradients


def test_comparisons_by_hand(finished):
    """A blur that hides a feature costs what that feature was worth."""
    config, folder, _ = finished
    config = dataclasses.replace(config, bootstrap_samples=200)
    rng = np.random.default_rng(0)
    labels = (np.arange(300) % 2).astype(np.int32)
    rows = np.arange(300)
    parts = [Examples(rows[i::3], labels[i::3], rows[i::3]) for i in range(3)]
    pairs = open_task("normal_vs_pneumonia", load_dataset(config.data, folder / "cache"), 2.0).pairs
    task = Task("t", *parts, np.zeros(100), pairs)
    sharp = labels[:, None] * 6.0 + rng.normal(size=(300, 2))
    hidden = rng.normal(size=(300, 2))
    tables = task_rows(config, task, answers_of(config, task, {0.0: sharp, 1.0: hidden}))
    aucs = {(row["train_sigma"], row["sigma"]): row["auc"] for row in tables["classification"]}
    assert aucs[0.0, 0.0] > 0.99
    assert abs(aucs[1.0, 1.0] - 0.5) < 0.2
    own, unseen = tables["comparisons"]
    assert (own["train_test_a"], own["train_test_b"]) == ([0.0, 0.0], [1.0, 1.0])
    assert unseen["train_test_b"] == [0.0, 1.0]
    for row, cell in ((own, (1.0, 1.0)), (unseen, (0.0, 1.0))):
        assert row["auc_difference"] == pytest.approx(aucs[cell] - aucs[0.0, 0.0])
        assert row["auc_difference_ci95"][1] < 0
        assert row["b"] > row["c"]
        assert row["p_value"] < 1e-3


def test_mistakes_are_one_line(tmp_path):
    for wrong in (
        {"sigmas": (1.0,)},
        {"sigmas": (0.0, -1.0)},
        {"caliper": 0.0},
        {"tasks": ("a", "a")},
    ):
        with pytest.raises(UserError, match=next(iter(wrong)).removesuffix("s")):
            BlurEffectConfig(**wrong)
    result = call(
        "blur_effect",
        "--config=ml_collections_configs/blur_effect.py:kermany",
        f"--config.data.path={tmp_path / 'nothing'}",
        f"--workdir={tmp_path / 'run'}",
        f"--cache={tmp_path / 'cache'}",
    )
    assert "nothing" in the_error(result)
