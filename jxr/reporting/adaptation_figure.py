"""Classifiers on images of another style, calibrated with and without labels: chart, tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from jxr.reporting.drawing import COLOURS, DASHES, SHAPES, lines_of, new_figure, plain, tidy
from jxr.reporting.labels import Row, name
from jxr.reporting.tables import Table, p_value, sections, with_interval


def adaptation_figure(results: Mapping[str, Any]) -> Figure:
    """Accuracy by way of calibration, and by the number of images without labels.

    Args:
        results: of `jxr.studies.classification.adaptation`.

    Returns:
        Two panels a task: 95 % intervals over patients, and means with the middle 90 % of draws.
    """
    rows = results["classification"]
    tasks, styles, ways = (
        list(dict.fromkeys(row[key] for row in rows)) for key in ("task", "met", "recipe")
    )
    colours = (*COLOURS[len(ways) :], *COLOURS)  # of styles: others than of ways, if they suffice
    figure = new_figure(8.6, 3.2 * len(tasks) + 0.6)
    for line, task in zip(figure.subplots(len(tasks), 2, squeeze=False), tasks, strict=True):
        left, right = line
        for number, way in enumerate(ways):
            mine = [row for row in rows if (row["task"], row["recipe"]) == (task, way)]
            x = [styles.index(row["met"]) + 0.18 * (number - 1) for row in mine]
            low, high = zip(*(row["accuracy_ci95"] for row in mine), strict=True)
            left.vlines(x, low, high, color=COLOURS[number], linewidth=1.6)
            left.plot(
                x, [row["accuracy"] for row in mine], ls="none", color=COLOURS[number],
                marker=SHAPES[number], markersize=5, label=way,
            )  # fmt: skip
        left.set_xticks(range(len(styles)), styles)
        heading = lines_of(f"{plain(name(task))}: accuracy", 36)
        left.set(title=heading, xlim=(-0.5, len(styles) - 0.5))
        for number, style in enumerate(styles):
            some = [
                row for row in results["few_images"] if (row["task"], row["met"]) == (task, style)
            ]
            if not some:
                continue
            colour, counts = colours[number], [row["images"] for row in some]
            low, high = zip(*(row["accuracy_90"] for row in some), strict=True)
            right.fill_between(counts, low, high, color=colour, alpha=0.15, linewidth=0)
            right.plot(
                counts, [row["accuracy"] for row in some], color=colour, marker=SHAPES[number],
                linestyle=DASHES[number], markersize=4.5, label=style,
            )  # fmt: skip
        right.set(title="without labels, on all other images", xlabel="images calibrated by")
        if right.lines:
            right.legend(fontsize=8, frameon=False)
        for axes in line:
            tidy(axes)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
    return figure


def score_table(rows: Sequence[Row]) -> Table:
    """Scores of each way to calibrate on each style.

    Args:
        rows: `classification` of a study's results.
    """
    return Table(
        columns=(
            "Task", "Met", "Calibration", "Accuracy [95 %]", "AUC [95 %]", "Sensitivity",
            "Specificity", "ECE", "Prevalence", "Mean probability",
            "Accuracy if these images chose the threshold", "Two groups seen", "Images",
        ),
        rows=[
            (
                name(row["task"]),
                row["met"],
                row["recipe"],
                with_interval(row["accuracy"], row["accuracy_ci95"]),
                with_interval(row["auc"], row["auc_ci95"]),
                *(f"{row[key]:.3f}" for key in (
                    "sensitivity", "specificity", "ece", "prevalence", "mean_probability",
                    "best_threshold_accuracy",
                )),
                f"{row['two_groups']} of {len(row['seeds'])}",
                str(row["n"]),
            )
            for row in rows
        ],
        words=("Task", "Met", "Calibration"),
    )  # fmt: skip


def difference_table(rows: Sequence[Row]) -> Table:
    """By how much calibration without labels is above none.

    Args:
        rows: `comparisons` of a study's results.
    """
    return Table(
        columns=("Task", "Met", "Accuracy, without labels less as trained [95 %]",
                 "McNemar's p, each seed"),
        rows=[
            (
                name(row["task"]),
                row["met"],
                with_interval(row["accuracy_difference"], row["accuracy_difference_ci95"]),
                ", ".join(p_value(test["p_value"]) for test in row["mcnemar"]),
            )
            for row in rows
        ],
        words=("Task", "Met"),
    )  # fmt: skip


def few_table(rows: Sequence[Row]) -> Table:
    """Accuracy on the other images, if only some are there to calibrate by.

    Args:
        rows: `few_images` of a study's results.
    """
    return Table(
        columns=("Task", "Met", "Images without labels", "Accuracy [middle 90 % of draws]",
                 "Two groups seen"),
        rows=[
            (
                name(row["task"]),
                row["met"],
                str(row["images"]),
                with_interval(row["accuracy"], row["accuracy_90"]),
                f"{row['two_groups']:.0%}",
            )
            for row in rows
        ],
        words=("Task", "Met"),
    )  # fmt: skip


def write_adaptation(results: Mapping[str, Any], folder: Path) -> None:
    """Writes `PART.md` and `figures/PART-accuracy.png`.

    Args:
        results: of `jxr.studies.classification.adaptation`.
        folder: is made if need be.
    """
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    part = results["part"]
    adaptation_figure(results).savefig(folder / "figures" / f"{part}-accuracy.png", dpi=150)
    tables = {
        "Scores": score_table(results["classification"]),
        "Differences": difference_table(results["comparisons"]),
        "Few images": few_table(results["few_images"]),
    }
    (folder / f"{part}.md").write_text(sections(tables))
