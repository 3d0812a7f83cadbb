"""Calibration without labels on tiny images: held-out styles, rows, known answers, mistakes."""

import dataclasses
import json

import numpy as np
import pytest

from jxr.config import AdaptationConfig, DataConfig
from jxr.errors import UserError
from jxr.reporting.adaptation_figure import write_adaptation
from jxr.studies.binary_tasks import Examples, binary_task
from jxr.studies.classification.adaptation import (
    Domain,
    adaptation_study,
    check_classes,
    held_out_styles,
)
from jxr.studies.classification.adaptation_scores import few_images, scored
from jxr.studies.dataset import load_dataset
from ml_collections_configs.adaptation import RUNS
from tests.commands import call, the_error
from tests.tiny import tiny, tiny_phantoms


def small(name, path):
    run = RUNS[name]
    run = tiny_phantoms(run) if run.data.source == "phantoms" else tiny(run, path)
    return dataclasses.replace(
        run, seeds=(0, 1), styles=2, images=(10,), draws=2, bootstrap_samples=100
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Of phantoms, whose styles have all classes; the tiny images' classes are styles.

    Of one question: both are asked of the tiny images.
    """
    folder = tmp_path_factory.mktemp("adaptation")
    config = dataclasses.replace(small("demo", ""), tasks=("normal_vs_pneumonia",))
    results = {
        part: adaptation_study(config, folder / "run", folder / "cache", part)
        for part in ("validation", "test")
    }
    return config, folder, results


def test_real_images_go_through_the_test_part(tiny_images, tmp_path):
    config = dataclasses.replace(small("kermany", tiny_images), seeds=(0,))
    results = adaptation_study(config, tmp_path / "run", tmp_path / "cache", "test")
    assert len(results["classification"]) == 2 * 3  # tasks, ways to calibrate
    assert [(row["task"], row["n"]) for row in results["comparisons"]] == [
        ("normal_vs_pneumonia", 18),
        ("bacterial_vs_viral", 12),
    ]


def test_rows_and_tables(finished):
    _, folder, results = finished
    for part, met in (("validation", ["style 1", "style 2"]), ("test", ["test"])):
        found = results[part]
        name = {"validation": "validation.json", "test": "results.json"}[part]
        assert json.loads((folder / "run" / name).read_text()) == found
        rows = found["classification"]
        assert len(rows) == len(met) * 3  # styles, ways to calibrate
        assert list(dict.fromkeys(row["met"] for row in rows)) == met
        assert len(found["comparisons"]) == len(met)
        write_adaptation(found, folder / "report")
        tables = (folder / "report" / f"{part}.md").read_text()
        assert tables.count("\n| ") == 3 * 2 + len(rows) + len(met) + len(found["few_images"])
        assert (folder / "report" / "figures" / f"{part}-accuracy.png").stat().st_size > 10_000
    trained = {path.parent.name for path in (folder / "run" / "heads").glob("*/metrics.jsonl")}
    assert len(trained) == (2 + 1) * 2  # without each style and on all, seeds


def test_scores_are_those_of_the_kept_predictions(finished):
    _, folder, results = finished
    for part, met in (("validation", "style 2"), ("test", "test")):
        name = f"normal_vs_pneumonia-without-{met.replace(' ', '')}.npz"
        kept = np.load(folder / "run" / "predictions" / name)
        (row,) = (
            row
            for row in results[part]["classification"]
            if (row["met"], row["recipe"]) == (met, "as trained")
        )
        assert kept["as trained"].shape == (2, row["n"]) == (2, len(kept["paths"]))
        right = (kept["as trained"] >= 0) == kept["labels"]
        assert row["accuracy"] == pytest.approx(right.mean())


@pytest.mark.resume
def test_a_finished_study_trains_nothing_again(finished, monkeypatch):
    config, folder, results = finished

    def refuse(*_, **__):
        raise AssertionError("something was trained again")

    monkeypatch.setattr("jxr.studies.classification.adaptation.train_head", refuse)
    again = adaptation_study(config, folder / "run", folder / "cache", "test")
    assert again["classification"] == results["test"]["classification"]


def test_nothing_is_learnt_from_a_style_or_patient_that_is_held_out(finished):
    config, folder, _ = finished
    dataset = load_dataset(config.data, folder / "cache")
    # Two images a patient, so that some patients have images of both styles.
    records = tuple(
        dataclasses.replace(record, patient=f"{record.split} {number // 2}")
        for number, record in enumerate(dataset.records)
    )
    dataset = dataclasses.replace(dataset, records=records)
    domains = held_out_styles(dataset, 2)
    known = set(dataset.train) | set(dataset.validation)
    assert set(domains[0].met) | set(domains[1].met) == known
    assert not set(domains[0].met) & set(domains[1].met)
    left_out = 0
    for domain in domains:
        learnt = set(domain.train) | set(domain.validation)
        assert set(domain.train) <= set(dataset.train)
        assert set(domain.validation) <= set(dataset.validation)
        assert not learnt & set(domain.met)
        patients = {records[row].patient for row in domain.met}
        assert not {records[row].patient for row in learnt} & patients
        left_out += len(known) - len(learnt) - len(domain.met)
    assert left_out > 0


def alone(labels):
    """Images with these labels, each of a patient of its own."""
    return Examples(np.arange(len(labels)), labels, np.arange(len(labels)))


def known_answers(shift):
    """Log-odds of two normal groups, three apart on either side of a threshold that has moved."""
    rng = np.random.default_rng(0)
    labels = (np.arange(900) % 3 > 0).astype(np.int32)
    said = np.where(labels == 1, 3.0, -3.0) + rng.normal(size=(2, 900)) * 1.5
    return labels, said + shift


def test_a_threshold_that_moved_is_found():
    config = AdaptationConfig(seeds=(0, 1), images=(30, 300, 500), draws=3, bootstrap_samples=100)
    labels, said = known_answers(6.0)
    rows = scored(config, said - 6.0, labels, said, alone(labels), {"task": "t", "met": "m"})
    before, calibrated, after = rows["classification"]
    assert [row["recipe"] for row in rows["classification"]] == [
        "as trained", "calibrated", "without labels",
    ]  # fmt: skip
    # Two standard deviations beside the middle: all but 2 % are called yes.
    assert before["accuracy"] == pytest.approx(2 / 3 + 0.02 / 3, abs=0.02)
    assert calibrated["accuracy"] < 0.75
    assert after["accuracy"] == pytest.approx(0.977, abs=0.01)
    assert after["auc"] == before["auc"]
    assert after["mean_probability"] == pytest.approx(2 / 3, abs=0.01)
    assert after["ece"] < 0.02 < before["ece"]
    assert after["two_groups"] == 2
    (comparison,) = rows["comparisons"]
    assert comparison["accuracy_difference"] == pytest.approx(
        after["accuracy"] - before["accuracy"]
    )
    assert all(test["c"] > 200 > test["b"] for test in comparison["mcnemar"])
    assert [row["images"] for row in rows["few_images"]] == [30, 300]  # 500: fewer would be scored
    assert all(row["accuracy"] > 0.95 for row in rows["few_images"])


def test_some_images_may_hold_all_of_a_rare_class():
    """Of 40 draws of 25 of 60 some have the only image of its class, and leave one class."""
    config = AdaptationConfig(seeds=(0, 1), images=(25,), draws=20)
    labels = (np.arange(60) == 0).astype(np.int32)
    said = np.where(labels == 1, 9.0, -9.0)[None].repeat(2, axis=0)
    (row,) = few_images(config, said, labels, {"task": "t", "met": "m"})
    assert row["accuracy"] == 1


def test_one_group_is_left_as_trained():
    config = AdaptationConfig(seeds=(0,), images=(), bootstrap_samples=100)
    labels = (np.arange(600) % 2).astype(np.int32)
    said = np.random.default_rng(1).normal(size=(1, 600)) + 0.5 * labels
    rows = scored(config, said, labels, said, alone(labels), {"task": "t", "met": "m"})
    before, _, after = rows["classification"]
    assert after["two_groups"] == 0
    assert after["accuracy"] == before["accuracy"]


def test_mistakes_are_one_line(tiny_images, tmp_path):
    for wrong in (
        {"seeds": (0, 0)}, {"styles": 1}, {"draws": 0}, {"images": (9,)}, {"tasks": ("a", "a")},
    ):  # fmt: skip
        with pytest.raises(UserError, match=next(iter(wrong))):
            AdaptationConfig(**wrong)
    config = dataclasses.replace(
        small("kermany", tiny_images), data=DataConfig(path=str(tiny_images), size=32)
    )
    with pytest.raises(UserError, match=r"style 1: .* one of the two classes .*--config\.styles"):
        adaptation_study(config, tmp_path / "run", tmp_path / "cache", "validation")
    dataset = load_dataset(config.data, tmp_path / "cache")
    one_class = Domain("test", dataset.train, dataset.validation, dataset.test[:1])
    task = binary_task("normal_vs_pneumonia", dataset.records)
    with pytest.raises(UserError, match=r"one of the two classes .*: add images of it"):
        check_classes(dataset, one_class, task)
    result = call(
        "adaptation",
        "--config=ml_collections_configs/adaptation.py:kermany",
        f"--config.data.path={tmp_path / 'nothing'}",
        f"--workdir={tmp_path / 'run'}",
        f"--cache={tmp_path / 'cache'}",
    )
    assert "nothing" in the_error(result)
