"""The sweep over sigma on tiny images: one program for the grid, rows, break points, mistakes."""

import dataclasses
import json

import jax.numpy as jnp
import numpy as np
import pytest

from jxr.config import BlurConfig, HeadConfig, ScheduleConfig, SigmaSweepConfig
from jxr.errors import UserError
from jxr.models import load_restorer
from jxr.reporting.sweep_figure import write_sigma_sweep
from jxr.studies.binary_tasks import Examples, default_tasks
from jxr.studies.classifiers import load_head, predict
from jxr.studies.dataset import load_dataset
from jxr.studies.features import cached_features, load_backbone
from jxr.studies.restorers import degraded_images
from jxr.studies.runs import train_classifier
from jxr.studies.sweep.grid import KINDS, Classifiers, Grid, predict_grid
from jxr.studies.sweep.members import members_of, train_head_stack
from jxr.studies.sweep.study import (
    questions,
    sigma_sweep_study,
    task_rows,
    train_features,
)
from jxr.studies.wiener_nets import restored_by_net
from jxr.training.launch import PLAIN
from ml_collections_configs.sweep_sigma import RUNS, sweep
from tests.commands import call, the_error
from tests.tiny import tiny, tiny_phantoms
from tests.training.test_sweep import member, metrics


def small(name, path):
    run = RUNS[name]
    run = tiny_phantoms(run) if run.data.source == "phantoms" else tiny(run, path)
    schedule = ScheduleConfig(epochs=2, batch_size=8, learning_rate=1e-3)
    return dataclasses.replace(
        run,
        images=0,
        seeds=(0, 1),
        train_sigmas=(0.0, 1.0),
        learning_rates=(1e-3,),
        sigmas=(0.0, 2.0),
        noises=(0.0, 0.05),
        bootstrap_samples=100,
        head=HeadConfig(hidden=(8,), schedule=schedule),
    )


@pytest.fixture(scope="module")
def finished(tiny_images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    config = small("kermany", tiny_images)
    results = sigma_sweep_study(config, folder / "run", folder / "cache", "test")
    return config, folder, results


def test_the_demo_runs_on_some_images(tmp_path):
    config = dataclasses.replace(
        small("demo", ""), images=5, tasks=("normal_vs_pneumonia",), noises=(0.0,)
    )
    results = sigma_sweep_study(config, tmp_path / "run", tmp_path / "cache", "validation")
    assert len(results["breaks"]) == 2 * 2  # training sigmas, kinds
    assert (tmp_path / "run" / "validation.json").exists()
    assert results["provenance"]["notes"][-1] == "scored on 5 validation images"
    assert max(row["n"] for row in results["classification"]) == 5


def test_rows_tables_and_chart(finished):
    _, folder, results = finished
    assert json.loads((folder / "run" / "results.json").read_text()) == results
    names = ("normal_vs_pneumonia", "bacterial_vs_viral")
    stages = {"grid-test", *(f"heads-{name}" for name in names)}
    assert results["provenance"]["stage_commits"].keys() == stages
    rows = results["classification"]
    assert len(rows) == len(results["differences"]) == 2 * 2 * 2 * 2 * 2
    # Tasks, training sigmas, noises, kinds.
    assert len(results["breaks"]) == 2 * 2 * 2 * 2
    cells = {
        (row["task"], row["train_sigma"], row["noise"], row["sigma"], row["test_on"])
        for row in rows
    }
    assert len(cells) == len(rows)
    for row, other in zip(rows, results["differences"], strict=True):
        assert row["seeds"] == [0, 1]
        assert row["restorer"] == ("wiener_net" if row["test_on"] == "recovered" else None)
        sharpest = next(
            one for one in rows
            if (one["task"], one["train_sigma"], one["noise"], one["sigma"], one["test_on"])
            == (row["task"], row["train_sigma"], 0.0, 0.0, "blurred")
        )  # fmt: skip
        assert other["auc_difference"] == pytest.approx(row["auc"] - sharpest["auc"])
        assert other["accuracy_difference"] == pytest.approx(row["accuracy"] - sharpest["accuracy"])
    write_sigma_sweep(results, folder / "report")
    tables = (folder / "report" / "tables.md").read_text()
    shifts = len(results["breaks"]) // 2  # of restored images against blurred ones
    assert tables.count("\n| ") == 3 * 2 + len(rows) + len(results["breaks"]) + shifts
    assert (folder / "report" / "figures" / "sweep.png").stat().st_size > 10_000


@pytest.mark.parametrize("mapped", ["loop", "vmap"])
def test_the_grid_in_one_program_equals_setting_after_setting(finished, mapped):
    """By the functions of the other studies: blur, restore, features, head, one after another."""
    config, folder, _ = finished
    dataset = load_dataset(config.data, folder / "cache")
    backbone, restorer = load_backbone(config.weights), load_restorer()
    (name, _), members = default_tasks(dataset.records), members_of(config)
    trained = train_head_stack(
        config.head,
        members,
        lambda sigma: train_features(config, sigma, dataset, backbone, folder / "cache"),
        questions(name, dataset, dataset.train),
        directory=folder / "run" / "heads" / name,
        title=name,
        launch=PLAIN,
    )
    rows = dataset.test[:9]  # not a multiple of the batch
    # None, the largest, and one between: narrower than the kernel that all settings share.
    grid = Grid(sigmas=jnp.array([0.0, 1.0, 2.0, 2.0]), noises=jnp.array([0.0, 0.05, 0.0, 0.05]))
    found = predict_grid(
        Classifiers(backbone, restorer, config.head, {name: trained.params}),
        dataset,
        rows,
        grid,
        dataclasses.replace(config.blur, sigma=max(config.sigmas)),
        folder=folder / f"grid-{mapped}",
        title="grid",
        mapped=mapped,
    )[name]
    assert found.shape == (4, len(KINDS), len(members), 9)
    originals = np.asarray(dataset.images[rows])
    for place, (sigma, noise) in enumerate(zip(grid.sigmas, grid.noises, strict=True)):
        blur = BlurConfig(sigma=float(sigma), noise=float(noise), input_precision="8bit")
        blurred = degraded_images(originals, rows, blur, 0)
        kinds = {"blurred": blurred, "recovered": restored_by_net(restorer, blurred, blur)}
        for kind, images in kinds.items():
            source = {"images": f"{kind} {place}"}  # kept for the other way to map
            seen = cached_features(backbone, images, folder / "cache", title="", source=source)
            for number in range(len(members)):
                expected = predict(config.head, member(trained.params, number), seen)
                np.testing.assert_allclose(
                    found[place, KINDS.index(kind), number], expected, rtol=2e-2, atol=2e-2
                )
    # Settings differ by more than that.
    assert np.abs(found[0] - found[2]).max() > 0.1


def test_training_images_have_no_noise(finished):
    """Neither those of a blur nor the originals, whatever the blur says: it is replaced."""
    config, folder, _ = finished
    given = load_dataset(config.data, folder / "cache"), load_backbone(config.weights)
    noisy = dataclasses.replace(config, blur=dataclasses.replace(config.blur, noise=0.05))
    for sigma in config.train_sigmas:
        found, wanted = (
            train_features(one, sigma, *given, folder / "cache") for one in (noisy, config)
        )
        np.testing.assert_array_equal(found, wanted)


def test_each_head_equals_the_single_run_that_the_config_lists(finished, monkeypatch):
    config, folder, _ = finished
    monkeypatch.setitem(RUNS, "small", config)
    singles = sweep("small")
    assert len(singles) == 2 * 4
    members = members_of(config)
    stack = metrics(folder / "run" / "heads" / "normal_vs_pneumonia")
    for place in (0, 3):  # of sigma 0 and seed 0, of sigma 1 and seed 1
        run = singles[place]
        assert (run.blur.sigma, run.seed) == (members[place].sigma, members[place].seed)
        alone = folder / f"alone{place}"
        train_classifier(run, alone, folder / "cache")
        losses = [row["loss"] for row in metrics(alone)]
        assert losses == pytest.approx([row["loss"][place] for row in stack], rel=1e-3)
        params = load_head(run.head, 512, alone)
        assert params["logits"]["bias"].shape == (2,)


@pytest.mark.resume
def test_a_finished_grid_is_not_computed_again(finished, monkeypatch):
    config, folder, results = finished

    def refuse(*_, **__):
        raise AssertionError("the grid was computed again")

    monkeypatch.setattr("jxr.studies.sweep.grid._log_odds", refuse)
    again = sigma_sweep_study(config, folder / "run", folder / "cache", "test")
    for table in ("classification", "differences", "breaks"):
        assert again[table] == results[table]


def test_only_the_report_s_learning_rate_is_called_report():
    config = SigmaSweepConfig(
        seeds=(0,), train_sigmas=(0.0,), learning_rates=(1e-4, 1e-3), bootstrap_samples=100
    )
    settings = len(config.noises) * len(config.sigmas)
    log_odds = np.random.default_rng(0).normal(size=(settings, len(KINDS), 2, 6))
    labels = np.arange(6) % 2
    chosen = Examples(np.arange(6), labels, np.arange(6))
    rows = task_rows(config, "a_vs_b", chosen, log_odds, np.ones(2, bool))["classification"]
    found = {(row["learning_rate"], row["recipe"] == "report") for row in rows}
    assert found == {(1e-4, True), (1e-3, False)}


def test_break_points_count_from_the_sharpest_images():
    config = SigmaSweepConfig(
        seeds=(0,), train_sigmas=(0.0,), sigmas=(0.0, 2.0), noises=(0.0, 0.1),
        bootstrap_samples=100,
    )  # fmt: skip
    labels = np.arange(100) % 2

    def scoring(wanted):
        """As many right in either class, so that accuracy and AUC are the same."""
        return np.where(np.arange(100) // 2 < 50 * wanted, 1.0, -1.0) * (2 * labels - 1)

    scores = {
        (0.0, "blurred"): (0.9, 0.8),
        (0.0, "recovered"): (0.8, 0.9),
        (0.1, "blurred"): (0.88, 0.88),
        (0.1, "recovered"): (0.88, 0.88),
    }
    log_odds = np.array(
        [
            [[scoring(scores[noise, kind][place])] for kind in KINDS]
            for noise in config.noises
            for place in range(2)
        ]
    )
    chosen = Examples(np.arange(100), labels, np.arange(100))
    rows = task_rows(config, "a_vs_b", chosen, log_odds, np.ones(1, bool))["breaks"]
    assert [(row["noise"], row["test_on"]) for row in rows] == list(scores)
    found = [(row["accuracy_break"], row["auc_break"]) for row in rows]
    # All against 0.9, the score without blur, noise or restoration.
    assert found == [pytest.approx((1.0, 0.4)), (0.0, 0.0), (None, None), (None, None)]


def test_mistakes_are_one_line(tmp_path):
    for wrong, named in (
        ({"sigmas": ()}, "sigmas"),
        ({"sigmas": (0.0, -1.0)}, "sigma"),
        ({"train_sigmas": (1.0, 1.0)}, "train_sigmas"),
        ({"seeds": (-1,)}, "seed"),
        ({"learning_rates": (0.0,)}, "learning_rates"),
        ({"noises": (0.1, 0.1)}, "noises"),
        ({"noises": (-0.1,)}, "noise"),
        ({"noises": tuple(0.01 * n for n in range(7))}, "noises"),
        ({"tasks": ("a", "a")}, "tasks"),
        ({"images": -1}, "images"),
        ({"bootstrap_samples": 1}, "bootstrap_samples"),
        ({"blur": BlurConfig()}, "input_precision"),
    ):
        with pytest.raises(UserError, match=named):
            SigmaSweepConfig(**wrong)
    finished = call(
        "sweep_sigma",
        "--config=ml_collections_configs/sweep_sigma.py:kermany",
        f"--config.data.path={tmp_path / 'nothing'}",
        f"--workdir={tmp_path / 'run'}",
        f"--cache={tmp_path / 'cache'}",
    )
    assert "nothing" in the_error(finished)
