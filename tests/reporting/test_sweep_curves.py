"""The curves over sigma: every mark stands where its number belongs."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from jxr.reporting.sweep_curves import sweep_section, sweep_table
from tests.reporting.fake_results import fake_sweep

SCORES = {"Accuracy": "accuracy", "AUC": "auc"}


class Drawn(HTMLParser):
    """Collects, panel by panel, the marks, the bands and the numbers at the axes."""

    def __init__(self):
        super().__init__()
        self.panels, self.text = [], None

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        kind = named.get("class", "")
        if kind == "panel":
            self.panels.append(
                {"score": named["data-score"], "marks": [], "bands": [], "texts": [], "levels": []}
            )
        elif kind == "mark":
            x, y = map(float, re.findall(r"[\d.]+", named["transform"]))
            numbers = [float(part) for part in re.findall(r"[\d.]+", named["data-numbers"])]
            self.panels[-1]["marks"].append((float(named["data-sigma"]), *numbers, x, y))
        elif kind == "band":
            points = re.findall(r"([\d.]+),([\d.]+)", named["d"])
            self.panels[-1]["bands"].append(np.array(points, float))
        elif tag == "text" and "text-anchor" in named:
            self.text = named["text-anchor"], float(named["x"]), float(named["y"])

    def handle_data(self, data):
        if self.text and re.fullmatch(r"[\d.]+", data):
            self.panels[-1]["texts"].append((*self.text, float(data)))
        self.text = None


def panels(rows):
    drawn = Drawn()
    drawn.feed(sweep_section(rows))
    return drawn.panels


def line(places, values):
    """A scale that runs through the labels of an axis, which all have to lie on it."""
    slope, start = np.polyfit(places, values, 1)
    np.testing.assert_allclose(slope * np.array(places) + start, values, atol=2e-3)
    return lambda place: slope * place + start


def test_marks_and_bands_stand_at_their_numbers():
    rows = fake_sweep((0.0, 0.5, 3.0))
    found = panels(rows)
    assert [panel["score"] for panel in found] == ["Accuracy", "AUC"] * 2
    for i, panel in enumerate(found):
        levels = [(y, value) for anchor, _, y, value in panel["texts"] if anchor == "end"]
        sigmas = [(x, value) for anchor, x, _, value in panel["texts"] if anchor == "middle"]
        score = line(*zip(*levels, strict=True))
        sigma = line(*zip(*sigmas, strict=True))
        assert [value for _, value in sigmas] == [0, 0.5, 3]
        task = rows[0]["task"] if i < 2 else rows[-1]["task"]
        key = SCORES[panel["score"]]
        baseline = 4  # of a label, below its line
        for kind, band in enumerate(panel["bands"]):
            test_on = ("blurred", "recovered")[kind]
            mine = sorted(
                (row for row in rows if (row["task"], row["test_on"]) == (task, test_on)),
                key=lambda row: row["sigma"],
            )
            marks = panel["marks"][3 * kind : 3 * kind + 3]
            for row, (at, value, low, high, x, y) in zip(mine, marks, strict=True):
                assert at == row["sigma"] == pytest.approx(sigma(x), abs=0.01)
                assert value == pytest.approx(row[key], abs=1e-4)
                assert score(y + baseline) == pytest.approx(row[key], abs=2e-3)
                assert [low, high] == pytest.approx(row[f"{key}_ci95"], abs=1e-3)
            ends = np.concatenate([[row[f"{key}_ci95"][1] for row in mine],
                                   [row[f"{key}_ci95"][0] for row in mine[::-1]]])  # fmt: skip
            np.testing.assert_allclose(score(band[:, 1] + baseline), ends, atol=2e-3)
        values = [value for _, value in levels]
        assert 2 <= len(values) <= 8


def test_one_sigma_and_scores_without_spread_can_be_drawn():
    rows = fake_sweep((1.0,))[:2]
    for row in rows:
        row |= {"accuracy": 1.0, "accuracy_ci95": [1.0, 1.0], "auc": 1.0, "auc_ci95": [1.0, 1.0]}
    for panel in panels(rows):
        assert [mark[:2] for mark in panel["marks"]] == [(1, 1), (1, 1)]
        assert np.isfinite(panel["bands"][0]).all()


def test_many_sigmas_do_not_write_over_each_other():
    rows = fake_sweep(tuple(np.arange(0, 4.1, 0.125)))
    for panel in panels(rows):
        labels = sorted(x for anchor, x, _, _ in panel["texts"] if anchor == "middle")
        assert len(labels) > 4
        assert np.diff(labels).min() > 30
        assert len(panel["marks"]) == 2 * 33


def test_table_row():
    row = {**fake_sweep()[1], "sigma": 0.5, "auc": 0.91234, "auc_ci95": [0.9, 0.92]}
    table = sweep_table([row])
    cells = dict(zip(table.columns, table.rows[0], strict=True))
    assert cells["Tested on"] == "recovered (Wiener)"
    assert cells["\u03c3"] == "0.5"
    assert cells["AUC [95 %]"] == "0.9123 [0.900, 0.920]"
    assert cells["Images"] == "624"
