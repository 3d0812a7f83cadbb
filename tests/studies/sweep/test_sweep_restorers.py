"""The sweep of U-Nets on phantoms: errors against those of single restorers, rows, mistakes."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from jxr.config import BlurConfig, RestorerSweepConfig, ScheduleConfig
from jxr.errors import UserError
from jxr.evaluation import restoration_scores
from jxr.reporting.sweep_restorers_figure import curves, restorer_sweep_figure, write_restorer_sweep
from jxr.studies.dataset import load_dataset
from jxr.studies.restorers import degraded_images, in_batches, unet_restorer
from jxr.studies.runs import train_restorer
from jxr.studies.sweep.members import members_of, train_unet_stack
from jxr.studies.sweep.unets import error_rows, restorer_sweep_study, unet_errors
from jxr.training.checkpoints import load_params
from jxr.training.launch import PLAIN
from ml_collections_configs.sweep_restorers import RUNS, sweep
from tests.commands import call, the_error
from tests.tiny import tiny_phantoms
from tests.training.test_sweep import member


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    run = tiny_phantoms(RUNS["demo"])
    unet = dataclasses.replace(
        run.unet, width=2, depth=1, crop=16, schedule=ScheduleConfig(epochs=1, batch_size=8)
    )
    config = dataclasses.replace(run, sigmas=(0.0, 1.0, 2.0), seeds=(0, 1), unet=unet)
    return config, folder, restorer_sweep_study(config, folder / "run", folder / "cache", "test")


def test_rows_table_and_chart(finished):
    _, folder, results = finished
    assert json.loads((folder / "run" / "results.json").read_text()) == results
    assert len(results["restoration"]) == 3 * (1 + 2 * 2)  # sigmas; as it is, and four U-Nets
    write_restorer_sweep(results, folder / "report")
    assert (folder / "report" / "tables.md").read_text().count("\n| ") == 2 + 5
    assert (folder / "report" / "figures" / "sweep.png").stat().st_size > 10_000
    assert results["provenance"]["stage_commits"].keys() == {"train", "score-test"}
    titles = list(curves(results["restoration"]))
    assert titles[0] == "not restored"
    assert titles[1].endswith("1, seed 0")
    assert "rate" not in titles[1]


def test_many_unets_are_told_apart_and_no_error_is_not_drawn():
    rows = [{"method": "none", "sigma": sigma, "mse": 1e-3 * sigma} for sigma in (0.0, 1.0, 2.0)]
    rows += [
        {"method": "unet", "train_sigma": 0.5 * number, "learning_rate": 1e-3, "seed": 0,
         "sigma": sigma, "mse": 1e-4}
        for number in range(20)
        for sigma in (0.0, 1.0, 2.0)
    ]  # fmt: skip
    (axes,) = restorer_sweep_figure({"restoration": rows}).axes
    styles = [(one.get_color(), one.get_marker(), one.get_linestyle()) for one in axes.lines]
    assert len({*styles}) == len(axes.lines) == 21
    blurred = axes.lines[0]
    drawn = axes.transScale.transform(blurred.get_xydata())
    assert np.isnan(drawn[0]).any()
    assert np.isfinite(drawn[1:]).all()


@pytest.fixture(scope="module")
def errors_of_single_restorers(finished):
    """Errors by the functions of the other studies: at each sigma of no U-Net, then of each."""
    config, folder, _ = finished
    dataset = load_dataset(config.data, folder / "cache")
    members = members_of(config)
    trained = train_unet_stack(config, members, dataset, folder / "run" / "unets", PLAIN)
    rows = np.sort(dataset.test)
    originals = np.asarray(dataset.images[rows])
    restorers = [
        unet_restorer(config.unet, member(trained.params, number)) for number in range(len(members))
    ]
    errors = []
    for sigma in config.sigmas:
        blurred = degraded_images(originals, rows, BlurConfig(sigma=sigma), 0)
        restored = [blurred, *(in_batches(restore, blurred) for restore in restorers)]
        errors.append([restoration_scores(originals, images)["mse"] for images in restored])
    return trained.params, np.array(errors)


@pytest.mark.parametrize("mapped", ["loop", "vmap"])
def test_errors_equal_those_of_single_restorers(finished, errors_of_single_restorers, mapped):
    config, folder, results = finished
    params, expected = errors_of_single_restorers
    dataset = load_dataset(config.data, folder / "cache")
    widest = dataclasses.replace(config.blur, sigma=max(config.sigmas))
    rows = np.sort(dataset.test)
    found = unet_errors(config.unet, params, dataset, rows, config.sigmas, widest, mapped)
    found = found.mean(axis=-1)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-12)
    said = [row["mse"] for row in results["restoration"]]
    np.testing.assert_allclose(found.ravel(), said, rtol=1e-4, atol=1e-12)


def test_each_unet_equals_the_single_run_that_the_config_lists(finished, monkeypatch):
    config, folder, _ = finished
    monkeypatch.setitem(RUNS, "small", config)
    singles = sweep("small")
    place = 1  # of sigma 1, seed 1
    train_restorer(singles[place], folder / "alone", folder / "cache")
    dataset = load_dataset(config.data, folder / "cache")
    members = members_of(config)
    assert members[place] == (singles[place].blur.sigma, 1e-3, singles[place].seed) == (1, 1e-3, 1)
    trained = train_unet_stack(config, members, dataset, folder / "run" / "unets", PLAIN)
    mine = member(trained.params, place)
    alone = load_params(folder / "alone" / "checkpoints", mine)
    for a, b in zip(jax.tree.leaves(mine), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_members_that_diverged_have_no_rows(finished):
    config, _, _ = finished
    errors = np.ones((3, 5, 4))
    rows = error_rows(config, members_of(config), errors, np.array([True, False, True, True]))
    assert len(rows) == 3 * 4
    assert {(row["train_sigma"], row["seed"]) for row in rows if row["method"] == "unet"} == {
        (1.0, 0), (2.0, 0), (2.0, 1),
    }  # fmt: skip


def test_mistakes_are_one_line(tmp_path):
    for wrong in ({"sigmas": ()}, {"train_sigmas": (1.0, 1.0)}, {"learning_rates": (-1.0,)}):
        with pytest.raises(UserError, match=next(iter(wrong))):
            RestorerSweepConfig(**wrong)
    finished = call(
        "sweep_restorers",
        "--config=ml_collections_configs/sweep_restorers.py:kermany",
        f"--config.data.path={tmp_path / 'nothing'}",
        f"--workdir={tmp_path / 'run'}",
        f"--cache={tmp_path / 'cache'}",
    )
    assert "nothing" in the_error(finished)
