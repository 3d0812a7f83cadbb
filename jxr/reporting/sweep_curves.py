"""Scores over the sigma of the tested images on the page: curves to be read off, and a table."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from jxr.reporting.html import compact
from jxr.reporting.labels import SCORES, SIGMA, Row, name
from jxr.reporting.tables import Table, estimate, scores, tabulated

# Of a panel, in units of the drawing; a phone shows one about as wide as its screen.
WIDTH, HEIGHT = 420, 270
LEFT, RIGHT, TOP, BOTTOM = 44, 14, 28, 40
STEPS = (0.01, 0.02, 0.05, 0.1, 0.2)  # between the lines of the grid
MOST_LINES = 7
MOST_LABELS = 9  # of sigmas
# A dot or a square at each measured sigma, as in the legend.
MARKS = ("M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0z", "M-3.5,-3.5h7v7h-7z")
SIGNS = ("&#9679;", "&#9632;")


class Axes(NamedTuple):
    """What the panels share.

    Attributes:
        sigmas: in pixels, rising.
        levels: of the grid's lines, rising.
    """

    sigmas: Sequence[float]
    levels: Sequence[float]

    def x(self, sigma: float) -> float:
        """The place of a sigma; a single one is in the middle."""
        first, last = self.sigmas[0], self.sigmas[-1]
        share = (sigma - first) / (last - first) if last > first else 0.5
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        """The place of a score."""
        low, high = self.levels[0], self.levels[-1]
        return round(HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - BOTTOM - TOP), 1)


def sweep_section(rows: Sequence[Row]) -> str:
    """The curves of each task, and all numbers in a table; the script reads the curves off.

    Args:
        rows: `sweep` of results.json, at least one.
    """
    first = rows[0]
    intro = (
        "<p>Classifiers trained on original images, tested on images blurred with each &sigma;, and"
        " on the same recovered by the Wiener filter, which knows the kernel. Convention"
        f" {escape(first['convention'])}, noise {first['noise']:g},"
        f" {escape(first['input_precision'])}. Means over seeds; bands are 95 % bootstrap intervals"
        " over patients, at each &sigma; by itself. Only the marked &sigma; were measured: lines"
        " between them lead the eye.</p>\n"
    )
    axes = axes_of(rows)
    tasks = dict.fromkeys(row["task"] for row in rows)
    figures = [task_figure([row for row in rows if row["task"] == task], axes) for task in tasks]
    return intro + "".join(figures) + compact(sweep_table(rows))


def sweep_table(rows: Sequence[Row]) -> Table:
    """Every score of the sweep, from `sweep` of results.json."""
    records = [
        {
            "Task": name(row["task"]),
            "Tested on": curve_name(row),
            SIGMA: f"{row['sigma']:g}",
            **scores(row),
            "Images": str(row["n"]),
            "Seeds": str(len(row["seeds"])),
            "Recipe": row["recipe"],
        }
        for row in rows
    ]
    return tabulated(records, words=("Task", "Tested on", "Recipe"))


def of_originals(rows: Sequence[Row]) -> Mapping[str, Any]:
    """The rows as `sigma_sweep_figure` takes them: classifiers trained on images without blur."""
    return {"classification": [{**row, "train_sigma": 0.0} for row in rows]}


def curve_name(row: Row) -> str:
    """What the classifier met, as `recovered (Wiener)`."""
    restorer = f" ({name(row['restorer'])})" if row["restorer"] else ""
    return row["test_on"] + restorer


def axes_of(rows: Sequence[Row]) -> Axes:
    """Axes that hold every interval, with lines at round numbers; one for all panels."""
    ends = [end for row in rows for score in SCORES for end in row[f"{score}_ci95"]]
    for step in STEPS:
        first, last = math.floor(min(ends) / step), math.ceil(max(ends) / step)
        if last - first < MOST_LINES:
            break
    last = max(last, first + 1)
    sigmas = sorted({row["sigma"] for row in rows})
    return Axes(sigmas, [round(i * step, 2) for i in range(first, last + 1)])


def task_figure(rows: Sequence[Row], axes: Axes) -> str:
    """The panels of one task, and a slider over the measured sigmas that the script shows."""
    panels = "".join(panel(rows, axes, score) for score in SCORES)
    sigmas = " ".join(f"{sigma:g}" for sigma in axes.sigmas)
    task = escape(name(rows[0]["task"]))
    return (
        f'<figure class="sweep" data-sigmas="{sigmas}">\n'
        f"<h3>{task} ({rows[0]['n']} images)</h3>\n"
        f'<div class="panels">\n{panels}</div>\n'
        f'<label class="stops" hidden>{SIGMA} of the tested images, {task}:'
        f' <input type="range" min="0" max="{len(axes.sigmas) - 1}" step="1"'
        f' value="{len(axes.sigmas) // 2}"> <output></output></label>\n</figure>\n'
    )


def panel(rows: Sequence[Row], axes: Axes, score: str) -> str:
    """One score over sigma, with a legend that the script fills with numbers."""
    title = SCORES[score]
    title = title[0].upper() + title[1:]
    kinds = list(dict.fromkeys(curve_name(row) for row in rows))
    curves, legend = "", ""
    for kind, words in enumerate(kinds):
        mine = sorted(
            (row for row in rows if curve_name(row) == words), key=lambda row: row["sigma"]
        )
        curves += curve(mine, axes, score, kind)
        legend += (
            f'<li><span class="kind{kind}">{SIGNS[kind]}</span> <span>{escape(words)}</span>'
            " <b></b></li>\n"
        )
    stops = " ".join(f"{axes.x(sigma):g}" for sigma in axes.sigmas)
    return (
        f'<div class="panel" data-score="{title}">\n'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" data-stops="{stops}"'
        f' aria-label="{title} over {SIGMA}; the numbers are in the table below">\n'
        f"{grid(axes, title)}{curves}"
        f'<line class="marker" x1="-9" x2="-9" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>\n</svg>\n'
        f"<ul>\n{legend}</ul>\n</div>\n"
    )


def grid(axes: Axes, title: str) -> str:
    """Lines at round scores with their numbers, the measured sigmas, the titles."""
    parts = [f'<text class="title" x="{LEFT}" y="16">{title}</text>\n']
    for level in axes.levels:
        y = axes.y(level)
        parts.append(f'<path class="grid" d="M{LEFT},{y:g}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:g}" text-anchor="end">{level:g}</text>\n')
    every = math.ceil(len(axes.sigmas) / MOST_LABELS)
    for sigma in axes.sigmas[::every]:
        y = HEIGHT - BOTTOM + 16
        parts.append(f'<text x="{axes.x(sigma):g}" y="{y}" text-anchor="middle">{sigma:g}</text>\n')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text x="{middle:g}" y="{HEIGHT - 6}" text-anchor="middle">{SIGMA} of the tested images'
        " (pixels)</text>\n"
    )
    return "".join(parts)


def curve(rows: Sequence[Row], axes: Axes, score: str, kind: int) -> str:
    """Band, line and marks of one kind of images; each mark carries its numbers."""
    x = [axes.x(row["sigma"]) for row in rows]
    low, high = zip(*(row[f"{score}_ci95"] for row in rows), strict=True)
    there = [f"{a:g},{axes.y(b):g}" for a, b in zip(x, high, strict=True)]
    back = [f"{a:g},{axes.y(b):g}" for a, b in zip(x[::-1], low[::-1], strict=True)]
    line = [f"{a:g},{axes.y(row[score]):g}" for a, row in zip(x, rows, strict=True)]
    marks = ""
    for row, place in zip(rows, line, strict=True):
        numbers = estimate(row, score)
        marks += (
            f'<path class="mark" d="{MARKS[kind]}" transform="translate({place})"'
            f' data-sigma="{row["sigma"]:g}" data-numbers="{numbers}"/>\n'
        )
    return (
        f'<g class="curve kind{kind}">\n<path class="band" d="M{" ".join(there + back)}z"/>\n'
        f'<path class="line" d="M{" ".join(line)}"/>\n{marks}</g>\n'
    )
