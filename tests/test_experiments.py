"""The commands as users call them: every config runs, is scored, and goes on where it stopped."""

import csv
import json
import logging
import re
import shutil
import signal

import pytest

from jxr.config import AdaptationConfig, ReproduceConfig, RestorerRun
from jxr.errors import UserError
from jxr.studies.reproduction.reproduce import reproduce as reproduce_in_process
from jxr.studies.runs import evaluate, train_classifier, train_restorer
from jxr.studies.workdir import claim
from ml_collections_configs import classifier, reproduce, restorer
from tests.commands import (
    RESTORER,
    ROOT,
    TINY,
    call,
    configured,
    restorer_call,
    restorer_flags,
    start,
    the_error,
    train_by_flags,
)
from tests.tiny import tiny


@pytest.fixture(scope="module")
def trained(tiny_images, tmp_path_factory):
    """Returns the folder of a config's run, trained when first asked for, and their cache."""
    root = tmp_path_factory.mktemp("trained")

    def folder_of(name):
        if not (root / name).exists():
            if name == "cpu":
                flags_given = f"--config.data.path={tiny_images}", *TINY
                run = configured(RestorerRun, f"--config={ROOT}/{RESTORER}", *flags_given)
            else:
                run = tiny((classifier.RUNS | restorer.RUNS)[name], tiny_images)
            train = train_classifier if name in classifier.RUNS else train_restorer
            train(run, root / name, root / "cache")
        return root / name, root / "cache"

    return folder_of


@pytest.mark.parametrize("name", classifier.RUNS)
def test_every_classifier_config_trains_and_evaluates(name, trained):
    folder, cache = trained(name)
    results = evaluate(folder, cache, "validation")
    assert {row["test_on"] for row in results["classification"]} == {"original", "blurred"}
    task, train_on = name.split("-")
    for row in results["classification"]:
        assert (row["task"], row["train_on"]) == (task, train_on)
    assert sum(part["images"] for part in results["images"].values()) == 3 * 18
    assert results["images"]["test"] == {
        "images": 18,
        "patients": 18,
        "classes": {"bacteria": 6, "normal": 6, "virus": 6},
    }
    assert "not the published image set" in results["provenance"]["notes"][0]
    assert json.loads((folder / "validation.json").read_text()) == results


def test_a_boundary_without_a_wiener_filter_can_be_trained_and_evaluated(tiny_images, tmp_path):
    zero = "--config.blur.boundary=zero"
    train_by_flags(tmp_path, f"--config.data.path={tiny_images}", *TINY, zero)
    results = evaluate(tmp_path / "run", tmp_path / "cache", "validation")
    assert [row["method"] for row in results["restoration"]] == ["none", "unet"]


@pytest.mark.parametrize("name", restorer.RUNS)
def test_every_restorer_config_trains_and_evaluates(name, trained):
    results = evaluate(*trained(name), "test")
    assert [row["method"] for row in results["restoration"]] == ["none", "wiener", "unet"]
    assert all(row["n"] == 18 for row in results["restoration"])
    assert results["images"]["test"]["images"] == 18


def test_reproduce_by_its_command_writes_results_and_page(tiny_images, tmp_path, caplog):
    config = "ml_collections_configs/reproduce.py:kermany"
    folders = tmp_path / "run", tmp_path / "cache"
    arguments = (
        f"--config.data.path={tiny_images}",
        "--config.weights.kind=random",
        "--config.head.hidden=(8,)",
        "--config.head.schedule.epochs=2",
        "--config.head.schedule.learning_rate=1e-3",
        "--config.head.schedule.batch_size=8",
        "--config.seeds=(0,)",
        "--config.bootstrap_samples=100",
        "--config.sigmas=(2.0,)",
        "--config.conventions=('standard',)",
        "--config.sweep_sigmas=(2.0,)",
        *TINY,
    )
    places = f"--workdir={folders[0]}", f"--cache={folders[1]}"
    finished = call("reproduce", f"--config={config}", *places, *arguments)
    assert finished.returncode == 0, finished.stderr
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["provenance"]["config"]["head"]["hidden"] == [8]
    assert results["images"]["test"]["classes"] == {"bacteria": 6, "normal": 6, "virus": 6}
    page = (tmp_path / "run" / "report" / "index.html").read_text()
    assert "0.8750" in page  # the report's own number stands beside ours
    assert "not the published image set" in finished.stderr
    # The log is the project's own; a library may still warn.
    assert not re.search(r"^I\d{4} .*checkpoint", finished.stderr, re.MULTILINE)
    caplog.set_level(logging.INFO, "absl")
    run = configured(ReproduceConfig, f"--config={ROOT}/{config}", *arguments)
    again = reproduce_in_process(run, *folders)
    assert again["classification"] == results["classification"]
    assert "done before" in caplog.text
    classifies_by_its_command(tmp_path, tiny_images / "test")


def classifies_by_its_command(folder, images):
    """All questions of the report by the mean of its heads; a bad file is status 2 at the end."""
    for path in sorted(images.rglob("*.jpeg"))[::6]:
        target = folder / "images" / path.relative_to(images)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    (folder / "images" / "broken.png").write_bytes(b"no image")
    finished = call(
        "classify",
        f"--workdir={folder / 'run'}",
        f"--cache={folder / 'cache'}",
        f"--input={folder / 'images'}",
        f"--output={folder / 'classified'}",
        "--gradcam",
    )
    assert finished.returncode == 2, finished.stderr
    errors = [line for line in finished.stderr.splitlines() if line.startswith("error: ")]
    assert "broken.png: cannot be read as an image" in errors[0]
    assert errors[1:] == [
        "error: classified 3 of 4 files; the others are named above: mend or remove them"
    ]
    assert "classified 3 of 4 files" in finished.stdout
    assert "no diagnosis" in finished.stdout
    with (folder / "classified" / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    for task, positive in (("normal_vs_pneumonia", "pneumonia"), ("bacterial_vs_viral", "viral")):
        for row in rows:
            if row["path"] == "broken.png":
                continue
            probability = float(row[f"{task}: probability of {positive}"])
            decided = row[f"{task}: decision"]
            assert (probability >= 0.5) == (decided == positive)
            assert (folder / "classified" / f"{row['path']}-gradcam-{task}.png").is_file()


def test_full_width_configs_are_the_report_s():
    full = reproduce.RUNS["kermany_full"].unet
    assert (full.width, full.depth, full.crop, full.schedule.epochs) == (64, 4, 0, 30)
    assert restorer.RUNS["full"].unet == full


def test_help_works():
    finished = call("reproduce", "--help")
    assert "--workdir" in finished.stdout


def test_evaluate_scores_finished_single_runs_only(trained, tmp_path):
    for name, kind, command in (
        ("normal_vs_pneumonia-original", "head", "train_classifier"),
        ("cpu", "unet", "train_restorer"),
    ):
        ended, cache = trained(name)
        folder = tmp_path / kind
        shutil.copytree(ended, folder, ignore=shutil.ignore_patterns("test.json"))
        config = json.loads((folder / "config.json").read_text())
        config[kind]["schedule"]["epochs"] = 3  # as a run that was stopped
        (folder / "config.json").write_text(json.dumps(config))
        with pytest.raises(UserError, match=rf"step \d+ of \d+: run experiments.{command}"):
            evaluate(folder, cache, "test")
        assert not (folder / "test.json").exists()
    claim(tmp_path / "study", AdaptationConfig())
    with pytest.raises(UserError, match="no single run: a study's scores are"):
        evaluate(tmp_path / "study", cache, "test")


def test_evaluate_finds_images_that_have_moved(tiny_images, tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    shutil.copytree(tiny_images, old)
    train_by_flags(tmp_path, f"--config.data.path={old}", *TINY)
    folders = tmp_path / "run", tmp_path / "cache"
    before = evaluate(*folders, "validation")
    old.rename(new)
    with pytest.raises(UserError, match=r"old: no such folder; .*by --data_path"):
        evaluate(*folders, "validation")
    moved = evaluate(*folders, "validation", data_path=str(new))
    assert moved["restoration"] == before["restoration"]
    assert evaluate(*folders, "validation") == moved  # noted in the run


def test_checkpoint_of_another_model(trained, tiny_images, tmp_path):
    shutil.copytree(trained("cpu")[0], tmp_path / "run")
    wider = f"--config.data.path={tiny_images}", *TINY, "--config.unet.width=4"
    # The config's own guard speaks first; without it the checkpoint's does.
    with pytest.raises(UserError, match=r"other values of unet\.width"):
        train_by_flags(tmp_path, *wider)
    (tmp_path / "run" / "config.json").unlink()
    with pytest.raises(UserError, match="checkpoint of another model"):
        train_by_flags(tmp_path, *wider)


@pytest.mark.resume
def test_a_changed_config_is_refused_unless_told(trained, tiny_images, tmp_path, caplog):
    caplog.set_level(logging.INFO, "absl")
    shutil.copytree(trained("cpu")[0], tmp_path / "run")
    arguments = f"--config.data.path={tiny_images}", *TINY
    longer = (*arguments, "--config.unet.schedule.epochs=2")
    with pytest.raises(UserError, match=r"other values of unet\.schedule\.epochs: use those"):
        train_by_flags(tmp_path, *longer)
    train_by_flags(tmp_path, *longer, accept_changes=True)
    assert "unet.schedule.epochs is 2 now, was 1" in caplog.text
    assert "resumed at step" in caplog.text
    # Back again, by the command: there is nothing left to do, and less cannot be had.
    finished = restorer_call(tmp_path, *arguments, "--accept_changes")
    assert "past the last one" in the_error(finished)
    assert "unet.schedule.epochs is 1 now, was 2" in finished.stderr
    # Nor can the optimiser change. What was tried is not noted: no checkpoint is of it.
    clipped = (*longer, "--config.unet.schedule.clip_norm=1.0")
    with pytest.raises(UserError, match="checkpoint of another model"):
        train_by_flags(tmp_path, *clipped, accept_changes=True)
    train_by_flags(tmp_path, *longer, "--config.seed=1", accept_changes=True)  # nothing is left
    config = evaluate(tmp_path / "run", tmp_path / "cache", "validation")["provenance"]["config"]
    assert (config["seed"], config["unet"]["schedule"]["clip_norm"]) == (0, 0.0)
    train_by_flags(tmp_path, *longer)


@pytest.mark.resume
def test_sigterm_saves_and_the_same_command_goes_on(tiny_images, tmp_path):
    data = f"--config.data.path={tiny_images}"
    steps = ("--config.unet.schedule.epochs=30", "--config.unet.schedule.log_every=1")
    running = start("train_restorer", *restorer_flags(tmp_path), data, *TINY, *steps)
    assert running.stderr is not None
    for line in running.stderr:
        if "step 3 of" in line:
            running.send_signal(signal.SIGTERM)
            break
    rest = running.stderr.read()
    running.stderr.close()
    assert running.wait() == 128 + signal.SIGTERM, rest
    assert "saved; run again to go on" in rest
    again = restorer_call(tmp_path, data, *TINY, *steps)
    assert again.returncode == 0, again.stderr
    assert "resumed at step" in again.stderr
