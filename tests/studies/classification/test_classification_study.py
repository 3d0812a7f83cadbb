"""The classification study on tiny images: rows, choices on validation, resume, mistakes."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from jxr.config import (
    ClassificationConfig,
    DataConfig,
    FineTuningConfig,
    HeadConfig,
    PhantomConfig,
)
from jxr.data.augmentation import random_view
from jxr.errors import UserError
from jxr.evaluation import reliability
from jxr.reporting.classification_figure import write_classification
from jxr.studies.binary_tasks import Examples
from jxr.studies.classification.fine_tuning import answers, frozen_maps
from jxr.studies.classification.study import classification_study, scaling_of
from jxr.studies.classification.tables import (
    Answered,
    Cell,
    best_threshold_accuracy,
    operating_rows,
)
from jxr.studies.features import load_backbone
from jxr.studies.workdir import FILES
from ml_collections_configs.classification import RUNS
from tests.commands import call, the_error
from tests.tiny import tiny, tiny_phantoms

KEYS = ("task", "recipe", "train_on", "test_on")
FEW = PhantomConfig(train=36, test=18)
RECIPES = ("report", "report-calibrated", "fine-tuned", "fine-tuned-uncalibrated", "ensemble")


def small(name, path):
    """64 pixels: on CPUs, convolutions of maps of two by two places are slow."""
    run = RUNS[name]
    run = tiny_phantoms(run) if run.data.source == "phantoms" else tiny(run, path)
    schedule = dataclasses.replace(run.tuned.schedule, epochs=8, batch_size=8, learning_rate=1e-4)
    head = HeadConfig(
        hidden=(), schedule=dataclasses.replace(schedule, epochs=20, learning_rate=1e-2)
    )
    return dataclasses.replace(
        run,
        seeds=(0, 1),
        data=dataclasses.replace(run.data, size=64, validation_fraction=0.4, phantoms=FEW),
        head=head,
        tuned=FineTuningConfig(size=64, views=1, schedule=schedule),
        bootstrap_samples=100,
        caliper=2.0,
    )


@pytest.fixture(scope="module")
def finished(tiny_images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("classification")
    config = small("kermany", tiny_images)
    results = {
        part: classification_study(config, folder / "run", folder / "cache", part)
        for part in ("validation", "test")
    }
    return config, folder, results


def test_the_demo_runs(tmp_path):
    config = small("demo", "")
    once = dataclasses.replace(config.tuned.schedule, epochs=1)
    config = dataclasses.replace(
        config,
        seeds=(0,),
        tasks=("normal_vs_pneumonia",),
        tuned=dataclasses.replace(config.tuned, schedule=once),
        head=dataclasses.replace(config.head, schedule=once),
    )
    results = classification_study(config, tmp_path / "run", tmp_path / "cache", "test")
    assert len(results["classification"]) == len(RECIPES) * 2 * 3


def test_a_classifier_that_has_learnt_nothing_is_left_alone_and_named():
    labels, odds = np.array([0, 1, 0, 1]), np.array([2.0, 1.0, 3.0, -1.0])
    scaling, note = scaling_of("a_vs_b, seed 3", labels, odds, np.full(4, 0.25))
    np.testing.assert_array_equal(scaling(odds), odds)
    assert note == (
        "a_vs_b, seed 3: left uncalibrated, for on validation images the log-odds do not rise with"
        " the label: nothing to calibrate"
    )
    scaling, note = scaling_of("a_vs_b, seed 3", labels, -odds, np.full(4, 0.25))
    assert scaling.slope > 0
    assert note is None


def test_rows(finished):
    _, folder, results = finished
    for part, n in (("validation", 15), ("test", 18)):
        table = results[part]["classification"]
        assert json.loads((folder / "run" / FILES[part]).read_text()) == results[part]
        assert len(table) == 2 * len(RECIPES) * 2 * 3  # tasks, recipes, trained on, tested on
        assert {row["recipe"] for row in table} == set(RECIPES)
        assert {row["n"] for row in table if row["task"] == "normal_vs_pneumonia"} == {n}
        for row in table:
            assert (row["restorer"] == "wiener_net") == (row["test_on"] == "recovered")
            assert row["seeds"] == [0, 1]
        notes = results[part]["provenance"]["notes"]
        assert f"scored on {part} images" in notes
        assert not any("uncalibrated" in note for note in notes)
    assert len(results["test"]["matched"]) == len(results["test"]["calibration"]) == 60
    assert len(results["test"]["comparisons"]) == 2 * 5 * 4


@pytest.mark.resume
def test_tables_are_made_anew_of_kept_predictions_without_any_network(
    finished, tmp_path, monkeypatch
):
    """So a finished study computes nothing again but its tables."""
    config, folder, results = finished
    for part in ("validation", "test"):
        name = f"predictions-{part}.npz"
        (tmp_path / name).write_bytes((folder / "run" / name).read_bytes())

    def refuse(*_, **__):
        raise AssertionError("something was computed again")

    monkeypatch.setattr("jxr.studies.features.extract_to", refuse)
    monkeypatch.setattr("jxr.studies.classification.study.predicted", refuse)
    anew = classification_study(config, tmp_path, folder / "cache", "test")
    assert not list(tmp_path.rglob("checkpoints"))
    for name in results["test"].keys() - {"provenance"}:
        assert anew[name] == results["test"][name]


def test_scores_are_those_of_the_saved_predictions(finished):
    _, folder, results = finished
    saved = np.load(folder / "run" / "predictions-test.npz")
    viral = np.char.find(saved["paths"], "virus") >= 0
    ill = np.char.find(saved["paths"], "person") >= 0
    for task, labels, kept in (
        ("normal_vs_pneumonia", ill, np.ones(18, bool)),
        ("bacterial_vs_viral", viral, ill),
    ):
        number = list(saved["tasks"]).index(task)
        for recipe in ("report", "fine-tuned", "fine-tuned-uncalibrated"):
            network = recipe.removesuffix("-uncalibrated")
            odds = saved[f"{network} original blurred"][:, kept, number]
            (row,) = (
                row
                for row in results["test"]["classification"]
                if (row["task"], row["recipe"]) == (task, recipe)
                and (row["train_on"], row["test_on"]) == ("original", "blurred")
            )
            aucs = [roc_auc_score(labels[kept], one) for one in odds]
            assert row["auc"] == pytest.approx(np.mean(aucs))
            if recipe != "fine-tuned":  # which is calibrated first
                assert row["accuracy"] == pytest.approx(((odds >= 0) == labels[kept]).mean())
            if recipe == "report":
                (calibration,) = (
                    one
                    for one in results["test"]["calibration"]
                    if all(
                        one[key] == row[key] for key in ("task", "recipe", "train_on", "test_on")
                    )
                )
                eces = [reliability(labels[kept].astype(int), expit(one)).ece for one in odds]
                assert calibration["ece"] == pytest.approx(np.mean(eces))


def test_thresholds_are_chosen_on_validation_images(finished):
    """By brute force from the saved predictions: the strictest threshold that is not too strict."""
    _, folder, results = finished
    saved = {part: np.load(folder / "run" / f"predictions-{part}.npz") for part in FILES}
    number = list(saved["test"]["tasks"]).index("normal_vs_pneumonia")
    ill = {part: np.char.find(kept["paths"], "person") >= 0 for part, kept in saved.items()}
    for wanted in (0.9, 0.95, 0.99):
        scores = []
        for met, known in zip(
            saved["test"]["report blurred recovered"][:, :, number],
            saved["validation"]["report blurred blurred"][:, :, number],
            strict=True,
        ):
            reach = [cut for cut in known if (known[ill["validation"]] >= cut).mean() >= wanted]
            called = met >= max(reach)
            right = (called == ill["test"]).mean()
            scores.append((right, called[ill["test"]].mean(), 1 - called[~ill["test"]].mean()))
        (row,) = (
            row
            for row in results["test"]["operating"]
            if [row[key] for key in KEYS]
            == ["normal_vs_pneumonia", "report", "blurred", "recovered"]
            and row["sensitivity_wanted"] == wanted
        )
        found = [row[name] for name in ("accuracy", "sensitivity", "specificity")]
        assert found == pytest.approx(np.mean(scores, axis=0))
        low, high = row["accuracy_ci95"]
        assert low <= row["accuracy"] <= high
    for part in FILES:
        rows = results[part]["operating"]
        assert len(rows) == 2 * 3 * 2 * 3 * 3  # tasks, recipes, trained on, tested on, thresholds
    for row in results["validation"]["operating"]:  # where they were chosen
        assert row["train_on"] != row["test_on"] or row["sensitivity"] >= row["sensitivity_wanted"]


def test_calibration_keeps_the_order(finished):
    """Each seed's threshold and slope are one for all images: its AUC stays."""
    _, _, results = finished
    rows = {
        (row["task"], row["recipe"], row["train_on"], row["test_on"]): row
        for row in results["test"]["classification"]
    }
    for (task, recipe, *cell), row in rows.items():
        if recipe == "report-calibrated":
            assert row["auc"] == pytest.approx(rows[task, "report", *cell]["auc"])
        if recipe == "fine-tuned":
            assert row["auc"] == pytest.approx(rows[task, f"{recipe}-uncalibrated", *cell]["auc"])


def test_brightness_is_learnt(finished):
    """The tiny classes differ in brightness only, which blur leaves."""
    _, _, results = finished
    scores = {
        row["test_on"]: row["auc"]
        for row in results["test"]["classification"]
        if (row["task"], row["recipe"], row["train_on"])
        == ("normal_vs_pneumonia", "fine-tuned", "original")
    }
    assert scores["original"] > 0.8
    assert scores["recovered"] > 0.8


def test_stages_name_the_commit_that_finished_them(finished):
    _, _, results = finished
    pairs = itertools.product(("report", "fine-tuned"), ("original", "blurred"))
    stages = {"predict-validation"} | {f"train-{name}-{kind}" for name, kind in pairs}
    assert results["validation"]["provenance"]["stage_commits"].keys() == stages
    assert results["test"]["provenance"]["stage_commits"].keys() == stages | {"predict-test"}


@pytest.mark.resume
def test_a_second_part_trains_nothing_again(finished):
    _, folder, _ = finished
    written = {path: path.stat().st_mtime_ns for path in folder.rglob("metrics.jsonl")}
    trained_until = (folder / "run" / "validation.json").stat().st_mtime_ns
    assert len(written) == 2 * 2 * 2 + 2 * 2  # heads: tasks, trained on, seeds; networks
    assert max(written.values()) < trained_until


def test_report(finished):
    _, folder, results = finished
    for part in ("test", "validation"):
        write_classification(results[part], folder / "report")
    assert "| Report |" not in (folder / "report" / "validation.md").read_text()  # of test images
    text = (folder / "report" / "test.md").read_text()
    (row,) = (
        row
        for row in results["test"]["classification"]
        if [row[key] for key in KEYS] == ["bacterial_vs_viral", "ensemble", "blurred", "recovered"]
    )
    table = text.split("## ")[1].splitlines()
    heads, *lines = (
        [cell.strip() for cell in line.split("|")[1:-1]] for line in table if "|" in line
    )
    (line,) = (line for line in lines if line[:2] == ["Bacterial vs viral", "ensemble"])
    found = line[heads.index("blurred → recovered")]
    assert found == f"{row['accuracy']:.3f} / {row['auc']:.3f}"
    assert len(lines) == 1 + 2 * len(RECIPES)
    for name in ("scores", "reliability"):
        path = folder / "report" / "figures" / f"test-{name}.png"
        assert path.stat().st_size > 10_000


def test_a_recipe_has_one_row_of_thresholds_however_it_is_calibrated():
    """Also one that is entered in RECIPES later."""
    chosen = Examples(np.arange(4), np.array([0, 1, 0, 1]), np.array(list("abcd")))
    odds = {
        Cell(recipe, "original", "original"): np.array([[0.1, 0.9, 0.4, 0.8]])
        for recipe in (*RECIPES, "new", "new-uncalibrated")
    }
    answered = Answered("a_vs_b", chosen, 0.5, np.arange(4.0), odds)
    config = dataclasses.replace(RUNS["demo"], bootstrap_samples=100)
    rows = operating_rows(answered, answered, config)
    assert list(dict.fromkeys(row["recipe"] for row in rows)) == [
        "report", "fine-tuned", "ensemble", "new",
    ]  # fmt: skip


def test_the_best_threshold_by_brute_force():
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=40)
    odds = rng.normal(size=40).round(1) + labels
    grid = np.linspace(odds.min() - 1, odds.max() + 1, 4001)
    best = max(((odds > threshold) == labels).mean() for threshold in grid)
    assert best_threshold_accuracy(labels, odds[None]) == pytest.approx(best)
    assert best_threshold_accuracy(np.array([0, 0, 1]), np.array([[1.0, 2.0, 0.0]])) == 2 / 3


def test_each_class_of_a_question_weighs_the_same():
    questions = [
        Examples(np.array([1, 3, 5, 9]), np.array([0, 1, 1, 1], np.int32), np.arange(4)),
        Examples(np.array([3, 9]), np.array([0, 1], np.int32), np.arange(2)),
    ]
    wanted = answers(questions, np.array([1, 3, 5, 9]))
    np.testing.assert_array_equal(wanted.labels, [[0, 0], [1, 0], [1, 0], [1, 1]])
    np.testing.assert_allclose(wanted.weights, [[2, 0], [2 / 3, 1], [2 / 3, 0], [2 / 3, 1]])


def test_maps_are_of_the_shrunken_the_mirrored_and_the_random_view(finished, tmp_path):
    import jax
    import jax.numpy as jnp

    from jxr import rng
    from jxr.models.vgg16 import blocks, extract, graphdef

    config, _, _ = finished
    tuned = dataclasses.replace(config.tuned, size=32)
    backbone = load_backbone(config.weights)
    images = np.random.default_rng(0).random((3, 64, 64, 1)).astype(np.float32)

    def expected(batch):
        half = jax.image.resize(batch, (3, 32, 32, 1), "linear", antialias=True)
        params = blocks(backbone.params, 1, 4)
        return extract(graphdef(1, 4), params, half, "caffe").astype(np.float16)

    def found(**how):
        return frozen_maps(tuned, backbone, images, tmp_path, title="t", source={}, **how)

    np.testing.assert_allclose(found(), expected(images), rtol=5e-3, atol=0.5)
    np.testing.assert_allclose(
        found(mirrored=True), expected(images[:, :, ::-1]), rtol=5e-3, atol=0.5
    )
    key = rng.at_step(rng.stream(jax.random.key(0), "view"), 1)
    views = np.stack(
        [
            random_view(jnp.asarray(image), jax.random.fold_in(key, row), tuned.augmentation)
            for row, image in enumerate(images)
        ]
    )
    np.testing.assert_allclose(found(view=1), expected(views), rtol=2e-2, atol=2)
    assert len(list(tmp_path.glob("features-*.npy"))) == 3
    tuned = dataclasses.replace(tuned, first_block=1, views=0)
    small = jax.image.resize(images[:, :, ::-1], (3, 32, 32, 1), "linear", antialias=True)
    np.testing.assert_allclose(found(mirrored=True), small.reshape(3, -1), atol=5e-4)
    assert len(list(tmp_path.glob("features-*.npy"))) == 3  # no others


def test_mistakes_are_one_line(finished, tiny_images, tmp_path):
    config, _, _ = finished
    large = dataclasses.replace(config, tuned=dataclasses.replace(config.tuned, size=96))
    with pytest.raises(UserError, match=r"tuned\.size 96 is more than data\.size 64"):
        classification_study(large, tmp_path / "run", tmp_path / "cache", "test")
    phantoms = PhantomConfig(train=40, test=24)
    data = DataConfig("phantoms", size=64, phantoms=phantoms, validation_fraction=0.1)
    few = dataclasses.replace(config, data=data)
    with pytest.raises(UserError, match=r"vs_.*: validation images .* raise data\.validation"):
        classification_study(few, tmp_path / "run", tmp_path / "cache", "test")
    for wrong in ({"seeds": ()}, {"tasks": ("a", "a")}, {"caliper": 0.0}, {"bootstrap_samples": 1}):
        with pytest.raises(UserError, match=next(iter(wrong))):
            ClassificationConfig(**wrong)
    for wrong in ({"size": 100}, {"views": -1}, {"dropout": 1.0}, {"label_smoothing": -0.1}):
        with pytest.raises(UserError, match=next(iter(wrong))):
            FineTuningConfig(**wrong)
    result = call(
        "classification",
        "--config=ml_collections_configs/classification.py:kermany",
        f"--config.data.path={tmp_path / 'nothing'}",
        f"--workdir={tmp_path / 'run'}",
        f"--cache={tmp_path / 'cache'}",
    )
    assert "nothing" in the_error(result)
