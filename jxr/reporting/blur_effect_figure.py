"""What blur does to frozen features: a chart, and tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from jxr.reporting.drawing import COLOURS, SHAPES, lines_of, new_figure, plain, save_figures, tidy
from jxr.reporting.labels import SCORES, SIGMA, Row, name
from jxr.reporting.tables import Table, estimate, p_value, scores, sections, tabulated

KINDS = {"vgg16": "VGG-16", "control-global_statistics": "ten global numbers"}


def blur_effect_figure(results: Mapping[str, Any]) -> Figure:
    """Scores over sigma: trained at each sigma, and trained without blur.

    Args:
        results: of `jxr.studies.classification.blur_effect`.

    Returns:
        One row of panels a task, with 95 % intervals.
    """
    rows = results["classification"]
    tasks, kinds = (list(dict.fromkeys(row[key] for row in rows)) for key in ("task", "features"))
    sharp = min(row["train_sigma"] for row in rows)
    arms = {
        f"trained at the same {SIGMA}": lambda row: row["train_sigma"] == row["sigma"],
        f"trained at {SIGMA} {sharp:g}": lambda row: row["train_sigma"] == sharp,
    }
    figure = new_figure(8.6, 3.0 * len(tasks) + 0.8)
    panels = figure.subplots(len(tasks), len(SCORES), sharex=True, squeeze=False)
    for line, task in zip(panels, tasks, strict=True):
        for axes, (score, title) in zip(line, SCORES.items(), strict=True):
            for number, kind in enumerate(kinds):
                for place, (arm, belongs) in enumerate(arms.items()):
                    mine = [
                        row
                        for row in rows
                        if (row["task"], row["features"]) == (task, kind) and belongs(row)
                    ]
                    x = [row["sigma"] + 0.05 * (2 * number + place - 1.5) for row in mine]
                    low, high = zip(*(row[f"{score}_ci95"] for row in mine), strict=True)
                    colour = COLOURS[2 * number + place]
                    axes.vlines(x, low, high, color=colour, linewidth=1.4, alpha=0.7)
                    axes.plot(
                        x, [row[score] for row in mine], color=colour, linewidth=1,
                        marker=SHAPES[2 * number + place], markersize=4.5,
                        label=f"{KINDS[kind]}, {arm}",
                    )  # fmt: skip
            axes.set(title=lines_of(f"{plain(name(task))}: {title}", 36))
            tidy(axes)
    for axes in panels[-1]:
        axes.set_xlabel(f"{SIGMA} of the test images (pixels)")
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False)
    return figure


def difference_table(rows: Sequence[Row]) -> Table:
    """By how much B scores above A on the same images, from `comparisons` of a study's results."""
    records = [
        {
            "Task": name(row["task"]),
            "Features": KINDS[row["features"]],
            f"A: {SIGMA} trained → tested": " → ".join(
                f"{sigma:g}" for sigma in row["train_test_a"]
            ),
            "B": " → ".join(f"{sigma:g}" for sigma in row["train_test_b"]),
            "Accuracy, B less A [95 %]": estimate(row, "accuracy_difference"),
            "AUC, B less A [95 %]": estimate(row, "auc_difference"),
            "Only A right": str(row["b"]),
            "Only B right": str(row["c"]),
            "McNemar's p": p_value(row["p_value"]),
        }
        for row in rows
    ]
    return tabulated(records, words=("Task", "Features", f"A: {SIGMA} trained → tested", "B"))


def matrix_table(rows: Sequence[Row]) -> Table:
    """Accuracy and AUC of every pair of sigmas.

    Args:
        rows: `classification` or `matched` of a study's results.
    """
    records = [
        {
            "Task": name(row["task"]),
            "Features": KINDS[row["features"]],
            f"{SIGMA} trained": f"{row['train_sigma']:g}",
            "tested": f"{row['sigma']:g}",
            **scores(row),
        }
        for row in rows
    ]
    return tabulated(records, words=("Task", "Features"))


def write_blur_effect(results: Mapping[str, Any], folder: Path) -> None:
    """Writes `figures/blur_effect.png` and `tables.md`.

    Args:
        results: of `jxr.studies.classification.blur_effect`.
        folder: is made if need be.
    """
    save_figures({"blur_effect": blur_effect_figure(results)}, folder)
    tables = {
        "Differences": difference_table(results["comparisons"]),
        "All test images": matrix_table(results["classification"]),
        "Pairs of equal sharpness": matrix_table(results["matched"]),
    }
    (folder / "tables.md").write_text(sections(tables))
