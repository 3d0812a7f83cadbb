"""Classifiers on images of another style, calibrated with and without labels: chart, tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from jxr.reporting.drawing import (
    COLOURS,
    DASHES,
    lines_of,
    new_figure,
    plain,
    save_figures,
    style,
    tidy,
)
from jxr.reporting.labels import Row, name
from jxr.reporting.tables import (
    BEST_THRESHOLD,
    Table,
    estimate,
    p_value,
    scores,
    sections,
    tabulated,
    with_interval,
)


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
    figure = new_figure(8.6, 3.2 * len(tasks) + 0.6)
    for line, task in zip(figure.subplots(len(tasks), 2, squeeze=False), tasks, strict=True):
        left, right = line
        for number, way in enumerate(ways):
            mine = [row for row in rows if (row["task"], row["recipe"]) == (task, way)]
            x = [styles.index(row["met"]) + 0.18 * (number - 1) for row in mine]
            low, high = zip(*(row["accuracy_ci95"] for row in mine), strict=True)
            left.vlines(x, low, high, color=style(number)["color"], linewidth=1.6)
            left.plot(
                x, [row["accuracy"] for row in mine], ls="none", markersize=5, label=way,
                **style(number),
            )  # fmt: skip
        left.set_xticks(range(len(styles)), styles)
        heading = lines_of(f"{plain(name(task))}: accuracy", 36)
        left.set(title=heading, xlim=(-0.5, len(styles) - 0.5))
        for number, met in enumerate(styles):
            some = [
                row for row in results["few_images"] if (row["task"], row["met"]) == (task, met)
            ]
            if not some:
                continue
            # Other colours than those of the ways, as long as they suffice.
            colour = COLOURS[(len(ways) + number) % len(COLOURS)]
            marks = {**style(number), "color": colour, "ls": DASHES[number % len(DASHES)]}
            counts = [row["images"] for row in some]
            low, high = zip(*(row["accuracy_90"] for row in some), strict=True)
            right.fill_between(counts, low, high, color=colour, alpha=0.15, linewidth=0)
            right.plot(
                counts, [row["accuracy"] for row in some], markersize=4.5, label=met, **marks,
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
    """Scores of each way to calibrate on each style, from `classification` of a study's results."""
    records = [
        {
            "Task": name(row["task"]),
            "Met": row["met"],
            "Calibration": row["recipe"],
            **scores(row),
            "ECE": f"{row['ece']:.3f}",
            "Prevalence": f"{row['prevalence']:.3f}",
            "Mean probability": f"{row['mean_probability']:.3f}",
            BEST_THRESHOLD: f"{row['best_threshold_accuracy']:.3f}",
            "Two groups seen": f"{row['two_groups']} of {len(row['seeds'])}",
            "Images": str(row["n"]),
        }
        for row in rows
    ]
    return tabulated(records, words=("Task", "Met", "Calibration"))


def difference_table(rows: Sequence[Row]) -> Table:
    """By how much calibration without labels is above none.

    Args:
        rows: `comparisons` of a study's results.
    """
    records = [
        {
            "Task": name(row["task"]),
            "Met": row["met"],
            "Accuracy, without labels less as trained [95 %]": estimate(row, "accuracy_difference"),
            "McNemar's p, each seed": ", ".join(
                p_value(test["p_value"]) for test in row["mcnemar"]
            ),
        }
        for row in rows
    ]
    return tabulated(records, words=("Task", "Met"))


def few_table(rows: Sequence[Row]) -> Table:
    """Accuracy on the other images, if only some are there to calibrate by.

    Args:
        rows: `few_images` of a study's results.
    """
    records = [
        {
            "Task": name(row["task"]),
            "Met": row["met"],
            "Images without labels": str(row["images"]),
            "Accuracy [middle 90 % of draws]": with_interval(row["accuracy"], row["accuracy_90"]),
            "Two groups seen": f"{row['two_groups']:.0%}",
        }
        for row in rows
    ]
    return tabulated(records, words=("Task", "Met"))


def write_adaptation(results: Mapping[str, Any], folder: Path) -> None:
    """Writes `PART.md` and `figures/PART-accuracy.png`.

    Args:
        results: of `jxr.studies.classification.adaptation`.
        folder: is made if need be.
    """
    part = results["part"]
    save_figures({f"{part}-accuracy": adaptation_figure(results)}, folder)
    tables = {
        "Scores": score_table(results["classification"]),
        "Differences": difference_table(results["comparisons"]),
        "Few images": few_table(results["few_images"]),
    }
    (folder / f"{part}.md").write_text(sections(tables))
