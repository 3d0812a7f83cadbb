"""What shortcuts score: a chart, and tables, of the study of controls."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jxr.reporting.drawing import COLOURS, lines_of, new_figure, plain, save_figures, style, tidy
from jxr.reporting.labels import Row, arm, name
from jxr.reporting.tables import Table, classification_table, sections, tabulated, without

PREFIX = "control-"
PANELS = {"classification": "all test images", "matched": "paired images of equal sharpness"}


def controls_figure(results: Mapping[str, Any]) -> Figure:
    """AUC of each control with its 95 % interval, on all test images and on matched ones.

    Args:
        results: of `jxr.studies.classification.controls_study`.

    Returns:
        One row of panels a task; the line at one half is a classifier that knows nothing.
    """
    rows = results["classification"]
    tasks, controls, arms = (
        list(dict.fromkeys(map(key, rows))) for key in (lambda row: row["task"], control_of, arm)
    )
    figure = new_figure(8.4, (0.62 * len(controls) + 0.7) * len(tasks) + 0.8)
    panels = figure.subplots(len(tasks), len(PANELS), sharex=True, sharey=True, squeeze=False)
    for line, task in zip(panels, tasks, strict=True):
        for axes, (table, title) in zip(line, PANELS.items(), strict=True):
            mine = [row for row in results[table] if row["task"] == task]
            axes.axvline(0.5, color="#999999", linewidth=0.8)
            for row in mine:
                number = arms.index(arm(row))
                y = controls.index(control_of(row)) + 0.17 * (number - (len(arms) - 1) / 2)
                axes.hlines(y, *row["auc_ci95"], color=COLOURS[number], linewidth=1.6)
                axes.plot(row["auc"], y, ls="none", markersize=4.5, **style(number))
            axes.set(
                title=f"{lines_of(plain(name(task)), 32)}\n{title} ({mine[0]['n']})",
                ylim=(len(controls) - 0.5, -0.5),
            )
            axes.set_yticks(range(len(controls)), [plain(control) for control in controls])
            tidy(axes)
    for axes in panels[-1]:
        axes.set_xlabel("AUC")
    handles = [Line2D([], [], ls="none", **style(number)) for number in range(len(arms))]
    figure.legend(
        handles, arms, title="trained → tested on", loc="outside upper center", ncols=4,
        frameon=False,
    )  # fmt: skip
    return figure


def control_of(row: Row) -> str:
    """The readable name of a row's control."""
    return row["recipe"].removeprefix(PREFIX).replace("_", " ")


def matching_table(rows: Sequence[Row]) -> Table:
    """How alike the classes are in sharpness, before and after matching.

    Args:
        rows: `matching` of results.json.
    """
    records = [
        {
            "Task": name(row["task"]),
            "Negative": str(row["negatives"]),
            "Positive": str(row["positives"]),
            "Pairs": str(row["pairs"]),
            "Caliper (SD)": f"{row['caliper']:g}",
            "SMD before": f"{row['smd_before']:.3f}",
            "SMD after": f"{row['smd_after']:.4f}",
            "AUC of sharpness before": f"{row['auc_before']:.3f}",
            "after": f"{row['auc_after']:.3f}",
        }
        for row in rows
    ]
    return tabulated(records, words=("Task",))


def write_controls(results: Mapping[str, Any], folder: Path) -> None:
    """Writes `figures/controls.png` and `tables.md`.

    Args:
        results: of `jxr.studies.classification.controls_study`.
        folder: is made if need be.
    """
    save_figures({"controls": controls_figure(results)}, folder)
    # The report's accuracies are those of all images, whose classes are not of equal size.
    tables = {
        "All test images": classification_table(results["classification"]),
        "Pairs of equal sharpness": without(classification_table(results["matched"]), {"Report"}),
        "Matching": matching_table(results["matching"]),
    }
    (folder / "tables.md").write_text(sections(tables))
