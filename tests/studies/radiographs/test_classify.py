"""A user's images classified by trained runs: probabilities, calibration, overlays, mistakes."""

import csv
import dataclasses
import functools
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from PIL import Image
from scipy.special import expit
from sklearn.metrics import log_loss

from jxr.config import ClassifierRun, RestorerRun
from jxr.errors import UserError
from jxr.models import Head, apply, split
from jxr.models.gradcam import grad_cam, last_maps
from jxr.models.vgg16 import extract, graphdef
from jxr.models.vgg16_weights import random_weights
from jxr.studies.radiographs.calibrated_runs import open_run
from jxr.studies.radiographs.classify import classify
from jxr.studies.runs import train_classifier
from jxr.studies.workdir import claim
from jxr.training.checkpoints import load_params
from tests.tiny import tiny

TASK = "normal_vs_tb"
PROBABILITY, DECISION = f"{TASK}: probability of tb", f"{TASK}: decision"
COUNTS = {"train": 8, "val": 8, "test": 1}  # of each class
IMAGES = {"b.png": (32, 32), "a.jpeg": (40, 60), "a.png": (70, 50), "sub/c, d.tif": (32, 32)}


@pytest.fixture(scope="module", autouse=True)
def kernels():
    """VGG-16's random weights, drawn once for each seed: it takes seconds."""

    @functools.cache
    def drawn(seed):
        return random_weights(jax.random.key(seed))

    with pytest.MonkeyPatch.context() as patch:
        by_key = lambda key: drawn(int(jax.random.key_data(key)[-1]))  # noqa: E731
        patch.setattr("jxr.studies.features.random_weights", by_key)
        yield drawn(0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, kernels):
    """A folder with a data set, a finished run, its cache, and images of other sizes and kinds."""
    folder = tmp_path_factory.mktemp("trained")
    rng = np.random.default_rng(5)

    def draw(path, level, shape=(32, 32)):
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.normal(level, 25, shape).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(path)

    lines = ["path,label,patient,split"]
    for part, count in COUNTS.items():
        for number in range(count):
            for label, level in (("normal", 60), ("tb", 140)):
                name = f"{label}-{part}{number}.png"
                # Some look like the other class, so that the head is too sure of itself.
                misleading = part == "val" and number % 4 == 0
                draw(folder / "set" / name, 200 - level if misleading else level)
                lines.append(f"{name},{label},{part}{number}{label},{part}")
    (folder / "set" / "images.csv").write_text("\n".join(lines) + "\n")
    for number, (name, shape) in enumerate(IMAGES.items()):
        draw(folder / "images" / name, 70 + 20 * number, shape)
    run = tiny(ClassifierRun(TASK), folder / "set" / "images.csv")
    schedule = dataclasses.replace(run.head.schedule, epochs=20)
    run = dataclasses.replace(run, head=dataclasses.replace(run.head, schedule=schedule))
    train_classifier(run, folder / "run", folder / "cache")
    return folder


@pytest.fixture(scope="module")
def first(trained):
    """What the first call says of the images; it calibrates the run."""
    return called(trained, "first")


@pytest.fixture
def place(trained, first, tmp_path):
    """A copy of all of it for one test; the data set stays where the run knows it."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    return tmp_path


def called(place, output="out", source="images", run="run", **options):
    return classify(place / run, place / "cache", place / source, place / output, **options)


def head_of(place):
    """The head by its definition, its parameters from the checkpoint."""
    graph, template = split(Head(512, (8,), rngs=nnx.Rngs(0)))
    return graph, load_params(place / "run" / "checkpoints", template)


def as_seen(path):
    """An image file as the network sees it, by Pillow alone."""
    image = Image.open(path).convert("F").resize((32, 32), Image.Resampling.BILINEAR)
    return np.asarray(image)[..., None] / np.float32(255)


def rows_of(place, output="out"):
    with (place / output / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def in_json(*parts):
    with (parts[0].joinpath(*parts[1:])).open() as file:
        return json.load(file)


def test_probabilities_by_their_definition(trained, first, kernels):
    place, found = trained, first
    rows = rows_of(place, "first")
    assert [row["path"] for row in rows] == ["a.jpeg", "a.png", "b.png", "sub/c, d.tif"]
    assert list(rows[0]) == ["path", PROBABILITY, DECISION, "error"]

    (kept,) = in_json(place, "run", "calibration.json")["tasks"]
    images = jnp.stack([as_seen(place / "images" / row["path"]) for row in rows])
    features = jax.jit(extract, static_argnums=(0, 3))(graphdef(), kernels, images, "caffe")
    pairs = np.asarray(apply(*head_of(place), features), np.float64)
    log_odds = kept["slope"] * (pairs[:, 1] - pairs[:, 0] - kept["threshold"])
    for row, prediction, expected in zip(rows, found.predictions, log_odds, strict=True):
        assert prediction.log_odds[0] == pytest.approx(expected, abs=1e-3)
        assert float(row[PROBABILITY]) == pytest.approx(expit(expected), abs=1e-4)
        assert row[DECISION] == ("tb" if expected >= 0 else "normal")
        assert row["error"] == ""

    written = in_json(place, "first", "predictions.json")
    assert (written["files"], written["classified"], written["failed"]) == (4, 4, [])
    for row, entry in zip(rows, written["predictions"], strict=True):
        answer = entry["answers"][TASK]
        assert entry["path"] == row["path"]
        assert answer["probability"]["tb"] == float(row[PROBABILITY])
        assert sum(answer["probability"].values()) == pytest.approx(1)
        assert answer["gradcam"] is None
    fingerprints = in_json(place, "run", "config.json")["fingerprints"]
    assert written["provenance"]["fingerprints"] == fingerprints
    assert written["provenance"]["config"]["task"] == TASK
    assert written["calibration"]["provenance"]["fingerprints"] == fingerprints
    assert written["calibration"]["tasks"] == [kept]
    readme = (place / "first" / "README.txt").read_text()
    assert "no diagnosis" in readme
    assert "16 validation images of the run, 50% of them tb" in readme
    assert written["notes"] == readme.strip().split("\n\n")


def test_calibration_is_of_the_validation_images_and_lowers_their_log_loss(place):
    held = sorted((place / "set").glob("*-val*.png"))
    (place / "held").mkdir()
    for path in held:
        shutil.copy(path, place / "held")
    found = called(place, source="held")
    (kept,) = in_json(place, "run", "calibration.json")["tasks"]
    assert (kept["images"], kept["positives"]) == (16, 8)
    labels = [int(path.name.startswith("tb")) for path in held]
    scaled = np.array([one.log_odds[0] for one in found.predictions])
    plain = scaled / kept["slope"] + kept["threshold"]
    assert kept["log_loss"] == pytest.approx(log_loss(labels, expit(scaled)), rel=1e-3)
    assert kept["log_loss_uncalibrated"] == pytest.approx(log_loss(labels, expit(plain)), rel=1e-3)
    assert kept["log_loss"] < kept["log_loss_uncalibrated"]


def test_later_calls_need_neither_images_nor_cache_and_one_file_is_as_in_its_folder(place, first):
    shutil.rmtree(place / "cache")
    config = place / "run" / "config.json"
    changed = in_json(config)
    changed["data"]["path"] = "/nowhere"
    config.write_text(json.dumps(changed))
    before = (place / "run" / "calibration.json").read_bytes()
    alone = called(place, "alone", "images/b.png")
    assert [one.path for one in alone.predictions] == ["b.png"]
    np.testing.assert_allclose(
        alone.predictions[0].log_odds, first.predictions[2].log_odds, rtol=1e-3
    )
    assert (place / "run" / "calibration.json").read_bytes() == before
    assert not (place / "cache").exists()

    (place / "run" / "calibration.json").unlink()
    with pytest.raises(UserError, match=r"needed once.*/nowhere.*--data_path"):
        called(place, "none")
    assert in_json(config) == changed
    moved = called(place, "moved", "images/b.png", data_path=str(place / "set" / "images.csv"))
    np.testing.assert_allclose(moved.predictions[0].log_odds, alone.predictions[0].log_odds)


def test_neither_batches_nor_the_order_of_files_change_anything(place, first, monkeypatch):
    known = {one.path: one.log_odds for one in first.predictions}
    monkeypatch.setattr("jxr.studies.radiographs.classify.BATCH", 3)
    backwards = sorted(known, reverse=True)
    (place / "renamed").mkdir()
    for number, name in enumerate(backwards):
        target = place / "renamed" / f"{number} {name.replace('/', ' ')}"
        shutil.copy(place / "images" / name, target)
    again = called(place, "again", "renamed")
    for one, name in zip(again.predictions, backwards, strict=True):
        np.testing.assert_allclose(one.log_odds, known[name], rtol=1e-3, atol=1e-3)


def test_several_heads_answer_by_the_mean_of_their_log_odds(place):
    run = open_run(place / "run", place / "cache")
    (question,) = run.questions
    (head,) = question.heads
    other = jax.tree.map(lambda leaf: -0.5 * leaf, head)
    images = jnp.stack([as_seen(place / "images" / name) for name in sorted(IMAGES)])

    def answer(*heads):
        asked = run._replace(questions=(question._replace(heads=heads),))
        return np.asarray(asked.answers(images, gradcam=False)[0])

    first, second = answer(head), answer(other)
    assert np.abs(first - second).max() > 0.1
    np.testing.assert_allclose(answer(head, other), (first + second) / 2, rtol=1e-4)


def test_overlays_show_the_map_on_the_image_and_nothing_is_replaced_untold(place, kernels):
    found = called(place, gradcam=True)
    names = [f"{name}-gradcam-{TASK}.png" for name in sorted(IMAGES)]
    assert [one.overlays for one in found.predictions] == [(name,) for name in names]
    assert "does not localise disease" in (place / "out" / "README.txt").read_text()
    graph, head = head_of(place)

    def log_odds(maps):
        pairs = apply(graph, head, maps.max(axis=(1, 2)))  # of 32 pixels, all is pooled into one
        return pairs[:, 1] - pairs[:, 0]

    @jax.jit
    def cams(params, images):
        return grad_cam(log_odds, last_maps(graphdef(), params, images, "caffe"))[1]

    images = jnp.stack([as_seen(place / "images" / name) for name in sorted(IMAGES)])
    for name, overlay, cam in zip(sorted(IMAGES), names, cams(kernels, images), strict=True):
        grey = np.asarray(Image.open(place / "images" / name).convert("L"), np.float32)
        cam = np.asarray(jax.image.resize(cam, grey.shape, "linear")) / (float(cam.max()) or 1)
        expected = (1 - 0.6 * cam[..., None]) * grey[..., None]
        expected = expected + 0.6 * cam[..., None] * np.array([213, 94, 0])
        picture = np.asarray(Image.open(place / "out" / overlay))
        assert picture.shape == (*grey.shape, 3)
        np.testing.assert_allclose(picture, expected, atol=1.5)

    before = (place / "out" / "predictions.csv").read_bytes()
    with pytest.raises(UserError, match=r"predictions.csv: is there already: give --overwrite"):
        called(place)
    for name in ("predictions.csv", "predictions.json", "README.txt"):
        (place / "out" / name).unlink()
    with pytest.raises(UserError, match=r"a.jpeg-gradcam-.*png: is there already"):
        called(place, gradcam=True)
    called(place, gradcam=True, overwrite=True)
    assert (place / "out" / "predictions.csv").read_bytes() == before


def test_bad_files_are_named_and_the_others_classified(place, capsys):
    (place / "images" / "a bad one.png").write_bytes(b"no image")
    (place / "images" / "zero.png").write_bytes(b"")
    (place / "images" / "notes.txt").write_text("no image by its name")
    (place / "images" / ".hidden.png").write_bytes(b"")
    found = called(place)
    assert [one.path for one in found.predictions] == sorted(IMAGES)
    assert [failure.path.name for failure in found.failures] == ["a bad one.png", "zero.png"]
    lines = capsys.readouterr().err.splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    assert errors == [f"error: {failure.reason}" for failure in found.failures]
    rows = {row["path"]: row for row in rows_of(place)}
    assert list(rows) == sorted([*IMAGES, "a bad one.png", "zero.png"])
    assert (rows["zero.png"][PROBABILITY], rows["zero.png"][DECISION]) == ("", "")
    assert rows["zero.png"]["error"].startswith("cannot be read as an image")
    assert all(rows[name]["error"] == "" and rows[name][PROBABILITY] for name in IMAGES)
    written = in_json(place, "out", "predictions.json")
    assert [one["path"] for one in written["failed"]] == ["a bad one.png", "zero.png"]
    assert (written["files"], written["classified"]) == (6, 4)


def test_what_cannot_be_classified(place):
    def refused(message, **changes):
        with pytest.raises(UserError, match=message):
            called(place, **({"output": "none/out"} | changes))
        assert not (place / "none").exists()

    (place / "run" / "calibration.json").unlink()  # with it, nobody asks how far the run went
    (place / "empty").mkdir()
    refused("no radiographs in it", source="empty")
    refused("no such file or folder", source="missing")
    refused("lies in the folder of the images", output="images/results")

    refused("no run here", run="missing")
    claim(place / "unet", RestorerRun())
    refused("no classifier of this kind", run="unet")
    config = place / "run" / "config.json"
    good = config.read_text()
    shutil.move(place / "run" / "checkpoints", place / "checkpoints")
    refused("no checkpoint yet")
    shutil.move(place / "checkpoints", place / "run" / "checkpoints")
    changed = json.loads(good)
    changed["head"]["schedule"]["epochs"] = 21
    config.write_text(json.dumps(changed))
    refused("trained to step 40 of 42: run experiments.train_classifier again")
    changed = json.loads(good)
    changed["weights"]["seed"] = 1
    config.write_text(json.dumps(changed))
    refused("other weights of VGG-16.*--weights_path")


def test_a_calibration_that_is_damaged_of_other_heads_or_impossible(place, monkeypatch):
    path = place / "run" / "calibration.json"
    before = in_json(path)
    other = in_json(path)
    other["tasks"][0] |= {"heads": ["0" * 64], "slope": 100.0}
    path.write_text(json.dumps(other))
    called(place, "again")
    assert in_json(path)["tasks"] == before["tasks"]
    path.write_text(path.read_text()[:100])
    with pytest.raises(UserError, match=r"calibration.json: damaged .*delete it"):
        called(place, "third")
    path.unlink()
    monkeypatch.setattr("jxr.studies.radiographs.run_calibration.predict", lambda *_: np.zeros(16))
    with pytest.raises(UserError, match=f"{TASK} cannot be calibrated.*all the same"):
        called(place, "third")
    assert not path.exists()
