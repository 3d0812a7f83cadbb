"""The study of controls on tiny images: rows, choices on validation, mistakes, resume."""

import dataclasses
import json

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.metrics import roc_auc_score

from jxr.config import ControlsConfig
from jxr.config_dict import from_config_dict, to_config_dict
from jxr.errors import UserError
from jxr.reporting import classification_table, table1_figure, to_markdown
from jxr.reporting.controls_figure import controls_figure, write_controls
from jxr.studies.binary_tasks import Examples
from jxr.studies.classification import controls_study as module
from jxr.studies.classification.controls import CONTROLS, one_sharpness
from jxr.studies.classification.controls_study import STRENGTHS, controls_study, fitted
from jxr.studies.dataset import load_dataset
from ml_collections_configs.controls import RUNS
from tests.commands import call, the_error
from tests.tiny import tiny, tiny_phantoms


def small(name, path):
    run = RUNS[name]
    run = tiny_phantoms(run) if run.data.source == "phantoms" else tiny(run, path)
    return dataclasses.replace(run, bootstrap_samples=100, caliper=0.5)


@pytest.fixture(scope="module")
def finished(tiny_images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("controls")
    config = small("kermany", tiny_images)
    return config, folder, controls_study(config, folder / "run", folder / "cache")


def test_the_demo_runs(tmp_path):
    config = dataclasses.replace(small("demo", ""), tasks=("normal_vs_pneumonia",))
    results = controls_study(config, tmp_path / "run", tmp_path / "cache")
    assert len(results["classification"]) == len(results["matched"]) == len(CONTROLS) * 4


def test_rows_are_those_of_the_other_tables(finished):
    _, folder, results = finished
    assert json.loads((folder / "run" / "results.json").read_text()) == results
    rows = results["classification"]
    assert len(rows) == len(results["matched"]) == 2 * len(CONTROLS) * 4
    assert {row["recipe"] for row in rows} == {f"control-{name}" for name in CONTROLS}
    assert {(row["restorer"], tuple(row["seeds"])) for row in rows} == {(None, (0,))}
    assert {row["n"] for row in rows if row["task"] == "normal_vs_pneumonia"} == {18}
    assert all(row["strength"] in STRENGTHS for row in rows)
    table = to_markdown(classification_table(rows))
    assert "control-lungs_masked" in table
    assert len(table.splitlines()) == 2 + len(rows)
    assert table1_figure(rows).axes
    # The classes differ in nothing but brightness, which a thumbnail sees and sharpness does not.
    auc = {(row["task"], row["recipe"]): row["auc"] for row in rows}
    assert auc["bacterial_vs_viral", "control-thumbnail"] > 0.95
    assert all(0 <= row["validation_auc"] <= 1 for row in rows)


def test_matching_is_told(finished):
    config, folder, results = finished
    dataset = load_dataset(config.data, folder / "cache")
    (row, _) = results["matching"]
    sharpness = one_sharpness(np.asarray(dataset.images[dataset.test]))
    labels = np.array([dataset.records[i].label != "normal" for i in dataset.test])
    assert row["auc_before"] == pytest.approx(roc_auc_score(labels, sharpness))
    assert (row["negatives"], row["positives"]) == (6, 12)
    assert abs(row["smd_after"]) < abs(row["smd_before"])
    for matched in results["matched"]:
        pairs = {row["task"]: row["pairs"] for row in results["matching"]}
        assert matched["n"] == 2 * pairs[matched["task"]]


def test_chart_and_tables(finished, tmp_path):
    _, _, results = finished
    write_controls(results, tmp_path)
    assert (tmp_path / "figures" / "controls.png").stat().st_size > 1000
    text = (tmp_path / "tables.md").read_text()
    assert text.count("control-sharpness") == 16
    figure = controls_figure(results)
    assert len(figure.axes) == 4
    pairs = results["matching"][0]["pairs"]
    assert figure.axes[1].get_title().endswith(f"paired images of equal sharpness ({2 * pairs})")
    drawn = [
        float(np.asarray(line.get_xdata())[0])
        for line in figure.axes[1].lines
        if line.get_marker() not in ("None", None)
    ]
    first = [row["auc"] for row in results["matched"] if row["task"] == "normal_vs_pneumonia"]
    assert drawn == first


def test_finished_stages_are_not_done_again(finished, monkeypatch):
    config, folder, results = finished

    def refuse(*_, **__):
        raise AssertionError("a finished stage was done again")

    monkeypatch.setattr(module, "control_features", refuse)
    assert controls_study(config, folder / "run", folder / "cache") == results


def made_up(n):
    """Features of which two tell something, and eight are there to be fitted wrongly."""
    generator = np.random.default_rng(0)
    features = generator.normal(5.0, np.logspace(-1, 1, 10), (n, 10))
    slope = ((features - 5.0) / np.logspace(-1, 1, 10))[:, :2].sum(axis=1)
    labels = (slope + generator.logistic(size=n) > 0).astype(np.int32)
    return features, labels


def test_the_fit_is_the_penalised_optimum_with_the_best_strength():
    features, labels = made_up(300)
    train = Examples(np.arange(40), labels[:40], np.arange(40))
    validation = Examples(np.arange(40, 300), labels[40:], np.arange(40, 300))
    scaled = (features - features[:40].mean(axis=0)) / features[:40].std(axis=0)

    def loss(rows, weights):
        sign = np.where(labels[rows] == 1, 1.0, -1.0)
        return np.logaddexp(0, -sign * (scaled[rows] @ weights[:-1] + weights[-1]))

    def optimum(strength):
        def objective(weights):
            return strength * loss(train.rows, weights).sum() + (weights[:-1] ** 2).sum() / 2

        return minimize(objective, np.zeros(11), method="BFGS", options={"gtol": 1e-7}).x

    candidates = {strength: optimum(strength) for strength in STRENGTHS if strength <= 10}
    best = min(candidates, key=lambda s: loss(validation.rows, candidates[s]).mean())
    model = fitted(features, train, validation)
    assert best == model[-1].C
    assert STRENGTHS[0] < best < 10
    expected = scaled @ candidates[best][:-1] + candidates[best][-1]
    np.testing.assert_allclose(model.decision_function(features), expected, atol=1e-4)


def test_rows_that_are_neither_train_nor_validation_do_not_matter():
    features, labels = made_up(300)
    train = Examples(np.arange(100), labels[:100], np.arange(100))
    validation = Examples(np.arange(100, 200), labels[100:200], np.arange(100, 200))
    first = fitted(features, train, validation)
    features[200:] = 1e6
    second = fitted(features, train, validation)
    np.testing.assert_array_equal(first[-1].coef_, second[-1].coef_)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"caliper": 0.0}, "caliper is 0.0: give a positive number"),
        ({"caliper": float("nan")}, "caliper is nan"),
        ({"tasks": ("a_vs_b", "a_vs_b")}, "give each once"),
        ({"bootstrap_samples": 10}, "bootstrap_samples is 10"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_impossible_values_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        ControlsConfig(**changes)
    values = {**to_config_dict(ControlsConfig()).to_dict(), **changes}
    with pytest.raises(UserError, match=message):
        from_config_dict(ControlsConfig, values)


def test_the_command_and_its_mistakes(finished, tiny_images, tmp_path):
    config, folder, _ = finished

    def controls_call(*arguments):
        return call(
            "controls",
            "--config=ml_collections_configs/controls.py:kermany",
            f"--workdir={tmp_path / 'run'}",
            f"--cache={folder / 'cache'}",
            f"--config.data.path={tiny_images}",
            "--config.data.size=32",
            "--config.data.validation_fraction=0.2",
            *arguments,
        )

    line = the_error(controls_call("--config.caliper=1e-12"))
    assert "normal_vs_pneumonia: no two images" in line
    assert "raise --config.caliper" in line
    # Nothing was claimed, so that the corrected command may use the same run directory.
    assert not (tmp_path / "run").exists()
    one_question = "--config.tasks=('normal_vs_pneumonia',)"
    done = controls_call("--config.caliper=0.5", "--config.bootstrap_samples=100", one_question)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "report" / "tables.md").exists()
    for changes, message in (
        ({"tasks": ("normal_vs_tb",)}, "no class"),
        ({"seed": 1}, "other values of seed"),
    ):
        changed = dataclasses.replace(config, **changes)
        with pytest.raises(UserError, match=message):
            controls_study(changed, folder / "run", folder / "cache")
