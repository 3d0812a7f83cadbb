"""Answers and overlays by hand: tables of two questions, pictures against SciPy and Pillow."""

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import map_coordinates

from jxr.config import ClassifierRun, DataConfig
from jxr.studies.radiographs.batch_files import Failure
from jxr.studies.radiographs.calibrated_runs import CalibratedRun, Question
from jxr.studies.radiographs.overlays import as_png, for_display, overlay
from jxr.studies.radiographs.predictions import (
    Classified,
    Prediction,
    counts,
    details,
    notes_of,
    table,
)

ROOT = Path("/images")
FIRST, SECOND = "normal_vs_pneumonia", "bacterial_vs_viral"


@pytest.fixture
def found():
    tasks = [{"task": FIRST, "images": 40, "positives": 30}, {"images": 8, "positives": 1}]
    run = CalibratedRun(
        ClassifierRun(FIRST, train_on="blurred", data=DataConfig(source="phantoms", size=224)),
        {"data": "abc"},
        None,
        tuple(Question(task, (), None) for task in (FIRST, SECOND)),
        {"tasks": tasks},
    )
    predictions = (
        Prediction("a.png", (0.0, -math.log(3)), ("a-first.png", "a-second.png")),
        Prediction("c/d.png", (-math.log(9), -5.0), ("d-first.png", "d-second.png")),
    )
    failures = (Failure(ROOT / "b.png", "/images/b.png: empty"),)
    return Classified(run, predictions, failures, ("a note",))


def test_the_table_has_both_questions_and_failures_in_their_place(found):
    header, *lines = [line.split(",") for line in table(found, ROOT).splitlines()]
    assert header == [
        "path",
        *(f"{FIRST}: probability of pneumonia", f"{FIRST}: decision"),
        *(f"{SECOND}: probability of viral", f"{SECOND}: decision"),
        "error",
    ]
    assert [[line[0], line[2], *line[4:]] for line in lines] == [
        ["a.png", "pneumonia", "bacterial", ""],  # at 0.5 it is the second class
        ["b.png", "", "", "empty"],
        ["c/d.png", "normal", "bacterial", ""],
    ]
    assert [float(lines[0][1]), float(lines[0][3])] == pytest.approx([0.5, 0.25])
    assert float(lines[2][1]) == pytest.approx(0.1)
    assert counts(found) == [f"{FIRST}: 1 normal, 1 pneumonia", f"{SECOND}: 2 bacterial, 0 viral"]


def test_details_name_each_class_and_each_overlay(found):
    said = details(found, ROOT)
    first = said["predictions"][0]["answers"]
    assert first[SECOND]["probability"] == pytest.approx({"bacterial": 0.75, "viral": 0.25})
    assert [answer["gradcam"] for answer in first.values()] == ["a-first.png", "a-second.png"]
    assert said["failed"] == [{"path": "b.png", "error": "empty"}]
    assert (said["files"], said["classified"]) == (3, 2)


def test_notes_say_what_the_run_saw(found):
    research, first, second, blurred, phantoms, maps = notes_of(found.run, gradcam=True)
    assert "no medical device" in research
    assert "on 40 validation images of the run, 75% of them pneumonia" in first
    assert "on 8 validation images of the run, 12% of them viral" in second
    assert "trained on blurred images" in blurred
    assert "synthetic chests" in phantoms
    assert "a grid of 14 x 14 places" in maps
    assert len(notes_of(found.run, gradcam=False)) == 5


def test_the_colour_lies_where_the_map_is_high():
    """Vermilion at 60 %, linear between the centres of the map's places, in R, G, B."""
    cam = np.array([[0.0, 0.5, 4.0], [1.0, 0.0, 0.0]], np.float32)
    grey = np.random.default_rng(0).integers(0, 256, (40, 75)).astype(np.uint8)
    at = np.meshgrid((np.arange(40) + 0.5) / 20 - 0.5, (np.arange(75) + 0.5) / 25 - 0.5)
    places = np.stack([at[0].T, at[1].T])
    share = 0.6 * map_coordinates(cam / 4, places, order=1, mode="nearest")[..., None]
    expected = (1 - share) * grey[..., None] + share * [213, 94, 0]
    picture = overlay(grey, cam)
    np.testing.assert_allclose(picture, expected, atol=0.51)
    np.testing.assert_array_equal(overlay(grey, 0 * cam), np.stack([grey] * 3, -1))
    file = as_png(picture)
    assert file.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("shape", "shown"),
    [((2048, 512), (1024, 256)), ((512, 2048), (256, 1024)), ((3, 4000), (1, 1024)), ((9, 7),) * 2],
)
def test_large_images_are_shown_smaller_as_pillow_makes_them(shape, shown):
    pixels = np.add.outer(np.linspace(0, 0.3, shape[0]), np.linspace(0, 0.7, shape[1]))
    pixels = pixels.astype(np.float32)
    small = Image.fromarray(pixels * 255).resize(shown[::-1], Image.Resampling.BILINEAR)
    found = for_display(pixels[..., None])
    assert (found.shape, found.dtype) == (shown, np.uint8)
    np.testing.assert_allclose(found, np.asarray(small), atol=0.51)
