"""The classification study as charts and tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jxr.reporting.drawing import (
    REPORT,
    lines_of,
    new_figure,
    plain,
    save_figures,
    style,
    tidy,
)
from jxr.reporting.labels import SCORES, Row, arm, name, only_originals
from jxr.reporting.report_values import ACCURACY, SIGMA
from jxr.reporting.tables import (
    BEST_THRESHOLD,
    Table,
    classification_table,
    estimate,
    sections,
    tabulated,
    without,
)


def scores_figure(rows: Sequence[Row], published: bool) -> Figure:
    """Accuracy and AUC of each recipe with its 95 % interval.

    Args:
        rows: `classification` of a study's results.
        published: whether the report's accuracies, of test images, stand beside them, where they
            are of the same sigma. Noise, rounding and restorer may differ.

    Returns:
        One row of panels a task.
    """
    tasks, recipes, arms = (
        list(dict.fromkeys(map(key, rows)))
        for key in (lambda row: row["task"], lambda row: row["recipe"], arm)
    )
    beside = False
    step = min(0.22, 0.9 / len(recipes))  # an arm takes 1
    figure = new_figure(8.6, (0.12 * len(recipes) * len(arms) + 0.7) * len(tasks) + 0.8)
    panels = figure.subplots(len(tasks), len(SCORES), sharey=True, squeeze=False)
    for line, task in zip(panels, tasks, strict=True):
        for axes, (score, title) in zip(line, SCORES.items(), strict=True):
            for row in rows:
                if row["task"] != task:
                    continue
                number = recipes.index(row["recipe"])
                y = arms.index(arm(row)) + step * (number - (len(recipes) - 1) / 2)
                axes.hlines(y, *row[f"{score}_ci95"], color=style(number)["color"], linewidth=1.6)
                axes.plot(row[score], y, ls="none", markersize=4.5, **style(number))
                value = ACCURACY.get((task, row["train_on"], row["test_on"]))
                alike = only_originals(row) or row["sigma"] == SIGMA
                if published and score == "accuracy" and alike and value is not None:
                    axes.plot(value, arms.index(arm(row)), **REPORT)
                    beside = True
            heading = lines_of(f"{plain(name(task))}: {title}", 30)
            axes.set(title=heading, ylim=(len(arms) - 0.5, -0.5))
            axes.set_yticks(range(len(arms)), arms)
            tidy(axes)
    handles = [Line2D([], [], ls="none", **style(number)) for number in range(len(recipes))]
    labels = list(recipes)
    if beside:
        handles.append(Line2D([], [], **REPORT))
        labels.append("published in the report (recovered: by U-Net)")
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
    return figure


def reliability_figure(rows: Sequence[Row]) -> Figure:
    """How often a prediction of a certain probability is right, for original images.

    Args:
        rows: `calibration` of a study's results.

    Returns:
        One panel a task; a point's area grows with the number of its predictions.
    """
    shown = [row for row in rows if row["train_on"] == row["test_on"] == "original"]
    tasks, recipes = (list(dict.fromkeys(row[key] for row in shown)) for key in ("task", "recipe"))
    figure = new_figure(4.2 * len(tasks), 4.4 + 0.2 * len(recipes))
    for axes, task in zip(figure.subplots(1, len(tasks), squeeze=False)[0], tasks, strict=True):
        axes.plot([0, 1], [0, 1], color="#999999", linewidth=0.8)
        for row in (row for row in shown if row["task"] == task):
            number = recipes.index(row["recipe"])
            total = sum(row["count"])
            axes.plot(
                row["predicted"], row["observed"], color=style(number)["color"], linewidth=0.9
            )
            axes.scatter(
                row["predicted"], row["observed"], [8 + 250 * n / total for n in row["count"]],
                alpha=0.7, label=f"{row['recipe']}, ECE {row['ece']:.3f}", **style(number),
            )  # fmt: skip
        axes.set(
            title=lines_of(plain(name(task)), 36), xlabel="predicted probability",
            ylabel="observed frequency", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal",
        )  # fmt: skip
        tidy(axes)
        legend = axes.legend(
            fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.13)
        )
        for handle in legend.legend_handles:
            handle.set_sizes([25])  # type: ignore[union-attr]
    return figure


def recipe_table(rows: Sequence[Row]) -> Table:
    """Accuracy and AUC of each recipe, one column for each kind of training and test images.

    Args:
        rows: `classification` of a study's results.

    Returns:
        One row a task and recipe.
    """
    arms = list(dict.fromkeys((row["train_on"], row["test_on"]) for row in rows))
    found = {
        (row["task"], row["recipe"], row["train_on"], row["test_on"]): (
            f"{row['accuracy']:.3f} / {row['auc']:.3f}"
        )
        for row in rows
    }
    recipes = dict.fromkeys((row["task"], row["recipe"]) for row in rows)
    return Table(
        columns=("Task", "Recipe", *(" → ".join(arm) for arm in arms)),
        rows=[
            (name(task), recipe, *(found[task, recipe, *arm] for arm in arms))
            for task, recipe in recipes
        ],
        words=("Task", "Recipe"),
    )


def operating_table(rows: Sequence[Row]) -> Table:
    """What thresholds of a certain sensitivity on validation images give on the images scored."""
    records = [
        {
            "Task": name(row["task"]),
            "Recipe": row["recipe"],
            "Trained → tested on": arm(row),
            "Sensitivity on validation images": f"{row['sensitivity_wanted']:.2f}",
            "Sensitivity": f"{row['sensitivity']:.3f}",
            "Specificity": f"{row['specificity']:.3f}",
            "Accuracy [95 %]": estimate(row, "accuracy"),
        }
        for row in rows
    ]
    return tabulated(records, words=("Task", "Recipe", "Trained → tested on"))


def calibration_table(rows: Sequence[Row]) -> Table:
    """Expected calibration errors, one row a classifier and kind of image."""
    records = [
        {
            "Task": name(row["task"]),
            "Recipe": row["recipe"],
            "Trained → tested on": arm(row),
            "ECE": f"{row['ece']:.3f}",
            "Prevalence": f"{row['prevalence']:.3f}",
            "assumed": f"{row['assumed_prevalence']:.3f}",
            BEST_THRESHOLD: f"{row['best_threshold_accuracy']:.3f}",
        }
        for row in rows
    ]
    return tabulated(records, words=("Task", "Recipe", "Trained → tested on"))


def comparison_table(rows: Sequence[Row]) -> Table:
    """Differences of B from A on the same images, with paired intervals and McNemar's tests."""
    records = [
        {
            "Task": name(row["task"]),
            "Recipe": row["recipe"],
            "A": row["classifier_a"],
            "B": row["classifier_b"],
            "Accuracy, B less A [95 %]": estimate(row, "accuracy_difference"),
            "AUC, B less A [95 %]": estimate(row, "auc_difference"),
            "Same decision": f"{row['agreement']:.3f}",
            "McNemar's p, each seed": ", ".join(
                f"{test['p_value']:.2g}" for test in row["mcnemar"]
            ),
        }
        for row in rows
    ]
    return tabulated(records, words=("Task", "Recipe", "A", "B"))


def write_classification(results: Mapping[str, Any], folder: Path) -> None:
    """Writes `PART.md` and `figures/PART-scores.png`, `figures/PART-reliability.png`.

    Args:
        results: of `jxr.studies.classification.study`.
        folder: is made if need be.
    """
    part = results["part"]
    figures = {
        f"{part}-scores": scores_figure(results["classification"], published=part == "test"),
        f"{part}-reliability": reliability_figure(results["calibration"]),
    }
    save_figures(figures, folder)
    scores, matched = map(classification_table, (results["classification"], results["matched"]))
    no_report = {"Report"}
    tables = {
        "Accuracy / AUC": recipe_table(results["classification"]),
        f"All {part} images": scores if part == "test" else without(scores, no_report),
        "Pairs of equal sharpness": without(matched, no_report),
        "Thresholds by validation images": operating_table(results["operating"]),
        "Calibration": calibration_table(results["calibration"]),
        "Comparisons": comparison_table(results["comparisons"]),
    }
    (folder / f"{part}.md").write_text(sections(tables))
